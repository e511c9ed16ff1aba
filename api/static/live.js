// Keeps the marked regions of a page fresh without losing focus, scroll or open parts.

import { localize, serverNow, setServerTime, span } from "./times.js";

const CALM = 5000;
const BUSY = 1500;
// A slow answer is asked for less often, so that a page never keeps a server busy for itself.
const REST = 10;
// What is slow to gather comes with every twelfth answer.
const WHOLE_EVERY = 12;
const MARKED = "[data-live]";

let timer = 0;
let running = null;
let lastGood = Date.now();
let took = 0;
let count = 0;

const options = {
  morphStyle: "outerHTML",
  callbacks: {
    // What the reader opened stays open, and what scrolls stays where it is.
    beforeAttributeUpdated: (name, node) => !(name === "open" && node.tagName === "DETAILS"),
  },
};

function apply(text) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const stamp = fresh.querySelector("meta[name=server-time]");
  if (stamp) setServerTime(stamp.content);
  localize(fresh);
  for (const region of document.querySelectorAll(MARKED)) {
    const next = fresh.getElementById(region.id);
    if (next) globalThis.Idiomorph.morph(region, next, options);
    else if ("reloadWhenGone" in region.dataset) return location.reload();
  }
  return document.dispatchEvent(new CustomEvent("refreshed"));
}

function lost(problem) {
  const mark = document.getElementById("link-lost");
  if (!mark) return;
  mark.hidden = !problem;
  if (problem) mark.textContent = `No answer; figures are ${span((Date.now() - lastGood) / 1000)} old`;
}

export async function refresh(url = location.href) {
  running?.abort();
  const began = performance.now();
  const live = ++count % WHOLE_EVERY ? "light" : "1";
  const mine = (running = new AbortController());
  try {
    const response = await fetch(url, { headers: { "X-Live": live }, signal: mine.signal });
    if (response.redirected || response.status === 401) return location.reload();
    if (!response.ok) throw new Error(`status ${response.status}`);
    apply(await response.text());
    lastGood = Date.now();
    took = performance.now() - began;
    lost(false);
  } catch (error) {
    if (error.name === "AbortError") return undefined;
    lost(true);
  }
  if (running === mine) schedule();
  return undefined;
}

export function schedule() {
  clearTimeout(timer);
  if (!document.querySelector(MARKED)) return;
  const wait = Math.max(document.querySelector("[data-busy]") ? BUSY : CALM, took * REST);
  timer = setTimeout(() => (document.hidden ? schedule() : refresh()), wait);
}

export function go(url, replace = false) {
  history[replace ? "replaceState" : "pushState"](null, "", url);
  return refresh(url);
}

export function start() {
  const stamp = document.querySelector("meta[name=server-time]");
  if (stamp) setServerTime(stamp.content);
  localize();
  setInterval(localize, 10000);
  schedule();
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  addEventListener("popstate", () => refresh());
}

export { serverNow };
