// Passkeys on the sign-in pages: browsers give them to scripts alone.
"use strict";
{
  const decode = (s) => Uint8Array.from(atob(s.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const encode = (b) => btoa(String.fromCharCode(...new Uint8Array(b))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const able = Boolean(window.PublicKeyCredential && navigator.credentials);

  // Where the device itself can do it, that is offered first, in its own words.
  const option = document.querySelector("input[data-device]");
  if (option && able && PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable) {
    PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable().then((can) => {
      if (!can) return;
      const choice = option.closest("label");
      choice.querySelector(".name").textContent = option.dataset.device;
      const first = choice.parentElement.querySelector("label");
      const chosen = choice.parentElement.querySelector("input:checked");
      if (first !== choice) first.before(choice);
      if (!chosen || chosen === first.querySelector("input")) option.checked = true;
    }, () => {});
  }

  const form = document.getElementById("passkey");
  const button = form && form.querySelector("button");
  const action = Object.assign(document.createElement("input"), { type: "hidden", name: "action" });
  let back = () => {}; // what is to be done once more for whoever comes back to the page

  const title = document.title;
  const problem = (text) => {
    const place = document.getElementById("passkey-problem");
    place.textContent = "";
    document.title = text ? form.dataset.title : title;
    if (!text) return;
    const alert = document.createElement("div");
    alert.className = "alert";
    alert.setAttribute("role", "alert");
    const words = document.createElement("p");
    words.textContent = text;
    alert.append(document.getElementById("passkey-icon").content.cloneNode(true), words);
    place.append(alert);
  };

  const listed = (all) => (all || []).map((c) => ({ ...c, id: decode(c.id) }));
  const asked = (options) => {
    const out = { ...options, challenge: decode(options.challenge) };
    if (options.user) out.user = { ...options.user, id: decode(options.user.id) };
    if (options.excludeCredentials) out.excludeCredentials = listed(options.excludeCredentials);
    if (options.allowCredentials) out.allowCredentials = listed(options.allowCredentials);
    return out;
  };

  // What a credential says goes into the form, under the engine's names.
  const send = (credential) => {
    const answer = credential.response;
    const values = { clientData: encode(answer.clientDataJSON) };
    if (answer.attestationObject) {
      values.attestation = encode(answer.attestationObject);
      if (answer.getTransports) values.transports = JSON.stringify(answer.getTransports());
      values.clientExtensions = JSON.stringify(credential.getClientExtensionResults());
    } else {
      values.authenticatorData = encode(answer.authenticatorData);
      values.signatureData = encode(answer.signature);
      values.userHandle = answer.userHandle ? encode(answer.userHandle) : "";
    }
    for (const [name, value] of Object.entries(values)) {
      const input = form.elements.namedItem(name);
      if (input) input.value = value;
    }
    for (const box of ["remember", "keep"]) {
      const ticked = document.getElementById(box);
      const input = form.elements.namedItem(box);
      if (ticked && input) input.value = ticked.checked ? "true" : "";
    }
    action.value = button.value;
    form.append(action);
    form.submit();
  };

  const ready = () => {
    button.disabled = false;
    button.removeAttribute("aria-busy");
  };

  const failed = (error) => {
    const words = form.dataset;
    ready();
    problem(error.name === "InvalidStateError" ? words.known :
      error.name === "NotAllowedError" || error.name === "AbortError" ? words.cancelled : words.failed);
  };

  // Who signs in with one that says who they are: in the field's own list, or by the button.
  const discover = () => {
    const life = 4 * 60000; // the engine takes no answer to a question of five minutes ago
    let fresh = 0; // when the options were got; by the clock on the wall, which goes on while a computer sleeps
    let options = null;
    let waiting = null; // aborts what the field's list waits for
    let renewal = 0;
    const old = () => !options || Date.now() - fresh >= life || Date.now() < fresh;
    let coming = null; // of two questions the browser would keep the later one's cookie alone
    const fetched = async () => {
      if (!old()) return options;
      coming ||= (async () => {
        const answer = await fetch(form.dataset.begin, { method: "POST", body: new URLSearchParams(new FormData(form)), credentials: "same-origin", signal: AbortSignal.timeout(15000) });
        if (!answer.ok) throw new Error(answer.status);
        options = asked(await answer.json());
        fresh = Date.now();
        return options;
      })().finally(() => { coming = null; });
      return coming;
    };
    // A question costs the engine a transaction: none is put for a page that nobody looks at, be it
    // fetched ahead or in a tab behind, nor where the browser has no list for the field.
    const list = async () => {
      if (document.hidden) return;
      if (!PublicKeyCredential.isConditionalMediationAvailable || !await PublicKeyCredential.isConditionalMediationAvailable()) return;
      const publicKey = await fetched();
      if (waiting) waiting.abort();
      const mine = waiting = new AbortController();
      clearTimeout(renewal);
      renewal = setTimeout(() => list().catch(() => {}), fresh + life - Date.now());
      try {
        send(await navigator.credentials.get({ publicKey, mediation: "conditional", signal: mine.signal }));
      } catch {
        // Nobody chose one; the button and the address are there still.
      }
    };
    document.addEventListener("visibilitychange", () => { if (old()) list().catch(() => {}); });
    // Whoever comes back has answered the one question that there was.
    back = () => { options = null; list().catch(() => {}); };
    list().catch(() => {});
    return async () => {
      const publicKey = await fetched();
      if (waiting) waiting.abort();
      clearTimeout(renewal);
      try {
        return await navigator.credentials.get({ publicKey });
      } catch (error) {
        list().catch(() => {});
        throw error;
      }
    };
  };

  const ask = form && able && {
    create: () => () => navigator.credentials.create({ publicKey: asked(JSON.parse(form.dataset.options)) }),
    get: () => () => navigator.credentials.get({ publicKey: asked(JSON.parse(form.dataset.options)) }),
    discover,
  }[form.dataset.kind]();
  if (ask) {
    form.hidden = button.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      event.stopPropagation();
      button.disabled = true;
      button.setAttribute("aria-busy", "true");
      problem("");
      ask().then(send, failed);
    });
    // Browsers keep the page of those who go back as it was: with a button that was pressed.
    addEventListener("pageshow", (event) => {
      if (!event.persisted) return;
      ready();
      problem("");
      back();
    });
  } else if (form && form.dataset.kind !== "discover") {
    problem(form.dataset.unable);
  }
}
