// What forms of saved things share: a rehearsal soon after somebody typed, and saving once.

import { call, problemBox, uuid } from "./dom.js";
import { clearFields, markFields } from "./fields.js";

// Returns `now` and `later`. `work` gets a signal that ends it when the next one begins; `failed`
// is told that it was refused.
export function rehearsing(form, problem, work, failed = () => {}) {
  let waiting = null;
  let timer = 0;
  async function now() {
    waiting?.abort();
    waiting = new AbortController();
    problem.replaceChildren();
    clearFields(form);
    try {
      await work(waiting.signal);
    } catch (error) {
      if (error.name === "AbortError") return;
      problem.replaceChildren(problemBox(error));
      markFields(form, error);
      failed();
    }
  }
  function later() {
    clearTimeout(timer);
    timer = setTimeout(now, 250);
  }
  return { now, later };
}

// `body` returns what is sent; or nothing, when it has said itself what is missing.
export function saving(form, problem, body) {
  let key = uuid();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button.main");
    const wanted = button && body();
    if (!wanted) return;
    button.disabled = true;
    try {
      await call(form.dataset.method, form.dataset.url, wanted, { key });
      location.assign(form.dataset.done);
    } catch (error) {
      problem.replaceChildren(problemBox(error));
      markFields(form, error);
      problem.scrollIntoView({ block: "nearest" });
      if (error.body?.status) key = uuid();
      button.disabled = false;
    }
  });
}
