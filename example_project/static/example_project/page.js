// What the four pages share: their states, their status line, their problem, their token.
// `gettext` and its like are Django's: the page loads its JavaScriptCatalog first.

import { TokenError } from "../twilio_tokens/twilio-tokens.js";
import { meaning } from "./twilio-errors.js";

export const $ = (id) => document.getElementById(id);

/** Show the parts of the page whose `data-in` names the state. */
export function enter(state) {
  document.body.dataset.state = state;
  for (const part of document.querySelectorAll("[data-in]")) {
    part.hidden = !part.dataset.in.split(" ").includes(state);
  }
}

/** That of the page, as it is written where the user is: times in “en” may be British. */
export const language = localeOf(document.documentElement.lang);

function localeOf(lang) {
  const base = (locale) => locale.split("-")[0];
  return navigator.languages.find((each) => base(each) === base(lang)) ?? lang;
}

for (const time of document.querySelectorAll("time[datetime]")) {
  const options = { dateStyle: "medium", timeStyle: "short" };
  time.textContent = new Date(time.dateTime).toLocaleString(language, options);
}

export function say(text) {
  $("status").textContent = text;
}

let current = null;

/** Tell what went wrong: an error of the site, of Twilio, or of the browser. */
export function fail(error) {
  current = error;
  const [title, text] = describe(error);
  $("problem-title").textContent = title;
  $("problem-text").textContent = text;
  $("problem").hidden = false;
}

export function clearProblem() {
  current = null;
  $("problem").hidden = true;
}

function describe(error) {
  if (error instanceof TokenError) {
    return [interpolate(gettext("No token (%s)."), [error.code]), error.detail];
  }
  const code = error.code ?? error.errorCode;
  if (typeof code === "number") {
    return [interpolate(gettext("Twilio says %s."), [code]), meaning(code) ?? error.message];
  }
  if (error.name === "NotAllowedError") {
    return [
      gettext("No camera or microphone."),
      gettext("Allow this page to use them in the browser’s settings."),
    ];
  }
  if (error.name === "NotFoundError") {
    return [
      gettext("No camera or microphone."),
      gettext("The browser found none. Connect one and try again."),
    ];
  }
  return [gettext("That did not work."), error.message];
}

/** What a TokenSource tells the page. */
export const told = {
  onToken(answer) {
    if (current instanceof TokenError) clearProblem();
    showToken(answer);
  },
  onError(error, retryIn) {
    fail(error);
    if (retryIn === null) return;
    const again = interpolate(gettext("Trying again in %s s."), [Math.ceil(retryIn)]);
    $("problem-text").append(` ${again}`);
  },
};

let countdown;

function showToken(answer) {
  const claims = answer.token.split(".").slice(0, 2).map(decoded);
  $("token-card").hidden = false;
  $("token-identity").textContent = answer.identity;
  $("token-text").textContent = answer.token;
  $("token-claims").textContent = claims.map((each) => JSON.stringify(each, null, 2)).join("\n");
  // Counted from its arrival: the clocks of browser and site may differ.
  const end = Date.now() + answer.expires_in * 1000;
  const draw = () => {
    const left = Math.max(0, Math.round((end - Date.now()) / 1000));
    $("token-left").textContent = left
      ? interpolate(gettext("expires in %s"), [clock(left)])
      : gettext("expired");
  };
  clearInterval(countdown);
  countdown = setInterval(draw, 1000);
  draw();
}

/** Base64url of UTF-8 of JSON. */
function decoded(part) {
  const bytes = atob(part.replace(/-/g, "+").replace(/_/g, "/"));
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (c) => c.charCodeAt(0))));
}

export function clock(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return (hours ? `${hours}:${two(minutes)}` : minutes) + `:${two(seconds % 60)}`;
}

/** Twilio's SDK, which `npm ci` puts beside the example. */
export function sdk(name) {
  const found = window.Twilio?.[name];
  if (!found) {
    say(gettext("Not ready"));
    const how = gettext(
      "Twilio’s SDK is not installed. Run “make demo”, or “npm ci” in example_project.",
    );
    fail(new Error(how));
    throw new Error(`Twilio.${name} is missing`);
  }
  return found;
}
