// Comfort for the sign-in pages. They work without it.
"use strict";

const $ = (id) => document.getElementById(id);
const say = (text) => { const live = $("live"); if (live) live.textContent = text; };
const words = (node, n) => (n === 1 ? node.dataset.single : node.dataset.several).replace("{n}", n);

// One press is enough: the second within a request does nothing.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
  if (event.submitter) event.submitter.setAttribute("aria-busy", "true");
  setTimeout(() => again([form]), 30000); // an answer takes 15 s at most: this one was broken off
});
const again = (forms) => {
  for (const form of forms) {
    delete form.dataset.sent;
    for (const field of form.elements) field.removeAttribute("aria-busy");
  }
};
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  // Browsers keep the page of those who go back; what it tells may have changed.
  if (document.querySelector('[data-page="profile"]')) { location.reload(); return; }
  again(document.forms);
});

// The link to the other form takes the typed address along.
for (const link of document.querySelectorAll("a[data-carry]")) {
  link.addEventListener("click", (event) => {
    const form = document.querySelector("main form");
    const field = $("identifier") || $("email");
    if (!form || !field || !field.value.trim() || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    const action = document.createElement("input");
    action.type = "hidden";
    action.name = "action";
    action.value = link.dataset.carry;
    form.append(action);
    form.submit();
  });
}

// What is to be changed can be typed over.
for (const input of document.querySelectorAll("input[data-select]")) {
  input.focus();
  input.select();
}

// A secret can be shown.
for (const input of document.querySelectorAll("input[data-show]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "reveal";
  button.textContent = input.dataset.show;
  button.setAttribute("aria-pressed", "false");
  button.setAttribute("aria-controls", input.id);
  button.addEventListener("click", () => {
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    button.textContent = shown ? input.dataset.show : input.dataset.hide;
    button.setAttribute("aria-pressed", String(!shown));
  });
  input.after(button);
  input.form.addEventListener("submit", () => { input.type = "password"; });
}

// How good a new password is, in words: length is what counts.
const meter = $("meter");
if (meter) {
  const min = Number(meter.dataset.min) || 8;
  $(meter.dataset.of).addEventListener("input", (event) => {
    const n = [...event.target.value].length;
    const left = min - n;
    meter.textContent = !n ? "" : left > 0 ? meter.dataset.short.replace("{n}", left) :
      n < min + 6 ? meter.dataset.fair : meter.dataset.good;
  });
}

// The mail can be asked for again after a while; the end of the wait is said once.
for (const button of document.querySelectorAll("button[data-wait]")) {
  const label = button.textContent;
  const ends = performance.now() + Number(button.dataset.wait) * 1000;
  const tick = () => {
    const left = Math.ceil((ends - performance.now()) / 1000);
    button.disabled = left > 0;
    button.textContent = left > 0 ? words(button, left) : label;
    if (left > 0) setTimeout(tick, 500); else say(button.dataset.ready);
  };
  tick();
}

// How long the code holds.
const valid = $("valid");
if (valid && Number(valid.dataset.seconds) > 0) {
  const ends = performance.now() + Number(valid.dataset.seconds) * 1000;
  const tick = () => {
    const left = ends - performance.now();
    if (left <= 0) {
      valid.textContent = "";
      say(valid.dataset.over);
      return;
    }
    valid.textContent = words(valid, Math.max(1, Math.round(left / 60000)));
    setTimeout(tick, Math.min(left + 50, 5000));
  };
  tick();
}

// Times in the reader's own zone, and as their region writes them.
const lang = document.documentElement.lang;
const tongue = navigator.language.split("-")[0] === lang ? navigator.language : lang;
const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const day = { year: "numeric", month: "long", day: "numeric" };
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  const as = { day, moment: { ...day, ...clock, month: "short" } }[time.dataset.as] || clock;
  if (!isNaN(at)) time.textContent = at.toLocaleString(tongue, as);
}

// The code on another device, to take along.
const copy = $("copy");
if (copy && navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText($("code").textContent.trim());
      say(copy.dataset.copied);
    } catch {
      getSelection().selectAllChildren($("code"));
    }
  });
}

// The mailed link, opened where the flow began, goes on by itself.
const go = document.querySelector('[data-page="link-continue"] form');
if (go) go.requestSubmit(go.querySelector("button"));

// Something that was sent is not to be cut off by going elsewhere.
const sending = () => [...document.forms].some((form) => form.dataset.sent);

// Was the link opened in this browser, or the phone asked? Asked for while the page is looked at,
// more slowly as time passes.
const poll = $("poll");
if (poll) {
  const check = $("check");
  if (check) check.hidden = true;
  const every = Number(poll.dataset.every);
  const began = performance.now();
  let timer = 0;
  let busy = false;
  let over = false;
  let delivery = poll.dataset.delivery;
  const plan = (wait) => {
    clearTimeout(timer);
    const minutes = (performance.now() - began) / 60000;
    timer = setTimeout(ask, Math.max(wait, minutes < 2 ? every : Math.min(every * minutes, 30000)));
  };
  const ask = async () => {
    if (document.hidden || busy || over) return;
    if (sending()) { plan(every); return; }
    busy = true;
    let wait = 0;
    try {
      const body = new URLSearchParams({ flow: poll.dataset.flow, turn: poll.dataset.turn, step: poll.dataset.step || "", delivery });
      const answer = await fetch(poll.dataset.url, { method: "POST", body, credentials: "same-origin" });
      const news = await answer.json();
      if (news.go && !sending()) { location.assign(news.go); return; }
      if (news.notice) { say(news.notice); delivery = news.delivery; }
      wait = news.wait || 0;
      over = !!news.stop;
    } catch {
      wait = 10000;
    } finally {
      busy = false;
    }
    if (!over) plan(wait);
  };
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
  plan(every);
}
