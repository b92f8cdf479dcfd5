// Copies codes, and shows new mail without a reload. Everything else works without it.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const status = document.getElementById("status");

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      getSelection().selectAllChildren(button.previousElementSibling);
      return;
    }
    button.textContent = "Copied";
    status.textContent = "Code copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });

  const list = document.getElementById("messages");
  if (!list) return;

  // refresh takes over what the server shows now, and leaves what is shown already
  // in place, so that nobody loses their focus.
  async function refresh() {
    const answer = await fetch(location.href);
    if (!answer.ok) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = page.getElementById("messages");
    let arrived = 0;
    for (const item of [...list.children]) {
      if (!page.getElementById(item.id)) item.remove();
    }
    let before = list.firstElementChild;
    for (const item of [...now.children]) {
      if (document.getElementById(item.id)) continue;
      item.classList.add("new");
      list.insertBefore(document.adoptNode(item), before);
      arrived++;
    }
    list.dataset.newest = now.dataset.newest;
    document.getElementById("count").replaceChildren(...page.getElementById("count").childNodes);
    for (const id of ["empty", "all"]) document.getElementById(id).hidden = page.getElementById(id).hidden;
    if (arrived) status.textContent = arrived === 1 ? "New mail" : arrived + " new mails";
  }

  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  let request = null;

  // watch asks for the next mail, one long request after the other. A hidden tab
  // asks nothing: browsers allow only a few connections at once.
  async function watch() {
    while (!document.hidden) {
      request = new AbortController();
      const query = new URLSearchParams({ wait: "50s", limit: "1", after: list.dataset.newest });
      if (list.dataset.to) query.set("to", list.dataset.to);
      try {
        const answer = await fetch("/dev/inbox/api/messages?" + query, { signal: request.signal });
        if (answer.status !== 400 && !answer.ok) throw new Error(answer.status);
        if (answer.status === 400 || (await answer.json()).messages.length) await refresh();
      } catch {
        if (document.hidden) break;
        await pause(2000);
      }
    }
    request = null;
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      if (request) request.abort();
    } else if (!request) {
      refresh().catch(() => {}).then(watch);
    }
  });
  watch();
})();
