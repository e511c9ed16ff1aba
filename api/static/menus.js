// One menu for all rows: filled when opened, so that a refresh of the table never touches it.

import { el, icon } from "./dom.js";

const ITEMS = {
  pause: ["pause", "Pause…"],
  resume: ["play", "Resume…"],
  "scale-to-zero": ["moon", "Scale to zero…"],
  "hold-running": ["pin", "Keep running until…"],
  "hold-paused": ["pin", "Keep paused until…"],
  adopt: ["hand", "Adopt…"],
  release: ["eye", "Release: observe only…"],
  delete: ["trash", "Delete…"],
  undelete: ["play", "Undelete…"],
  extend: ["calendar", "Extend…"],
  expire: ["calendar", "Set when it expires…"],
};
const RISKY = new Set(["delete"]);

const menu = document.getElementById("menu");
const MOVED = 24;
let opener = null;
let openedAt = 0;

function fill(button) {
  const { endpoint, name } = button.dataset;
  const data = { endpoint, name };
  menu.replaceChildren();
  menu.setAttribute("aria-label", `Actions for ${name}`);
  for (const action of (button.dataset.menu ?? "").split(" ").filter((one) => one in ITEMS)) {
    const [symbol, text] = ITEMS[action];
    if (RISKY.has(action)) menu.append(el("hr"));
    menu.append(el("button", {
      type: "button", role: "menuitem", className: RISKY.has(action) ? "risky" : "",
      data: { act: action, ...data },
    }, icon(symbol), text));
  }
  if (!location.pathname.startsWith("/endpoints/")) {
    menu.append(el("hr"), el("a", { href: `/endpoints/${encodeURIComponent(endpoint)}`, role: "menuitem" }, icon("info"), "Open its page"));
  }
}

function place(button) {
  const box = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const left = Math.max(8, Math.min(box.right - width, innerWidth - width - 8));
  const below = box.bottom + 4;
  const top = below + height > innerHeight - 8 ? Math.max(8, box.top - height - 4) : below;
  menu.style.left = `${left}px`;
  menu.style.top = `${top}px`;
}

function open(button) {
  opener = button;
  fill(button);
  menu.showPopover();
  place(button);
  openedAt = button.getBoundingClientRect().top;
  button.setAttribute("aria-expanded", "true");
  menu.querySelector("[role=menuitem]")?.focus();
}

function move(event) {
  const items = [...menu.querySelectorAll("[role=menuitem]")];
  const at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (to === undefined) {
    if (event.key === "Tab") menu.hidePopover();
    return;
  }
  event.preventDefault();
  items.at(to % items.length).focus();
}

export function start() {
  if (!menu) return;
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-menu]");
    if (button) open(button);
    else if (menu.contains(event.target)) menu.hidePopover();
  });
  menu.addEventListener("keydown", move);
  menu.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    opener?.removeAttribute("aria-expanded");
    if (!document.querySelector("dialog[open]")) opener?.focus();
  });
  addEventListener("scroll", () => {
    if (!menu.matches(":popover-open")) return;
    if (Math.abs(opener.getBoundingClientRect().top - openedAt) > MOVED) menu.hidePopover();
  }, { passive: true });
}
