// Asks what a span of the past would have been under other rules, and shows both sides.

import { call, dollars, el, icon, labelsOf, nano, problemBox } from "./dom.js";
import { clearFields, markFields } from "./fields.js";
import { calendars } from "./schedule_rows.js";
import { when } from "./times.js";

const form = document.getElementById("what-if");
const answer = document.getElementById("answer");
const problem = document.getElementById("problem");
const field = (name) => form.elements.namedItem(name);
const text = (name) => field(name).value.trim();
const picked = (name) => [...(field(name)?.selectedOptions ?? [])].map((one) => one.value);
const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone ?? "UTC";

function selector() {
  const labels = labelsOf(text("labels"));
  const chosen = {};
  if (text("account")) chosen.account = text("account");
  if (text("endpoint")) chosen.endpoint = text("endpoint");
  if (Object.keys(labels).length) chosen.labels = labels;
  return Object.keys(chosen).length ? chosen : null;
}

// A day begins and ends on the clocks of the reader.
function midnight(day, later) {
  const at = new Date(`${day}T00:00`);
  at.setDate(at.getDate() + later);
  return at;
}

function body() {
  const wanted = { from: midnight(text("from"), 0).toISOString(), rules: picked("rules"), without: picked("without"), instead: field("instead").checked };
  const end = midnight(text("to"), 1);
  if (end < new Date()) wanted.to = end.toISOString();
  const chosen = selector();
  if (chosen) wanted.selector = chosen;
  const windows = text("windows").split(";").map((one) => one.trim()).filter(Boolean);
  if (windows.length) wanted.schedule = { timezone: text("timezone") || "UTC", windows, calendars: calendars() };
  if (text("timeout_minutes")) wanted.policy = { timeout_minutes: Number(text("timeout_minutes")), action: text("action") };
  if (text("ttl")) wanted.expiry = { ttl: text("ttl"), timezone: zone() };
  return wanted;
}

const bound = (amount) => dollars(nano({ amount }));

function band({ low, high }) {
  return bound(low) !== bound(high) && el("span", { className: "sub" }, `${bound(low)} to ${bound(high)}`);
}

function money(found, places = 2) {
  const missing = found.unpriced_seconds > 0;
  if (missing && nano(found) === 0n) return el("span", { className: "unpriced" }, "unpriced");
  return el("span", {}, dollars(nano(found), places), band(found), missing && el("span", { className: "unpriced small" }, " + unpriced"));
}

function number({ low, expected, high }, places = 0) {
  const shown = (value) => value.toLocaleString(undefined, { maximumFractionDigits: places });
  return el("span", {}, shown(expected), low !== high && el("span", { className: "sub" }, `${shown(low)} to ${shown(high)}`));
}

function verdict(saved) {
  const amount = nano(saved);
  const sides = bound(saved.low) === bound(saved.high) ? "" : ` (${bound(saved.low)} to ${bound(saved.high)})`;
  if (amount === 0n) return el("span", {}, "no difference");
  return amount > 0n
    ? el("span", { className: "saved" }, `${dollars(amount)} less${sides}`)
    : el("span", { className: "more" }, `${dollars(-amount)} more${sides}`);
}

const HEAD = ["Endpoint", "Hours awake", "Hours again", "Hours then", "Cost", "Cost again", "Cost then", "Saved", "Cold starts", "Would wait", "Refused", "Use not known"];

function line({ endpoint, compared, protected: shielded }) {
  const { metered, again, other } = compared;
  const cells = [
    number(metered.hours_awake, 1), number(again.hours_awake, 1), number(other.hours_awake, 1),
    money(metered.cost), money(again.cost), money(other.cost), money(compared.saved),
    number(other.cold_starts), number(compared.requests_that_wait), number(compared.requests_refused), `${compared.unknown_hours.toFixed(1)} h`,
  ];
  return el("tr", { role: "row" },
    el("td", { className: "whole", role: "cell" }, el("a", { className: "name", href: `/history/${endpoint.id}` }, endpoint.name),
      shielded && el("span", { className: "sub" }, "protected: rules only propose, so nothing would differ")),
    cells.map((cell, at) => el("td", { className: "num", role: "cell", data: { name: HEAD[at + 1] } }, cell)));
}

function table(items) {
  return el("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": "By endpoint" },
    el("table", { className: "cards", role: "table" },
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, HEAD.map((name, at) => el("th", { scope: "col", role: "columnheader", className: at ? "num" : "" }, name)))),
      el("tbody", { role: "rowgroup" }, items.map(line))));
}

function gaps(items) {
  const told = items.flatMap((one) => one.not_compared.map((gap) => `${one.endpoint.name}, ${when(new Date(gap.start))} to ${when(new Date(gap.end))}: ${gap.why}`));
  if (!told.length) return null;
  return el("details", {}, el("summary", {}, `Not compared: ${told.length}`), el("ul", { className: "findings" }, told.slice(0, 200).map((one) => el("li", {}, icon("info"), el("span", {}, one)))));
}

function show(found) {
  const rows = found.items.filter((one) => one.compared);
  const waits = rows.filter((one) => one.compared.requests_that_wait.high > 0 || one.compared.requests_refused.high > 0).length;
  const head = rows.length
    ? el("p", {}, "Metered ", el("strong", {}, dollars(nano(found.metered))), ", the same rules run again ", el("strong", { data: { figure: "again" } }, dollars(nano(found.again))), ", under the other rules about ", el("strong", { data: { figure: "other" } }, dollars(nano(found.other))), found.metered.unpriced_seconds > 0 && el("span", { className: "unpriced" }, " + unpriced"), ": ", verdict(found.saved),
      `. ${waits ? `Requests would have waited or been refused at ${waits} of ${rows.length} endpoints.` : "No request would have waited."}`)
    : el("p", { className: "soft" }, found.items.length ? "Nothing is kept of that time." : "It covers no managed endpoint.");
  answer.hidden = false;
  answer.replaceChildren(el("header", {}, el("h2", {}, "Against what was metered")), el("div", { className: "in stack-s" },
    [head, rows.length > 0 && table(rows), gaps(found.items), el("p", { className: "soft small" }, `Assumed: ${found.assumptions.join("; ")}.`)].filter(Boolean)));
  answer.scrollIntoView({ block: "nearest" });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button.main");
  button.disabled = true;
  answer.setAttribute("aria-busy", "true");
  problem.replaceChildren();
  clearFields(form);
  try {
    show(await call("POST", "/v1/reports/what-if", body()));
  } catch (error) {
    answer.hidden = true;
    problem.replaceChildren(problemBox(error));
    markFields(form, error);
    problem.scrollIntoView({ block: "nearest" });
  } finally {
    button.disabled = false;
    answer.removeAttribute("aria-busy");
  }
});
if (!field("timezone").value) field("timezone").value = zone();
