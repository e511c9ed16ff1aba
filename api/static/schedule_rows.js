// The rows of the schedule form besides windows, and the coming weeks of its preview.

import { el, icon } from "./dom.js";

const rows = (id) => [...document.querySelectorAll(`#${id} .part-row`)];
const value = (row, name) => row.querySelector(`[name=${name}]`).value.trim();

// What is typed goes to the server as text, which reads it as the command line's.
export function points() {
  return rows("points").map((row) => ({ action: value(row, "point_action"), expression: value(row, "point_expression") }));
}

export function dates() {
  return rows("dates").map((row) => {
    const note = value(row, "date_note");
    return [value(row, "date_day"), value(row, "date_kind"), value(row, "date_times"), note && `# ${note}`].filter(Boolean).join(" ");
  });
}

export const calendars = () => [...document.querySelectorAll("[name=calendar]:checked")].map((box) => box.value);

// A window with other dates than days of the week is sent as text: `mon,1st mon,last 08:00-18:00`.
export function windowBody({ also, ...window }) {
  if (!also) return window;
  const flags = `${window.keep_running ? " keep-running" : ""}${window.ready_by ? " ready-by" : ""}`;
  return `${[...window.days, also].join(",")} ${window.start}-${window.end}${flags}`;
}

// Rows come from their template and go with their button.
export function growing(id, changed) {
  const list = document.getElementById(id);
  document.getElementById(`add-${id}`).addEventListener("click", () => {
    list.append(document.getElementById(`${id}-template`).content.cloneNode(true));
    list.lastElementChild.querySelector("input, select").focus();
    changed();
  });
  list.addEventListener("click", (event) => {
    const button = event.target.closest("[data-remove-row]");
    if (!button) return;
    button.closest("li").remove();
    changed();
  });
}

const NAMES = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const wall = (text) => `${NAMES[new Date(`${text.slice(0, 10)}T00:00:00Z`).getUTCDay()]} ${text.slice(0, 16).replace("T", " ")}`;
const utc = (text) => text.slice(0, 16).replace("T", " ");
const WORDS = { available: "may run", running: "kept running", paused: "paused" };

function lines(week) {
  return [
    ...week.edges.map((one) => ({ ...one, then: WORDS[one.wish] })),
    ...week.points.map((one) => ({ ...one, then: `${one.action} point` })),
    ...week.days_off.map((one) => ({ at_utc: `${one.date}T00:00Z`, at_local: one.date, day: true, then: `day off: ${one.name}` })),
  ].sort((a, b) => (a.at_local < b.at_local ? -1 : 1));
}

export function comingWeeks(weeks) {
  const found = weeks.flatMap(lines);
  if (!found.length) return null;
  const head = ["Local time", "UTC", "Then"];
  const shown = found.slice(0, 60);
  return el("details", { className: "coming" }, el("summary", {}, `The next ${weeks.length} weeks, edge by edge`),
    el("div", { tabIndex: 0 }, el("table", { className: "effects" },
      el("thead", {}, el("tr", {}, head.map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, shown.map((one) => el("tr", {}, el("td", {}, one.day ? wall(`${one.at_local}T`).slice(0, 14) : wall(one.at_local)), el("td", {}, one.day ? "" : utc(one.at_utc)), el("td", {}, one.then)))))),
    found.length > shown.length && el("p", { className: "soft small" }, `and ${found.length - shown.length} more`));
}

// By how much endpoints are started early, and what that rests on.
export function earlyStarts(endpoints) {
  const early = endpoints.filter((one) => one.start_up);
  if (!early.length) return null;
  return el("ul", { className: "findings" }, early.slice(0, 12).map((one) => el("li", {}, icon("wait"),
    el("span", {}, `${one.name} starts ${one.start_up.minutes} minutes early: ${one.start_up.detail}`))));
}

export function lateStarts(starts) {
  const told = starts.filter((one) => one.remarks.length);
  if (!told.length) return null;
  return el("ul", { className: "findings" }, told.slice(0, 12).map((one) => el("li", {}, icon("info"),
    el("span", {}, `${one.name}, ${wall(one.at_local)}: ${one.remarks.join("; ")}`))));
}
