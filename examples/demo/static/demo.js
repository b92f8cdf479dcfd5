// Comfort for the home page, which works without it: copying a token.
"use strict";

for (const button of document.querySelectorAll("button[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  const status = button.nextElementSibling;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      status.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      status.textContent = "Selected: copy it with your keyboard";
    }
  });
}
