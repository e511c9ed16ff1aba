// What a refusal says about a field, told beside the field itself.

import { el } from "./dom.js";

const ROWS = new Set(["windows", "points", "dates"]);

function rowOf(parts) {
  const at = parts.findIndex((part, place) => ROWS.has(part) && /^\d+$/.test(parts[place + 1] ?? ""));
  return at < 0 ? null : document.querySelectorAll(`#${parts[at]} > li`)[Number(parts[at + 1])] ?? null;
}

function controlOf(form, path) {
  const parts = path.split(".");
  const inside = rowOf(parts) ?? form;
  for (let end = parts.length; end > 0; end -= 1) {
    const named = form.querySelector(`[data-field="${CSS.escape(parts.slice(0, end).join("."))}"]`);
    if (named) return named;
  }
  for (const part of [...parts].reverse()) {
    const found = inside.querySelector(`[name="${CSS.escape(part)}"]`);
    if (found) return found;
  }
  return inside === form ? null : inside.querySelector("input, select");
}

export function clearFields(form) {
  for (const one of form.querySelectorAll(".wrong")) one.remove();
  for (const one of form.querySelectorAll("[aria-invalid]")) {
    one.removeAttribute("aria-invalid");
    one.removeAttribute("aria-describedby");
  }
}

export function markFields(form, problem) {
  clearFields(form);
  const { body } = problem;
  const told = body?.errors ?? (body?.field ? [{ field: body.field, message: body.detail }] : []);
  for (const [at, one] of told.entries()) {
    const control = controlOf(form, one.field);
    if (!control || control.hasAttribute("aria-invalid")) continue;
    const id = `wrong-${at}`;
    control.setAttribute("aria-invalid", "true");
    control.setAttribute("aria-describedby", id);
    (control.closest(".field, li") ?? control.parentElement).append(el("span", { className: "wrong", id }, one.message));
  }
}
