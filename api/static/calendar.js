// The form of a calendar: its source becomes a request, and a rehearsal of it a preview.

import { call, el, icon, uuid } from "./dom.js";
import { rehearsing, saving } from "./saving.js";

const form = document.getElementById("calendar");
const preview = document.getElementById("preview");
const problem = document.getElementById("problem");
const MOST = 20;

// Names what has no name yet, while it is rehearsed.
const draftName = `preview ${uuid()}`.slice(0, 60);
const field = (name) => form.elements.namedItem(name);
const text = (name) => field(name).value.trim();
const kind = () => form.querySelector("[name=kind]:checked").value;

function listed() {
  const lines = field("dates").value.split("\n").map((line) => line.trim()).filter(Boolean);
  return Object.fromEntries(lines.map((line) => {
    const [day, ...name] = line.split(/\s+/);
    return [day, name.join(" ")];
  }));
}

const SOURCES = {
  holidays: () => ({
    country: text("country"), subdivision: text("subdivision"), language: text("language"), observed: field("observed").checked,
    categories: text("categories").split(",").map((one) => one.trim()).filter(Boolean),
  }),
  icalendar: () => ({ text: field("text").value, timezone: text("timezone"), skip_partial: field("skip_partial").checked }),
  dates: () => ({ dates: listed() }),
};

const body = () => ({ name: text("name") || draftName, source: { kind: kind(), ...SOURCES[kind()]() } });
const complete = () => ({ holidays: text("country"), icalendar: field("text").value.trim(), dates: text("dates") })[kind()];

function days(title, list) {
  if (!list.length) return null;
  return el("details", { open: list.length <= MOST }, el("summary", {}, `${title}: ${list.length}`),
    el("ul", { className: "rows-plain" }, list.slice(0, 200).map((one) => el("li", {}, el("span", { className: "soft nowrap" }, one.date), " ", one.name))));
}

// By how much schedules would be up longer or shorter, and from when.
const effect = (one) => el("li", {}, icon("calendar"), el("span", {}, `${one.schedule} (${one.endpoints} endpoint${one.endpoints === 1 ? "" : "s"}) is up ${one.hours === 0 ? "as many hours" : `${one.hours > 0 ? "+" : ""}${one.hours} h`} in a year`,
  one.dates.length > 0 && `, first other on ${one.dates[0]}`, one.acts_from && `, from its next edge, ${one.acts_from.slice(0, 16).replace("T", " ")} UTC`));

export function show(answer, box = preview, was = answer.version > 1) {
  const { changes } = answer;
  const found = was
    ? [days("New", changes?.added ?? []), days("Gone", changes?.removed ?? []), days("Renamed", changes?.renamed ?? [])]
    : [days("Days off", answer.dates)];
  const parts = found.filter(Boolean);
  if (was && !parts.length) parts.push(el("p", { className: "soft" }, icon("check"), " Its days stay as they are."));
  const told = [...answer.effects.map(effect), ...answer.findings.map((one) => el("li", {}, icon("info"), el("span", {}, one.message)))];
  box.replaceChildren(...parts, told.length ? el("ul", { className: "findings" }, told) : "",
    el("p", { className: "soft small" }, `Known from ${answer.covers_from} to ${answer.covers_to}${answer.extends ? "; later years follow by themselves" : ""}.`));
}

async function rehearse(signal) {
  if (!complete()) return;
  const answer = await call(form.dataset.method, `${form.dataset.url}?dry_run=true`, body(), { signal });
  show(answer.would);
}

function fitParts() {
  const select = field("subdivision");
  const chosen = select.value || select.dataset.chosen;
  const parts = (field("country").selectedOptions[0]?.dataset.parts ?? "").split(" ").filter(Boolean);
  select.replaceChildren(el("option", { value: "" }, "the whole country"), ...parts.map((part) => el("option", { value: part, selected: part === chosen }, part)));
  delete select.dataset.chosen;
}

function fitSource() {
  for (const part of form.querySelectorAll("[data-source]")) {
    part.hidden = part.dataset.source !== kind();
    for (const one of part.querySelectorAll("input, select, textarea")) one.disabled = part.hidden;
  }
}

function start() {
  const { later } = rehearsing(form, problem, rehearse, () => preview.replaceChildren());
  form.addEventListener("input", (event) => {
    if (event.target.name === "kind") fitSource();
    if (event.target.name === "country") fitParts();
    if (event.target.name !== "file") later();
  });
  field("file").addEventListener("change", async () => {
    const [file] = field("file").files;
    if (!file) return;
    field("text").value = await file.text();
    later();
  });
  saving(form, problem, body);
  fitParts();
  fitSource();
}

if (form) start();
