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
    const action = document.createElement("input");
    action.type = "hidden";
    action.name = "action";
    action.value = button.value;
    form.append(action);
    form.submit();
  };

  const failed = (error) => {
    const words = form.dataset;
    button.disabled = false;
    button.removeAttribute("aria-busy");
    problem(error.name === "InvalidStateError" ? words.known :
      error.name === "NotAllowedError" || error.name === "AbortError" ? words.cancelled : words.failed);
  };

  // Who signs in with one that says who they are: in the field's own list, or by the button.
  const discover = () => {
    let fresh = 0; // when the options were got
    let options = null;
    let waiting = null; // aborts what the field's list waits for
    const fetched = async () => {
      if (options && performance.now() - fresh < 4 * 60000) return options;
      const answer = await fetch(form.dataset.begin, { method: "POST", body: new URLSearchParams(new FormData(form)), credentials: "same-origin" });
      if (!answer.ok) throw new Error(answer.status);
      options = asked(await answer.json());
      fresh = performance.now();
      return options;
    };
    const list = async () => {
      if (!PublicKeyCredential.isConditionalMediationAvailable || !await PublicKeyCredential.isConditionalMediationAvailable()) return;
      const publicKey = await fetched();
      if (waiting) waiting.abort();
      const mine = waiting = new AbortController();
      // The engine takes no answer to a question of five minutes ago.
      const renew = setTimeout(() => { if (document.hidden) options = null; else list().catch(() => {}); }, 4 * 60000 + 1000);
      try {
        send(await navigator.credentials.get({ publicKey, mediation: "conditional", signal: mine.signal }));
      } catch {
        // Nobody chose one; the button and the address are there still.
      } finally {
        if (mine.signal.aborted) clearTimeout(renew);
      }
    };
    document.addEventListener("visibilitychange", () => { if (!document.hidden && !options) list().catch(() => {}); });
    list().catch(() => {});
    return async () => {
      const publicKey = await fetched();
      if (waiting) waiting.abort();
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
  } else if (form && form.dataset.kind !== "discover") {
    problem(form.dataset.unable);
  }
}
