// Wakes Stile on your phone: says that a question has come, and opens the page that
// answers it. Nothing that is pushed answers anything, nor is it shown as more than this.
"use strict";

const page = "/phone";
const pages = () => self.clients.matchAll({ type: "window", includeUncontrolled: true });

self.addEventListener("push", (event) => {
  let app = "";
  try { app = event.data.json().app ?? ""; } catch { /* it came without words */ }
  event.waitUntil((async () => {
    await self.registration.showNotification("Is this you?", {
      body: (app ? app + ": somebody signs in with your account. " : "Somebody signs in with your account. ") + "Open this to answer.",
      icon: "/phone/icon-192.png", tag: "request", renotify: true,
    });
    for (const open of await pages()) open.postMessage("look");
  })());
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil((async () => {
    const open = (await pages()).find((p) => new URL(p.url).pathname === page);
    return open ? open.focus() : self.clients.openWindow(page);
  })());
});
