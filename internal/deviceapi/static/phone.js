// Stile on your phone: keeps keys that cannot leave this browser, shows codes made
// here, and signs what its owner answers. docs/device-api.md has the wire.
"use strict";

const $ = (id) => document.getElementById(id);
const base = document.documentElement.dataset.base;
const words = $("words").dataset;
const say = (key, values = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
const tell = (id, text) => { $(id).textContent = text; $(id).hidden = !text; };
const clone = (id) => $(id).content.firstElementChild.cloneNode(true);

// What is kept: one record for each account, with its keys as the browser's own.
let opened;
const database = () => opened ??= new Promise((resolve, reject) => {
  const request = indexedDB.open("stile", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("devices", { keyPath: "device" });
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});
const stored = async (mode, act) => {
  const db = await database();
  return new Promise((resolve, reject) => {
    const tx = db.transaction("devices", mode);
    const request = act(tx.objectStore("devices"));
    tx.oncomplete = () => resolve(request.result);
    tx.onerror = tx.onabort = () => reject(tx.error);
  });
};

// A statement: a JWS over what is said, for one address and for a minute.
const encode = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const part = (value) => encode(new TextEncoder().encode(JSON.stringify(value)));
let ahead = 0; // how far the engine's clock is ahead of ours, in milliseconds
const now = () => Date.now() + ahead;
// heard takes the engine's time from an answer, which was written between the two
// times of ours, and tells whole seconds: what is known within that is left as it is.
const heard = (date, sent, got) => {
  if (date) ahead = Math.min(Math.max(ahead, date - got), date + 999 - sent);
};

const send = async (path, key, header, claims) => {
  for (let again = false; ; again = true) {
    const jti = encode(crypto.getRandomValues(new Uint8Array(16)));
    const signed = part({ alg: "ES256", typ: "stile-device+jwt", ...header }) + "." +
      part({ htm: "POST", htu: base + path, iat: Math.floor(now() / 1000), jti, ...claims });
    const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, new TextEncoder().encode(signed));
    const sent = Date.now();
    const answer = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/jose" }, body: signed + "." + encode(signature),
      credentials: "omit", cache: "no-store",
    });
    const date = Date.parse(answer.headers.get("Date"));
    heard(date, sent, Date.now());
    const out = await answer.json();
    if (answer.ok) return out;
    if (out.error === "wrong_time" && !again && date) continue;
    throw Object.assign(new Error(out.error_description), { code: out.error });
  }
};
const says = (d, path, claims = {}) => send(path, d.key, { kid: d.device }, claims);

// Adding this device.
const base32 = (text) => {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bytes = [];
  let bits = 0, value = 0;
  for (const c of text) {
    value = (value << 5 | alphabet.indexOf(c)) & 0xfff;
    if ((bits += 5) >= 8) bytes.push(value >> (bits -= 8) & 0xff);
  }
  return new Uint8Array(bytes);
};
const add = $("add");
let pair; // the same in each try: one whose answer was lost may have gone through
const enrol = async () => {
  await database().catch(() => { throw Object.assign(new Error(words.storage), { code: "storage" }); });
  pair ??= await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const token = new URLSearchParams(location.search).get("t");
  const made = await send("/device/v1/enroll", pair.privateKey, { jwk: { kty, crv, x, y } }, { token, name: $("name").value });
  const hmac = await crypto.subtle.importKey("raw", base32(made.secret), { name: "HMAC", hash: "SHA-1" }, false, ["sign"]);
  await stored("readwrite", (all) => all.put({
    device: made.device, name: made.name, account: made.account, app: made.app,
    key: pair.privateKey, hmac, digits: made.digits, period: made.period,
  }));
  navigator.storage?.persist?.();
};
add?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = add.querySelector("button");
  if (button.hasAttribute("aria-busy")) return;
  button.setAttribute("aria-busy", "true");
  tell("trouble", "");
  try {
    await enrol();
    $("enrol").hidden = true;
    history.replaceState(null, "", "/phone"); // what is kept of this page opens on the codes
    tell("notice", words.added + " " + ("standalone" in navigator ? words.keptSafari : words.kept));
    await begin();
  } catch (error) {
    if (error.code === "gone") {
      $("enrol").hidden = true;
      $("gone").hidden = false;
      $("title").textContent = $("title").dataset.gone;
    } else {
      tell("trouble", error.code ? error.message : error instanceof TypeError ? add.dataset.offline : add.dataset.failed);
    }
  } finally {
    button.removeAttribute("aria-busy");
  }
});

// The code of now (RFC 6238).
const code = async (d) => {
  const counter = new DataView(new ArrayBuffer(8));
  counter.setBigUint64(0, BigInt(Math.floor(now() / 1000 / d.period)));
  const sum = new DataView(await crypto.subtle.sign("HMAC", d.hmac, counter.buffer));
  const at = sum.getUint8(sum.byteLength - 1) & 0xf;
  return String((sum.getUint32(at) & 0x7fffffff) % 10 ** d.digits).padStart(d.digits, "0");
};

const cards = new Map(); // device -> { d, card }
const label = (d, card) => {
  card.querySelector("h2").textContent = d.account;
  card.querySelector(".device").textContent = [d.app, d.name].filter(Boolean).join(" · ");
};
const show = (d) => {
  const card = clone("account");
  card.dataset.device = d.device;
  label(d, card);
  const name = card.querySelector(".rename input");
  name.value = d.name;
  card.querySelector(".rename").addEventListener("submit", async (event) => {
    event.preventDefault();
    await act(async () => {
      d.name = (await says(d, "/device/v1/rename", { name: name.value })).name;
      await stored("readwrite", (all) => all.put(d));
      label(d, card);
      tell("notice", words.renamed);
    });
  });
  card.querySelector(".leave").addEventListener("click", () => { card.querySelector(".sure").hidden = false; });
  card.querySelector(".yes").addEventListener("click", () => act(async () => {
    await says(d, "/device/v1/leave").catch((error) => { if (error.code !== "unknown_device") throw error; });
    await stored("readwrite", (all) => all.delete(d.device));
    card.remove();
    cards.delete(d.device);
    if (cards.size === 0) await (await subscribed())?.unsubscribe();
    tell("notice", words.left);
    $("none").hidden = cards.size > 0;
    await wakeState();
  }));
  $("accounts").append(card);
  cards.set(d.device, { d, card });
};
const act = async (what) => {
  tell("trouble", "");
  try { await what(); } catch (error) { tell("trouble", error.code ? error.message : words.offline); }
};

const tick = async () => {
  for (const { d, card } of cards.values()) {
    if (d.removed) continue;
    const left = d.period - Math.floor(now() / 1000) % d.period;
    card.querySelector("progress").value = left;
    const text = await code(d);
    const shown = text.slice(0, text.length / 2) + " " + text.slice(text.length / 2);
    const at = card.querySelector(".code");
    if (at.textContent !== shown) at.textContent = shown;
  }
};

// What is asked.
const asked = new Map(); // request -> card
const ask = (d, r) => {
  const card = clone("request");
  card.dataset.request = r.request;
  card.querySelector("h2").textContent = say(words[camel(r.purpose)] ? camel(r.purpose) : "signIn", { app: r.app });
  card.querySelector(".who").textContent = d.account;
  card.querySelector(".agent").textContent = r.browser ? r.system ? say("agent", r) : r.browser : words.unknown;
  card.querySelector(".ip").textContent = r.ip || words.nowhere;
  card.querySelector(".at").textContent = new Date(r.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const answer = async (claims) => {
    if (card.dataset.sent) return;
    card.dataset.sent = "1";
    tell("trouble", "");
    try {
      const { result } = await says(d, "/device/v1/answer", { request: r.request, ...claims });
      tell("notice", words[result]);
    } catch (error) {
      if (error.code !== "gone") {
        delete card.dataset.sent;
        tell("trouble", error.code ? error.message : words.offline);
        return;
      }
      tell("notice", words.gone);
    }
    card.remove();
  };
  for (const number of r.numbers) {
    const button = document.createElement("button");
    button.textContent = number;
    button.addEventListener("click", () => answer({ approve: true, number }));
    card.querySelector(".numbers").append(button);
  }
  card.querySelector(".deny").addEventListener("click", () => answer({ approve: false }));
  $("requests").append(card);
  asked.set(r.request, card);
  tell("notice", "");
  card.focus();
  if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(100);
};
const camel = (text) => text.replace(/-(\w)/g, (_, c) => c.toUpperCase());

let busy = false;
const look = async () => {
  if (document.hidden || busy) return;
  busy = true;
  try {
    for (const { d, card } of cards.values()) {
      if (d.removed) continue;
      try {
        const { requests, account, name, wake } = await says(d, "/device/v1/requests");
        if (d.woken !== wake) { d.woken = wake; await wakeState(); }
        if (account !== d.account || name !== d.name) {
          if (name !== d.name) card.querySelector(".rename input").value = name; // else somebody may be typing there
          Object.assign(d, { account, name });
          label(d, card);
          await stored("readwrite", (all) => all.put(d));
        }
        const open = new Set(requests.map((r) => r.request));
        for (const [id, shown] of asked) {
          if (shown.dataset.of === d.device && !open.has(id) && !shown.dataset.sent) { shown.remove(); asked.delete(id); }
        }
        for (const r of requests) {
          if (asked.has(r.request)) continue;
          ask(d, r);
          asked.get(r.request).dataset.of = d.device;
        }
        if ($("trouble").textContent === words.offline) tell("trouble", "");
      } catch (error) {
        if (error.code === "unknown_device") {
          d.removed = true;
          card.querySelector(".code").hidden = card.querySelector("progress").hidden = true;
          card.querySelector(".rename").hidden = true;
          card.querySelector(".removed").hidden = false;
        } else if (!error.code) {
          tell("trouble", words.offline);
        }
      }
    }
    if ($("requests").childElementCount === 0) await quiet();
    document.title = document.title.replace(/^(\(\d+\) )?/, $("requests").childElementCount ? `(${$("requests").childElementCount}) ` : "");
  } finally {
    busy = false;
  }
};

// Waking (docs/device-api.md). The browser says whether it can: none does over http, and
// Safari of a phone only for what is on the home screen.
const wakeKey = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window && document.documentElement.dataset.wake;
const registration = async () => {
  const r = await navigator.serviceWorker.register("/phone/worker.js", { scope: "/phone" });
  const coming = r.installing ?? r.waiting;
  if (!r.active && coming) {
    await new Promise((resolve) => coming.addEventListener("statechange", () => ["activated", "redundant"].includes(coming.state) && resolve()));
  }
  return r;
};
const subscribed = async () => wakeKey && (await navigator.serviceWorker.getRegistration("/phone"))?.pushManager.getSubscription();
const held = () => [...cards.values()].map(({ d }) => d).filter((d) => !d.removed);
const handOver = async (subscription) => {
  for (const d of held()) {
    const { wake } = await says(d, "/device/v1/wake", { subscription }).catch((error) => {
      if (error.code !== "unknown_device") throw error;
      return { wake: false };
    });
    d.woken = wake;
  }
};
const subscribe = async () => {
  const { pushManager } = await registration();
  let at = await pushManager.getSubscription();
  if (at && encode(at.options.applicationServerKey) !== wakeKey) { // the engine has another key now
    await at.unsubscribe();
    at = null;
  }
  at ??= await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: wakeKey });
  return { ...at.toJSON(), applicationServerKey: wakeKey };
};
// keepWaking hands over again what the engine does not have: of an account that was
// added since, or after a change of its key, with which it says that none is woken.
const keepWaking = async () => {
  if (!wakeKey || Notification.permission !== "granted" || !await subscribed() || held().every((d) => d.woken)) return;
  await handOver(await subscribe());
  await wakeState();
};
const wakeState = async () => {
  const all = held();
  const on = all.length > 0 && all.every((d) => d.woken) && Boolean(await subscribed());
  const blocked = Boolean(wakeKey) && Notification.permission === "denied";
  $("wake").hidden = !wakeKey || all.length === 0;
  $("woken").hidden = $("wake-off").hidden = !on || blocked;
  $("blocked").hidden = !blocked;
  $("wake-on").hidden = on || blocked;
  $("waiting").hidden = all.length === 0 || on && !blocked;
};
const quiet = async () => {
  const r = wakeKey && await navigator.serviceWorker.getRegistration("/phone");
  for (const shown of await r?.getNotifications?.() ?? []) shown.close();
};
const pressed = (id, what) => $(id).addEventListener("click", async () => {
  const button = $(id);
  if (button.hasAttribute("aria-busy")) return;
  button.setAttribute("aria-busy", "true");
  tell("trouble", "");
  try { await what(); } catch (error) {
    tell("trouble", error.code && typeof error.code === "string" ? error.message : words.wakeFailed);
  }
  button.removeAttribute("aria-busy");
  await wakeState();
});
pressed("wake-on", async () => {
  if (await Notification.requestPermission() === "granted") await handOver(await subscribe());
});
pressed("wake-off", async () => {
  await handOver(null);
  await (await subscribed())?.unsubscribe();
});

let timers = false;
const begin = async () => {
  const all = await stored("readonly", (devices) => devices.getAll());
  for (const d of all) if (!cards.has(d.device)) show(d);
  $("home").hidden = false;
  $("title").textContent = $("title").dataset.home;
  $("none").hidden = cards.size > 0;
  await wakeState();
  await tick();
  await look();
  await keepWaking().catch(() => {}); // it asks while it is open, all the same
  if (timers) return;
  timers = true;
  setInterval(tick, 1000);
  setInterval(look, 4000);
  document.addEventListener("visibilitychange", () => { tick(); look(); });
  if (wakeKey) navigator.serviceWorker.addEventListener("message", look);
};

if (!window.isSecureContext || !crypto.subtle) {
  $("insecure").hidden = false;
  if (add) add.hidden = true;
} else if (document.querySelector("main").dataset.page === "phone") {
  begin().catch(() => tell("trouble", words.storage));
} else if (!add) { // an old link, as a bookmark may be: what is kept here is of use still
  stored("readonly", (devices) => devices.count()).then((n) => n && begin()).catch(() => {});
}
