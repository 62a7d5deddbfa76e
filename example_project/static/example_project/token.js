import { TokenError, TokenSource } from "../twilio_tokens/twilio-tokens.js";
import { $, fail, language, say, told } from "./page.js";

const form = $("ask");
const url = form.dataset.tokens;

/** What “Refresh automatically” supplies: the page, in place of an SDK. */
const page = { on() {}, updateToken() {} };

let tokens = null;
let count = 0;

async function start() {
  const response = await fetch(url, { headers: { Accept: "application/json" } });
  const offer = await response.json();
  if (!response.ok) throw new TokenError(response, offer);
  form.elements.ttl.max = offer.ttl.max;
  for (const select of form.querySelectorAll("[data-names]")) {
    const offered = offer[select.name.split(".")[0]];
    select.append(...offered[select.dataset.names].map((name) => new Option(name)));
    if (offered.default) select.value = offered.default;
  }
  if (offer.video.room_required) form.elements["video.room"].placeholder = gettext("Required");
  for (const fieldset of form.querySelectorAll("[data-product]")) {
    const { problem } = offer[fieldset.dataset.product];
    fieldset.querySelector(".problem-text").textContent = problem?.detail ?? "";
  }
  say(interpolate(gettext("Tokens for %s"), [offer.identity]));
}

/** The form as the body of the request: what is left empty is left out. */
function asked() {
  const body = {};
  for (const fieldset of form.querySelectorAll("[data-product]")) {
    const { product } = fieldset.dataset;
    if (!form.elements[product].checked) continue;
    body[product] = {};
    for (const { name, value } of fieldset.querySelectorAll("[name*='.']")) {
      if (value) body[product][name.split(".")[1]] = value;
    }
    if (body[product].incoming) body[product].incoming = body[product].incoming === "true";
  }
  if (form.elements.ttl.value) body.ttl = Number(form.elements.ttl.value);
  return body;
}

function onToken(answer) {
  told.onToken(answer);
  $("facts").hidden = false;
  $("expires").textContent = time(answer.expires_at);
  $("refresh-at").textContent = time(answer.refresh_at);
  $("count").textContent = ++count;
}

function time(text) {
  return new Date(text).toLocaleString(language);
}

async function get() {
  try {
    await tokens.get();
  } catch (error) {
    // Else it was stopped for the next one.
    if (error instanceof TokenError) fail(error);
  }
}

/** For what the form asks now; a TokenSource asks for the same always. */
async function ask() {
  tokens?.stop();
  tokens = new TokenSource(url, asked(), { ...told, onToken });
  $("refresh").disabled = false;
  await get();
  if ($("keep").checked) tokens.supply(page);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
$("refresh").addEventListener("click", get);
$("keep").addEventListener("change", () => tokens && ask());

start().catch(fail);
