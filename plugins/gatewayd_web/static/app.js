// What the pages do by themselves: tick all, and move by keys. Everything works without it.
"use strict";

document.addEventListener("change", (event) => {
  const name = event.target.dataset.all;
  if (!name) return;
  const within = event.target.closest("[data-scope]") ?? event.target.form;
  for (const box of within.querySelectorAll(`input[name="${name}"], input[data-all="${name}"]`)) box.checked = event.target.checked;
});

// --- keys: j and k move, o opens, x ticks, / searches, l links, u goes back to the list ------------------------------

function rows() {
  return [...document.querySelectorAll("[data-row]")];
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  const now = all.findIndex((row) => row.classList.contains("current"));
  const next = all[Math.min(Math.max(now + step, 0), all.length - 1)];
  all[now]?.classList.remove("current");
  next.classList.add("current");
  next.querySelector("[data-open]")?.focus();
  next.scrollIntoView({ block: "nearest" });
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  o: () => document.querySelector("[data-row].current [data-open]")?.click(),
  x: () => document.querySelector("[data-row].current input[type=checkbox]")?.click(),
  l: () => document.querySelector('[data-key="l"]')?.click(),
  u: () => document.querySelector('[data-key="u"]')?.click(),
  "/": () => document.querySelector('[data-key="/"]')?.focus(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
  const act = KEYS[event.key];
  if (!act || document.body.dataset.keys === "off") return;
  event.preventDefault();
  act();
});

// --- news: a list that can show new mail does so by itself, unless the person is at work in it ----------------------

const fresh = document.querySelector("[data-fresh]");

function atWork(list) {
  return list.querySelector("input:checked") || list.contains(document.activeElement) || localStorage.getItem("pause") === "yes";
}

function news() {
  const list = document.querySelector("[data-fresh]");
  if (!list || document.hidden) return;
  const said = document.getElementById("said");
  if (atWork(list)) {
    said.textContent = list.dataset.says;
    return;
  }
  htmx.ajax("GET", list.dataset.fresh, { target: list, swap: "innerHTML" });
}

const live = document.querySelector("[data-live]");
if (live) {
  live.checked = localStorage.getItem("pause") !== "yes";
  live.addEventListener("change", () => localStorage.setItem("pause", live.checked ? "no" : "yes"));
}

if (fresh && window.SharedWorker) {
  const worker = new SharedWorker("/static/stream.js");
  worker.port.addEventListener("message", (event) => event.data === "mail" && news());
  worker.port.start();
  addEventListener("pagehide", () => worker.port.postMessage("closed"));
  addEventListener("visibilitychange", news);
}

if (document.querySelector("[data-print]")) addEventListener("load", () => print());
