// Instants in the reader's own zone; the server writes them in UTC for those without scripts.

const two = (number) => String(number).padStart(2, "0");
const clock = (at) => `${two(at.getHours())}:${two(at.getMinutes())}`;
const dayNames = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const monthNames = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const midnight = (at) => new Date(at.getFullYear(), at.getMonth(), at.getDate());

export function span(seconds) {
  if (seconds >= 172800) return `${Math.floor(seconds / 86400)} days`;
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h`;
  if (seconds >= 60) return `${Math.floor(seconds / 60)} min`;
  return `${Math.max(Math.floor(seconds), 0)} s`;
}

export function ago(at, now = serverNow()) {
  const seconds = (now - at) / 1000;
  if (seconds <= -60) return `in ${span(-seconds)}`;
  return seconds < 5 ? "just now" : `${span(seconds)} ago`;
}

export function when(at, now = serverNow()) {
  const days = Math.round((midnight(at) - midnight(now)) / 86400000);
  const named = { 0: "today", 1: "tomorrow", "-1": "yesterday" }[days];
  if (named) return `${clock(at)} ${named}`;
  if (days > 1 && days < 7) return `${dayNames[at.getDay()]} ${clock(at)}`;
  const year = at.getFullYear() === now.getFullYear() ? "" : ` ${at.getFullYear()}`;
  return `${at.getDate()} ${monthNames[at.getMonth()]}${year} ${clock(at)}`;
}

// The server's clock rules: a reader's wrong clock must not make figures look old or fresh.
let skew = 0;
export const serverNow = () => new Date(Date.now() + skew);
export function setServerTime(text) {
  const at = Date.parse(text);
  if (!Number.isNaN(at)) skew = at - Date.now();
}

export function localize(root = document) {
  for (const node of root.querySelectorAll("time[data-time]")) {
    const at = new Date(node.dateTime);
    const text = node.dataset.time === "ago" ? ago(at) : when(at);
    if (node.textContent !== text) node.textContent = text;
  }
}
