// The dashboard's one entry: refresh, menus, dialogs, filters, theme.

import * as ask from "./ask.js";
import { go, refresh, start as startLive } from "./live.js";
import * as menus from "./menus.js";

const THEMES = ["system", "light", "dark"];
const THEME_ICONS = { system: "half", light: "sun", dark: "moon" };

function startTheme() {
  const button = document.getElementById("theme");
  if (!button) return;
  const current = () => document.documentElement.dataset.theme ?? "system";
  const show = () => {
    const label = `Theme: ${current()}`;
    button.title = label;
    button.setAttribute("aria-label", label);
    button.querySelector("use").setAttribute("href", `#i-${THEME_ICONS[current()]}`);
  };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length];
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // Storage may be forbidden: the choice then lasts as long as the page.
    }
    show();
  });
  show();
}

// Filters change the address and the table, not the page.
function startFilters() {
  const form = document.getElementById("filters");
  if (!form) return;
  let wait = 0;
  const send = () => {
    if (!form.reportValidity()) return;
    const key = form.elements.namedItem("key");
    if (key) key.hidden = form.elements.namedItem("group_by").value !== "label";
    const wanted = new URLSearchParams();
    for (const [key, value] of new FormData(form)) if (value) wanted.append(key, value);
    // A page whose frame also depends on the filters is loaded anew.
    if ("page" in form.dataset && !(key && !key.hidden && !key.value)) {
      location.assign(`${form.getAttribute("action")}?${wanted}`);
      return;
    }
    go(`${form.getAttribute("action")}${wanted.size ? `?${wanted}` : ""}`, true);
  };
  form.addEventListener("input", (event) => {
    clearTimeout(wait);
    wait = setTimeout(send, ["search", "text", "date"].includes(event.target.type) ? 500 : 0);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
}

// The form follows the address when a chip, a heading or the back button changed it.
function syncFilters() {
  const form = document.getElementById("filters");
  if (!form) return;
  const wanted = new URLSearchParams(location.search);
  for (const field of form.elements) {
    if (!field.name || field === document.activeElement || field.type === "hidden") continue;
    field.value = wanted.get(field.name) ?? "";
  }
  let sort = form.elements.namedItem("sort");
  if (wanted.has("sort") && !sort) {
    sort = document.createElement("input");
    sort.type = "hidden";
    sort.name = "sort";
    form.append(sort);
  }
  if (sort) sort.value = wanted.get("sort") ?? "";
}

function startLinks() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-live-link]");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.href).then(syncFilters);
  });
  addEventListener("popstate", syncFilters);
}

startTheme();
startFilters();
startLinks();
menus.start();
ask.start(refresh);
startLive();
