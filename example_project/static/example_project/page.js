// What the four pages share: their states, their status line, their problem, their token.

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
  if (error instanceof TokenError) return [`No token (${error.code}).`, error.detail];
  const code = error.code ?? error.errorCode;
  if (typeof code === "number") return [`Twilio says ${code}.`, meaning(code) ?? error.message];
  if (error.name === "NotAllowedError") {
    return ["No camera or microphone.", "Allow this page to use them in the browser’s settings."];
  }
  if (error.name === "NotFoundError") {
    return ["No camera or microphone.", "The browser found none: connect one and try again."];
  }
  return ["That did not work.", error.message];
}

/** What a TokenSource tells the page. */
export const told = {
  onToken(answer) {
    if (current instanceof TokenError) clearProblem();
    showToken(answer);
  },
  onError(error, retryIn) {
    fail(error);
    if (retryIn !== null) $("problem-text").append(` Trying again in ${Math.ceil(retryIn)} s.`);
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
    $("token-left").textContent = left ? `expires in ${clock(left)}` : "expired";
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
    say("Not ready");
    fail(new Error("Twilio’s SDK is not installed. Run “make demo”, or “npm ci” in example_project."));
    throw new Error(`Twilio.${name} is missing`);
  }
  return found;
}
