// Building elements without ever parsing text as markup, and calling the API.

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "on") for (const [name, run] of Object.entries(value)) node.addEventListener(name, run);
    else if (key === "data") Object.assign(node.dataset, value);
    else if (key in node && key !== "list" && key !== "form") node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export const csrf = () => document.querySelector('meta[name="csrf-token"]').content;

// An error of the API: a problem document (RFC 9457), or one of our own making.
export class Problem extends Error {
  constructor(body) {
    super(body.detail || body.title);
    this.body = body;
  }
}

export async function call(method, path, body, options = {}) {
  const headers = { Accept: "application/json", "X-CSRF-Token": csrf() };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (options.key) headers["Idempotency-Key"] = options.key;
  let response;
  try {
    response = await fetch(path, {
      method, headers, signal: options.signal,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ title: "The server does not answer.", remedy: "Nothing is known to have changed. Look at the state above, then try again." });
  }
  const answer = response.status === 204 ? null : await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem({ title: `The server answered ${response.status}.`, ...answer });
  return answer;
}

export function problemBox(problem) {
  const body = problem.body ?? { title: String(problem.message || problem) };
  const more = (body.errors ?? []).filter((one) => !(body.detail ?? "").includes(one.message));
  return el("div", { className: "problem", role: "alert" },
    el("strong", {}, body.title),
    body.detail && el("span", {}, body.detail),
    more.map((one) => el("span", {}, `${one.field}: ${one.message}`)),
    body.remedy && el("span", {}, body.remedy));
}

export function toast(text, seconds = 7) {
  const node = el("div", { className: "toast" }, icon("check"), el("span", {}, text));
  document.getElementById("toasts").append(node);
  setTimeout(() => node.remove(), seconds * 1000);
}

export const uuid = () =>
  crypto.randomUUID?.() ?? [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");

// Money is counted in whole nano-dollars, as the server does; amounts have nine decimals.
export function nano(money) {
  const [whole, part = ""] = money.amount.split(".");
  return BigInt(`${whole}${part.padEnd(9, "0").slice(0, 9)}`);
}

export function dollars(amount, places = 2) {
  const unit = 10n ** BigInt(9 - places);
  const size = amount < 0n ? -amount : amount;
  const rounded = (size + unit / 2n) / unit;
  const scale = 10n ** BigInt(places);
  const cents = places ? `.${String(rounded % scale).padStart(places, "0")}` : "";
  return `${amount < 0n ? "-" : ""}$${(rounded / scale).toLocaleString("en-US")}${cents}`;
}

// `team=search, stage=test` as an object.
export function labelsOf(text) {
  const labels = {};
  for (const pair of text.split(",").map((part) => part.trim()).filter(Boolean)) {
    const at = pair.indexOf("=");
    labels[at < 0 ? pair : pair.slice(0, at).trim()] = at < 0 ? "" : pair.slice(at + 1).trim();
  }
  return labels;
}
