// What every page has: questions before destructive acts, copy buttons, announcements, one open menu.
"use strict";

// A button or form with data-confirm asks first. The submit goes on, through the same button, after a yes; with
// data-also it may go on another way too, which fills the field that data-also-field names.
const dialog = document.getElementById("confirm");
document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter;
  const asks = button?.dataset.confirm ? button : form;
  if (!asks.dataset.confirm || form.dataset.confirmed) return;
  event.preventDefault();
  document.getElementById("confirm-question").textContent = asks.dataset.confirm;
  document.getElementById("confirm-detail").textContent = asks.dataset.detail || "";
  document.getElementById("confirm-yes").textContent = asks.dataset.yes || "Yes";
  dialog.querySelector("[value=no]").textContent = asks.dataset.no || "Cancel";
  const also = document.getElementById("confirm-also");
  also.hidden = !asks.dataset.also;
  also.textContent = asks.dataset.also || "";
  dialog.returnValue = "";
  dialog.addEventListener("close", () => {
    if (dialog.returnValue !== "yes" && dialog.returnValue !== "also") return;
    if (dialog.returnValue === "also") form.elements[asks.dataset.alsoField].value = "yes";
    form.dataset.confirmed = "yes";
    form.requestSubmit(button?.isConnected ? button : undefined);
    delete form.dataset.confirmed;
  }, { once: true });
  dialog.showModal();
});

// While the question is open nothing may be replaced beneath it: the button that asked would be gone.
document.addEventListener("htmx:beforeRequest", (event) => { if (dialog.open) event.preventDefault(); });
document.addEventListener("htmx:beforeSwap", (event) => { if (dialog.open) event.detail.shouldSwap = false; });

// A form that was sent is not sent again by a second click.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => document.querySelectorAll("[data-sent]").forEach((form) => delete form.dataset.sent));

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const says = button.querySelector("span");
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    says.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(source);
    says.textContent = "Press Ctrl and C";
  }
  setTimeout(() => { says.textContent = "Copy"; }, 2500);
});

// Parts that refresh themselves say their news once, and only when it is news.
const announcer = document.getElementById("announcer");
let last = document.querySelector("[data-announce]")?.dataset.announce;
document.addEventListener("htmx:afterSettle", () => {
  const news = document.querySelector("[data-announce]")?.dataset.announce;
  if (news && news !== last) announcer.textContent = last = news;
});

document.addEventListener("keydown", (event) => {
  const menu = document.querySelector(".menu[open]");
  if (event.key !== "Escape" || !menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

document.querySelector(".field-wrong :is(input, select, textarea)")?.focus();
