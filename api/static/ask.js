// Dialogs before a change: what it will do, until when and for how much, from a dry run.

import { show as showCalendar } from "./calendar.js";
import { call, dollars, el, labelsOf, nano, problemBox, toast, uuid } from "./dom.js";
import { localize, serverNow, when } from "./times.js";

const dialog = document.getElementById("ask");
const UNTIL = "until";
const REASON = "reason";

// What each action asks, and where it goes. `always` is said whatever the dry run answers.
const ACTIONS = {
  pause: { title: "Pause", verb: "Pause", path: "pause", fields: [UNTIL, REASON], always: "All replicas stop. Only a resume wakes it; requests get an error until then." },
  resume: { title: "Resume", verb: "Resume", path: "resume", fields: [UNTIL, REASON], always: "Replicas start, and are billed from their start on." },
  "scale-to-zero": { title: "Scale to zero", verb: "Scale to zero", path: "scale-to-zero", fields: [REASON], always: "All replicas stop. The next request wakes it, after a cold start." },
  "hold-running": { title: "Keep running", verb: "Keep running", path: "resume", fields: [UNTIL, REASON], needsUntil: true, always: "No rule puts it to sleep until then." },
  "hold-paused": { title: "Keep paused", verb: "Keep paused", path: "pause", fields: [UNTIL, REASON], needsUntil: true, always: "No rule wakes it until then." },
  adopt: { title: "Adopt", verb: "Adopt", path: "adopt", fields: ["team"], always: "Nothing changes now: what it does today becomes what is wanted of it. From then on rules that match it act from their next edge." },
  "adopt-all": { title: "Adopt all observed endpoints of", verb: "Adopt", url: () => "/v1/endpoints/adopt", fields: [], body: ({ endpoint }) => ({ selector: { account: endpoint } }), always: "Nothing changes now: what each does today becomes what is wanted of it. From then on rules that match it act from their next edge." },
  edit: { title: "Labels and owner of", verb: "Save", method: "PATCH", path: "", fields: ["labels", "owner", "protected"], always: "Costs are grouped and rules are bound by labels; a rule that newly matches acts from its next edge." },
  "allow-recreate": { title: "Allow stopping by deletion of", verb: "Allow it", method: "PUT", path: "allow-recreate", fields: ["forced", REASON], card: true, always: "This cloud cannot pause it. From then on a pause deletes it, and a resume makes it again." },
  "forbid-recreate": { title: "Take the leave back for", verb: "Take it back", method: "DELETE", path: "allow-recreate", fields: [], always: "No rule and no click deletes it any more in order to stop it. It keeps running, and is billed." },
  release: { title: "Release", verb: "Release", path: "release", fields: [], always: "It stays as it is and is only observed and counted from now on. No rule acts on it." },
  delete: { title: "Delete", verb: "Delete for good", method: "DELETE", path: "", fields: ["name"], danger: true, always: "It is paused first, for the grace that this server gives, and can be brought back until that ends. Then the endpoint and its address are gone for good; its costs stay in the ledger." },
  undelete: { title: "Undelete", verb: "Bring it back", path: "undelete", fields: [REASON], always: "What was wished for before holds again. Holds that its deletion ended stay ended." },
  extend: { title: "Extend", verb: "Extend", path: "extend", fields: ["by", REASON], always: "Its expiry is put off. What has expired comes back as it was wished for." },
  expire: { title: "Set the expiry of", verb: "Save", method: "PUT", path: "expiry", fields: ["expires", "grace", REASON], always: "It is paused then, after warnings. Nothing is stopped or deleted at once." },
  "end-lease": { title: "End the lease on", verb: "End the lease", method: "DELETE", url: ({ hold }) => `/v1/leases/${encodeURIComponent(hold)}`, fields: [], danger: true, always: "A program needs it running now. When its last lease ends, its rules decide again at once." },
  "end-hold": { title: "End the hold on", verb: "End the hold", method: "DELETE", url: ({ hold }) => `/v1/holds/${encodeURIComponent(hold)}`, fields: [], always: "Its rules decide again at once." },
  "remove-schedule": { title: "Remove schedule", verb: "Remove", method: "DELETE", url: ({ endpoint }) => `/v1/schedules/${encodeURIComponent(endpoint)}`, fields: [], danger: true, leave: "/schedules", always: "Its windows no longer act. Each endpoint goes back at once to what was last asked of it: what sleeps by this schedule and was last asked to run is resumed." },
  "remove-policy": { title: "Remove policy", verb: "Remove", method: "DELETE", url: ({ endpoint }) => `/v1/policies/${encodeURIComponent(endpoint)}`, fields: [], danger: true, leave: "/policies", always: "It no longer acts on any endpoint." },
  "remove-calendar": { title: "Remove calendar", verb: "Remove", method: "DELETE", url: ({ endpoint }) => `/v1/calendars/${encodeURIComponent(endpoint)}`, fields: [], danger: true, leave: "/calendars", always: "Only a calendar that nothing uses can be removed." },
  "refresh-calendar": { title: "Refresh calendar", verb: "Refresh", url: ({ endpoint }) => `/v1/calendars/${encodeURIComponent(endpoint)}/refresh`, fields: [], show: showCalendar, always: "It takes the days off that its source tells now, from today on; the past stays as it was." },
  "remove-expiry-policy": { title: "Remove expiry policy", verb: "Remove", method: "DELETE", url: ({ endpoint }) => `/v1/expiry-policies/${encodeURIComponent(endpoint)}`, fields: [], danger: true, leave: "/policies", always: "It gives no more ends and limits nothing any more. Ends that are set stay set." },
  freeze: { title: "Freeze everything", verb: "Freeze", method: "PUT", url: () => "/v1/freeze", fields: [REASON], needsReason: true, dry: false, danger: true, plain: true, always: "No rule and no request changes any endpoint until it is unfrozen. What runs keeps running and is billed. Observing and counting go on." },
  unfreeze: { title: "Unfreeze", verb: "Unfreeze", method: "DELETE", url: () => "/v1/freeze", fields: [], plain: true, always: "Rules act again at once: endpoints outside their windows go to sleep." },
  "freeze-account": { title: "Freeze account", verb: "Freeze", method: "PUT", url: () => "/v1/freeze", fields: [REASON], needsReason: true, dry: false, danger: true, body: ({ endpoint }) => ({ account: endpoint }), always: "No rule and no request changes any endpoint of this account until it is unfrozen." },
  "unfreeze-account": { title: "Unfreeze account", verb: "Unfreeze", method: "DELETE", url: ({ endpoint }) => `/v1/freeze?account=${encodeURIComponent(endpoint)}`, fields: [], always: "Rules act again at once on its endpoints." },
};

const UNTIL_CHOICES = [
  ["", "Its rules change again (usual)"],
  ["1", "1 hour from now"],
  ["2", "2 hours from now"],
  ["4", "4 hours from now"],
  ["at", "A time that I choose…"],
];

let refreshPage = () => undefined;

const target = (action, data) =>
  action.url ? action.url(data) : `/v1/endpoints/${encodeURIComponent(data.endpoint)}${action.path ? `/${action.path}` : ""}`;

const localInput = (at) => new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);

function untilField(action) {
  const choices = UNTIL_CHOICES.filter(([value]) => value || !action.needsUntil);
  const at = el("input", { type: "datetime-local", name: "until-at", hidden: true, min: localInput(serverNow()) });
  at.setAttribute("aria-label", "Until when");
  const select = el("select", { name: "until", id: "ask-until", on: {
    change: () => {
      at.hidden = select.value !== "at";
      at.required = !at.hidden;
      if (!at.hidden && !at.value) at.value = localInput(new Date(serverNow().getTime() + 8 * 3600000));
    },
  } }, choices.map(([value, text]) => el("option", { value }, text)));
  return el("div", { className: "field" }, el("label", { htmlFor: "ask-until" }, "Until"), select, at);
}

const FIELDS = {
  until: untilField,
  reason: (action) => el("div", { className: "field" },
    el("label", { htmlFor: "ask-reason" }, "Reason", action.needsReason ? "" : el("span", { className: "hint" }, " (optional; others will read it)")),
    el("input", { id: "ask-reason", name: "reason", maxLength: 500, autocomplete: "off", required: Boolean(action.needsReason) })),
  by: () => el("div", { className: "field" },
    el("label", { htmlFor: "ask-by" }, "By", el("span", { className: "hint" }, " (3d, 12h, 5wd for working days, or to a date)")),
    el("input", { id: "ask-by", name: "by", value: "3d", maxLength: 40, required: true, autocomplete: "off", spellcheck: false })),
  expires: () => el("div", { className: "field" },
    el("label", { htmlFor: "ask-expires" }, "Expires", el("span", { className: "hint" }, " (14d, 5wd for working days, or a date)")),
    el("input", { id: "ask-expires", name: "expires", value: "14d", maxLength: 40, required: true, autocomplete: "off", spellcheck: false })),
  grace: (action, data) => el("div", { className: "field" },
    el("label", { htmlFor: "ask-grace" }, "Delete it", el("span", { className: "hint" }, " (so long after it has expired, such as 7d; none for never)")),
    el("input", { id: "ask-grace", name: "grace", value: data.grace ?? "", maxLength: 20, autocomplete: "off", spellcheck: false })),
  team: () => el("div", { className: "field" },
    el("label", { htmlFor: "ask-team" }, "Team", el("span", { className: "hint" }, " (optional; becomes the label team)")),
    el("input", { id: "ask-team", name: "team", maxLength: 120, autocomplete: "off" })),
  labels: (action, data) => el("div", { className: "field" },
    el("label", { htmlFor: "ask-labels" }, "Labels"),
    el("input", { id: "ask-labels", name: "labels", value: data.labels, autocomplete: "off", spellcheck: false, placeholder: "team=search, stage=test" })),
  owner: (action, data) => el("div", { className: "field" },
    el("label", { htmlFor: "ask-owner" }, "Owner"),
    el("input", { id: "ask-owner", name: "owner", value: data.owner, maxLength: 120, autocomplete: "off" })),
  protected: (action, data) => el("label", { className: "check" },
    el("input", { type: "checkbox", name: "protected", checked: Boolean(data.protected) }),
    el("span", {}, "Protected: rules only propose, people decide")),
  forced: () => el("label", { className: "check", hidden: true },
    el("input", { type: "checkbox", name: "forced" }),
    el("span", {}, "Although another tool manages it as well")),
  name: (action, data) => el("div", { className: "field" },
    el("label", { htmlFor: "ask-name" }, "Type its name, ", el("code", {}, data.name), ", to confirm"),
    el("input", { id: "ask-name", name: "name", required: true, autocomplete: "off", spellcheck: false })),
};

// Dates and working days are read in the zone of the person who types them.
const zone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

function bodyOf(action, data, form) {
  const body = action.body?.(data) ?? {};
  const value = (name) => form.elements.namedItem(name)?.value?.trim() ?? "";
  if (action.fields.includes(REASON) && value("reason")) body.reason = value("reason");
  if (action.fields.includes(UNTIL)) {
    const choice = value("until");
    if (choice === "at" && value("until-at")) body.until = new Date(value("until-at")).toISOString();
    else if (choice && choice !== "at") body.until = new Date(serverNow().getTime() + Number(choice) * 3600000).toISOString();
  }
  if (action.fields.includes("labels")) {
    body.labels = labelsOf(value("labels"));
    body.owner = value("owner");
    body.protected = form.elements.namedItem("protected").checked;
  }
  if (action.fields.includes("by")) Object.assign(body, { for: value("by"), timezone: zone() });
  if (action.fields.includes("expires")) {
    Object.assign(body, { expires: value("expires"), timezone: zone() });
    if (value("grace")) body.delete_grace = value("grace");
  }
  if (action.card) {
    body.digest = form.dataset.contract ?? "";
    body.forced = form.elements.namedItem("forced").checked;
  }
  if (value("team")) body.labels = { team: value("team") };
  return body;
}

function urlOf(action, data, form, dry) {
  const url = new URL(target(action, data), location.origin);
  const name = form.elements.namedItem("name")?.value;
  if (action.fields.includes("name")) url.searchParams.set("confirm", dry ? data.name : name);
  if (dry) url.searchParams.set("dry_run", "true");
  return url.pathname + url.search;
}

const timeOf = (text) => el("time", { dateTime: text, title: text }, when(new Date(text)));

// The dry run in words: until when it holds, and what that costs.
function answerRows(action, answer) {
  const rows = [];
  const { hold } = answer ?? {};
  if (hold) {
    const paused = hold.wish === "paused";
    rows.push(["Held until", timeOf(hold.until)]);
    if (paused) rows.push(["Costs", "nothing while it is paused"]);
    else rows.push(["Costs", hold.cost ? `about ${dollars(nano(hold.cost))}` : el("span", { className: "unpriced" }, "unpriced")]);
    rows.push(["Then", paused ? "its rules decide again and may wake it" : "its rules decide again and may put it to sleep"]);
  } else if (answer?.expiry && (action.fields.includes("by") || action.fields.includes("expires"))) {
    rows.push(["Expires", timeOf(answer.expiry.at)]);
    const days = answer.expiry.delete_grace_seconds === null ? null : answer.expiry.delete_grace_seconds / 86400;
    rows.push(["Then", days === null ? "paused" : `paused, and deleted ${Number(days.toFixed(1))} days later`]);
  } else if (answer && action.fields.includes(UNTIL)) {
    rows.push(["Until", "no rule objects: until a person or a rule changes it"]);
  }
  return rows;
}

function showAnswer(box, action, answer) {
  const rows = answerRows(action, answer);
  box.replaceChildren(el("p", {}, action.always), ...(answer?.warnings ?? []).map((text) => el("p", {}, text)));
  const skipped = answer?.skipped ?? [];
  if (skipped.length) box.append(el("p", {}, `Left as observed: ${skipped.map((one) => `${one.endpoint.name} (${one.reason})`).join("; ")}`));
  if (action.show && answer) {
    const shown = el("div", { className: "stack-s" });
    action.show(answer, shown, true);
    box.append(shown);
  }
  if (rows.length) box.append(el("dl", {}, rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
  localize(box);
  box.removeAttribute("aria-busy");
}

// What a pause would keep and lose, as the cloud says now; the leave rests on what is shown here.
async function showCard(data, form) {
  const card = await call("GET", `/v1/endpoints/${encodeURIComponent(data.endpoint)}/contract`);
  form.dataset.contract = card.digest;
  form.elements.namedItem("forced").closest("label").hidden = !card.managed_by.length;
  const minutes = card.minutes_to_return === null ? [] : [`about ${card.minutes_to_return} minutes (${card.measured ? "measured" : "an estimate"})`];
  const rows = [["Kept", card.kept], ["Lost", card.lost], ["Back in", minutes], ["Risks", card.risks], ["Alarms", card.alarms], ["Quota", card.quota ? [card.quota] : []], ["Managed by", card.managed_by], ["Forbidden now", card.obstacles]];
  return el("dl", { className: "card-rows" }, rows.filter(([, texts]) => texts.length).map(([name, texts]) => [el("dt", {}, name), el("dd", {}, texts.map((text) => el("div", {}, text)))]));
}

// Asks for a dry run and shows it; `settled` is told whether it was refused.
function rehearsal(action, data, form, box, problems, settled) {
  let waiting = null;
  return async () => {
    waiting?.abort();
    const mine = (waiting = new AbortController());
    box.setAttribute("aria-busy", "true");
    const method = action.method ?? "POST";
    try {
      const card = action.card ? await showCard(data, form) : null;
      if (card) box.replaceChildren(el("p", {}, action.always), card);
      const body = method === "DELETE" ? undefined : bodyOf(action, data, form);
      const answer = await call(method, urlOf(action, data, form, true), body, { signal: mine.signal });
      problems.replaceChildren();
      if (card) box.removeAttribute("aria-busy");
      else showAnswer(box, action, answer.would);
      settled(false);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (form.dataset.contract) box.removeAttribute("aria-busy");
      else showAnswer(box, action, null);
      problems.replaceChildren(problemBox(error));
      settled(Boolean(error.body?.status));
    }
  };
}

async function send(action, data, form, problems, button) {
  button.disabled = true;
  const method = action.method ?? "POST";
  try {
    const body = method === "DELETE" ? undefined : bodyOf(action, data, form);
    const answer = await call(method, urlOf(action, data, form, false), body, { key: form.dataset.key });
    dialog.close();
    const name = data.name ? ` ${data.name}` : "";
    toast(answer?.kind ? `${action.title}${name}: asked for, under way.` : `${action.title}${name}: done.`);
    if (action.leave) location.assign(action.leave);
    else refreshPage();
  } catch (error) {
    problems.replaceChildren(problemBox(error));
    // A refusal ends the attempt; after a lost answer the same key finds the first try again.
    if (error.body?.status) form.dataset.key = uuid();
    button.disabled = false;
  }
}

function open(name, data) {
  const action = ACTIONS[name];
  const opener = document.activeElement;
  const box = el("div", { className: "will", "aria-live": "polite" }, el("p", {}, action.always));
  const problems = el("div");
  const button = el("button", { className: action.danger ? "danger" : "main" }, action.verb);
  const form = el("form", { method: "dialog", data: { key: uuid() } },
    el("h2", { id: "ask-title" }, data.name && !action.plain ? `${action.title} ${data.name}${action.method === "PATCH" ? "" : "?"}` : `${action.title}?`),
    box,
    action.fields.map((field) => FIELDS[field](action, data)),
    problems,
    el("footer", {}, el("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel"), button));
  let refused = false;
  const guard = () => {
    const typed = form.elements.namedItem("name")?.value ?? data.name;
    button.disabled = refused || (action.fields.includes("name") && typed !== data.name);
  };
  const ask = rehearsal(action, data, form, box, problems, (wasRefused) => {
    refused = wasRefused;
    guard();
  });
  let wait = 0;
  form.addEventListener("input", (event) => {
    guard();
    if (event.target.name === "forced") ask();
    if (/^(until|by$|expires$|grace$)/.test(event.target.name ?? "")) {
      clearTimeout(wait);
      wait = setTimeout(ask, 150);
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(action, data, form, problems, button);
  });
  guard();
  dialog.replaceChildren(form);
  dialog.addEventListener("close", () => opener?.isConnected && opener.focus?.(), { once: true });
  dialog.showModal();
  (form.querySelector("input:not([hidden]), select") ?? button).focus();
  if (action.dry !== false) ask();
}

export function start(refresh) {
  if (!dialog) return;
  refreshPage = refresh;
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-act]");
    if (button && button.dataset.act in ACTIONS) open(button.dataset.act, { ...button.dataset });
  });
  // A click on the backdrop is a click on the dialog itself.
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}
