// A log-in link carries the token behind "#", which no browser sends to a server or a log.

const form = document.querySelector("form");
const token = new URLSearchParams(location.hash.slice(1)).get("token");
if (form && token) {
  history.replaceState(null, "", location.pathname + location.search);
  form.elements.token.value = token;
  form.requestSubmit();
}
