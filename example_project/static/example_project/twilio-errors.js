// Twilio's error codes that a token or a network brings about, and what to do.
// Source: Twilio's error dictionary, https://www.twilio.com/docs/api/errors

const CREDENTIALS = gettext(
  "Check the account and the API key in the admin (Overview → Check with Twilio), or set Twilio’s variables and run “make demo” again.",
);
const NO_CONNECTION = gettext("The connection to Twilio failed. Check the network.");

const MEANINGS = {
  20101: [gettext("Twilio cannot use this token: made-up or deleted credentials, or a changed token."), CREDENTIALS],
  20102: [gettext("The header of the token is not that of an Access Token.")],
  20103: [gettext("Twilio does not know the API key or the account of this token."), CREDENTIALS],
  20104: [gettext("The token has expired. Join again for a new one. If it happens at once, check the site’s clock.")],
  20105: [gettext("The token is not valid yet: the site’s clock is ahead.")],
  20106: [gettext("The token does not grant this. It is for another product or another room.")],
  20107: [gettext("The signature is not that of this API key: its secret was mistyped."), CREDENTIALS],
  20151: [gettext("Twilio does not accept the token."), CREDENTIALS],
  20157: [gettext("The token is valid for longer than 24 hours: lower TWILIO_TOKENS_MAX_TTL.")],
  20160: [gettext("A Restricted API key cannot sign Access Tokens. Make a Standard one."), CREDENTIALS],
  31000: [NO_CONNECTION],
  31005: [NO_CONNECTION],
  31009: [NO_CONNECTION],
  31105: [gettext("Voice takes letters, digits and “_” as identity. Change TWILIO_TOKENS_IDENTITY.")],
  31401: [gettext("The browser does not let this page use the microphone.")],
  31404: [gettext("Nobody answers to this name.")],
  31486: [gettext("The line is busy.")],
  31603: [gettext("The call was declined.")],
  51007: [gettext("The key may not do this, or is of another region. Only US1 keys serve Video.")],
  53000: [NO_CONNECTION],
  53001: [gettext("The connection to Twilio was lost.")],
  53105: [gettext("The room is full.")],
  53205: [gettext("You joined this room elsewhere, so this page has left it.")],
  53405: [gettext("No audio and video. A firewall may be blocking them.")],
};

/** @param {number} code @returns {string | undefined} */
export function meaning(code) {
  return MEANINGS[code]?.join(" ");
}
