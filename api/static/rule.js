// The forms of schedules and policies: what is typed becomes a request, and a preview of it.

import { call, dollars, el, icon, labelsOf, nano, problemBox, uuid } from "./dom.js";
import { rehearsing, saving } from "./saving.js";
import { calendars, comingWeeks, dates, earlyStarts, growing, lateStarts, points, windowBody } from "./schedule_rows.js";

const form = document.getElementById("rule");
const preview = document.getElementById("preview");
const problem = document.getElementById("problem");
const isSchedule = form.dataset.kind === "schedule";
const HOURS_PER_MONTH = 730.5;

// Names what has no name yet, while it is rehearsed.
const draftName = `preview ${uuid()}`.slice(0, 60);
let covered = [];
// Stands for what the last rehearsal showed: saving is refused where that is other now.
let confirmed = "";
// Why the rule would not act on an endpoint that it covers, by id; null until a save was rehearsed.
let notActing = null;

const field = (name) => form.elements.namedItem(name);

function selector() {
  const chosen = {};
  const labels = labelsOf(field("labels").value);
  if (field("account").value) chosen.account = field("account").value;
  if (field("endpoint").value.trim()) chosen.endpoint = field("endpoint").value.trim();
  if (Object.keys(labels).length) chosen.labels = labels;
  return Object.keys(chosen).length ? chosen : null;
}

function windows() {
  return [...document.querySelectorAll("#windows .window-row")].map((row) => ({
    days: [...row.querySelectorAll("[name=day]:checked")].map((box) => box.value),
    start: row.querySelector("[name=start]").value,
    end: row.querySelector("[name=end]").value,
    keep_running: row.querySelector("[name=keep_running]").checked,
    ready_by: row.querySelector("[name=ready_by]").checked,
    also: row.querySelector("[name=also]").value.trim(),
  }));
}

function quietHours() {
  const list = field("quiet").value.split(";").map((text) => text.trim()).filter(Boolean);
  return list.length ? { timezone: field("quiet_zone").value.trim() || "UTC", windows: list } : null;
}

const text = (name) => field(name).value.trim();

function expiryBody(shared) {
  const count = text("max_extensions");
  return {
    ...shared, default_ttl: text("default_ttl"), max_ttl: text("max_ttl"), max_extension: text("max_extension"),
    max_extensions: count ? Number(count) : null, warn_before: text("warn_before").split(",").map((one) => one.trim()).filter(Boolean),
    delete_grace: text("delete_grace"), timezone: text("timezone") || "UTC", calendars: calendars(),
  };
}

function body() {
  const named = { name: text("name"), selector: selector(), enabled: field("enabled").checked };
  if (form.dataset.kind === "expiry") return expiryBody(named);
  const shared = { ...named, shadow: field("shadow").checked };
  if (isSchedule) {
    const apply = document.getElementById("apply-now")?.checked ? covered : [];
    return {
      ...shared, timezone: text("timezone"), windows: windows().map(windowBody),
      points: points(), dates: dates(), calendars: calendars(),
      drain_minutes: Number(field("drain_minutes").value), apply_now: apply, confirm: apply.length ? confirmed : "",
    };
  }
  return {
    ...shared, kind: "idle", action: form.querySelector("[name=action]:checked").value,
    timeout_minutes: Number(field("timeout_minutes").value),
    min_awake_minutes: Number(field("min_awake_minutes").value),
    quiet_hours: quietHours(),
  };
}

const monthly = (money) => (money ? dollars(nano(money), 0) : el("span", { className: "unpriced" }, "unpriced"));
const partly = (row) => row.unpriced.length > 0 && row.cost_month && el("span", { className: "unpriced small" }, ` + unpriced ${row.unpriced.join(", ")}`);
const sum = (list) => list.reduce((all, one) => all + nano(one), 0n);

// Only what the rule may act on counts; who may not rehearse a save is not told a sum.
function savings(rows) {
  if (!notActing) return null;
  const acting = rows.filter((row) => !notActing.has(row.id));
  const priced = acting.filter((row) => row.cost_month && row.cost_month_today);
  if (!priced.length) return null;
  const now = sum(priced.map((row) => row.cost_month_today));
  const then = sum(priced.map((row) => row.cost_month));
  const difference = dollars(now, 0) === dollars(then, 0) ? "no difference" : then < now
    ? el("span", { className: "saved" }, `${dollars(now - then, 0)} less`)
    : el("span", { className: "more" }, `${dollars(then - now, 0)} more`);
  const missing = acting.length - priced.length;
  const acts = field("enabled").checked && !field("shadow").checked;
  return el("p", {}, acts ? "A month costs about " : "If it acted, a month would cost about ", el("strong", {}, dollars(then, 0)), ` instead of ${dollars(now, 0)} as it is today: `,
    difference, missing ? ` (${missing} unpriced left out).` : ".");
}

const outside = (row) => (row.let_go ? "covered no more" : notActing?.get(row.id));

function effects(rows) {
  if (!rows.length) return null;
  const shown = rows.slice(0, 25);
  const head = ["Endpoint", "Hours", "A month", "Today"];
  return el("table", { className: "effects" },
    el("thead", {}, el("tr", {}, head.map((text, at) => el("th", { scope: "col", className: at ? "num" : "" }, text)))),
    el("tbody", {}, shown.map((row) => el("tr", {},
      el("td", {}, row.name, outside(row) && el("span", { className: "sub" }, outside(row))), el("td", { className: "num" }, row.hours_month.toFixed(0)),
      el("td", { className: "num" }, monthly(row.cost_month), partly(row)), el("td", { className: "num" }, monthly(row.cost_month_today))))),
    rows.length > shown.length && el("tfoot", {}, el("tr", {}, el("td", { colSpan: 4, className: "soft small" }, `and ${rows.length - shown.length} more`))));
}

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const minute = (text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3, 5));

// The nominal week, drawn as the server draws it for saved schedules.
function weekGrid(list) {
  const space = "http://www.w3.org/2000/svg";
  const add = (parent, name, attributes, text) => {
    const node = document.createElementNS(space, name);
    for (const [attribute, value] of Object.entries(attributes)) node.setAttribute(attribute, value);
    if (text) node.textContent = text;
    parent.append(node);
    return node;
  };
  const [left, width, lane, step] = [30, 400, 15, 19];
  const scale = (width - left) / 1440;
  const root = document.createElementNS(space, "svg");
  for (const [name, value] of [["class", "week"], ["viewBox", `0 0 ${width} ${7 * step + 14}`], ["role", "img"], ["aria-label", "The week as typed"]]) root.setAttribute(name, value);
  DAYS.forEach((day, at) => {
    add(root, "text", { x: 0, y: at * step + 12 }, day[0].toUpperCase() + day.slice(1));
    add(root, "rect", { class: "lane", x: left, y: at * step, width: width - left, height: lane, rx: 3 });
  });
  for (const hour of [0, 6, 12, 18, 24]) {
    const x = left + hour * 60 * scale;
    add(root, "line", { class: "tick", x1: x, x2: x, y1: 0, y2: 7 * step });
    add(root, "text", { x, y: 7 * step + 12, "text-anchor": hour === 24 ? "end" : "middle" }, String(hour).padStart(2, "0"));
  }
  for (const one of [...list].sort((a, b) => a.keep_running - b.keep_running)) {
    if (!one.start || !one.end) continue;
    const [begin, end] = [minute(one.start), minute(one.end)];
    for (const day of one.days.map((name) => DAYS.indexOf(name))) {
      const pieces = end > begin ? [[day, begin, end]] : [[day, begin, 1440], [(day + 1) % 7, 0, end]];
      for (const [at, from, to] of pieces) {
        if (to > from) add(root, "rect", { class: one.keep_running ? "keep" : "up", x: left + from * scale, y: at * step, width: (to - from) * scale, height: lane, rx: 2 });
      }
    }
  }
  return root;
}

function findings(list) {
  return list.length
    ? el("ul", { className: "findings" }, list.slice(0, 12).map((one) => el("li", {}, icon("info"), el("span", {}, one.message))))
    : el("p", { className: "soft" }, icon("check"), " Nothing odd was found in the coming year.");
}

function showSchedule(answer) {
  const share = Math.round((answer.hours_per_week / 168) * 100);
  document.getElementById("preview-hours").textContent = `${answer.hours_per_week} h a week, ${share} % of it${points().length ? ", cron points aside" : ""}`;
  preview.replaceChildren(weekGrid(windows()), ...[savings(answer.endpoints), effects(answer.endpoints), earlyStarts(answer.endpoints), lateStarts(answer.starts), comingWeeks(answer.weeks), findings(answer.findings)].filter(Boolean),
    el("p", { className: "soft small" }, `Up while a window is open, at today's price; a month is ${HOURS_PER_MONTH} hours. Left aside: ${answer.left_aside}. Zone rules ${answer.tzdata}.`));
}

function showCovered(list) {
  notActing = new Map(list.filter((one) => !one.managed || one.protected)
    .map((one) => [one.id, one.managed ? "protected: only proposes" : "only observed"]));
  const acting = list.filter((one) => one.managed);
  covered = acting.map((one) => one.id);
  const row = document.getElementById("apply-now-row");
  if (row) {
    row.hidden = !covered.length;
    const names = acting.slice(0, 50).map((one) => one.name).join(", ");
    document.getElementById("apply-now-names").textContent = acting.length > 50 ? `${names} and ${acting.length - 50} more` : names;
    document.getElementById("apply-now-count").textContent = covered.length === 1 ? "the 1 managed endpoint it covers" : `the ${covered.length} managed endpoints it covers`;
  }
}

function showPolicy(answer) {
  const rows = answer.endpoints;
  preview.replaceChildren(rows.length
    ? el("ul", { className: "findings" }, rows.slice(0, 25).map((one) => el("li", {}, icon(one.managed === false ? "eye" : "check"), el("span", {}, one.name, one.managed === false && el("span", { className: "soft" }, " only observed"), one.protected && el("span", { className: "soft" }, " protected: only proposes")))))
    : el("p", { className: "soft" }, "It covers no endpoint now."));
}

async function rehearse(signal) {
  const wanted = body();
  if (wanted.selector && document.querySelector(".form-end")) {
    const draft = { ...wanted, name: wanted.name || draftName };
    if (isSchedule) Object.assign(draft, { apply_now: [], confirm: "" });
    const answer = await call(form.dataset.method, `${form.dataset.url}?dry_run=true`, draft, { signal });
    if (isSchedule) {
      confirmed = answer.would.confirm;
      showCovered(answer.would.endpoints);
    }
    if (!isSchedule) showPolicy(answer.would);
  }
  if (isSchedule && wanted.timezone) {
    showSchedule(await call("POST", form.dataset.preview, { ...wanted, name: wanted.name || "preview", apply_now: [], confirm: "", replaces: form.dataset.replaces ?? null }, { signal }));
  }
}

const { now, later } = rehearsing(form, problem, rehearse);
form.addEventListener("input", later);

saving(form, problem, () => {
  const wanted = body();
  if (wanted.selector) return wanted;
  problem.replaceChildren(problemBox({ body: { title: "Which endpoints?", detail: "A rule without a condition would cover everything.", remedy: "Give labels, an account, or one endpoint." } }));
  return null;
});

if (isSchedule) {
  growing("points", later);
  growing("dates", later);
  const list = document.getElementById("windows");
  document.getElementById("add-window").addEventListener("click", () => {
    list.append(document.getElementById("window-template").content.cloneNode(true));
    list.lastElementChild.querySelector("input").focus();
    later();
  });
  list.addEventListener("click", (event) => {
    const button = event.target.closest("[data-remove-window]");
    if (!button) return;
    button.closest("li").remove();
    later();
  });
  // A new form begins in the zone of the one who fills it in.
  if (!field("timezone").value) field("timezone").value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
}
now();
