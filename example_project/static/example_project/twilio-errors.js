// Twilio's error codes that a token or a network brings about, and what to do.
// Source: Twilio's error dictionary, https://www.twilio.com/docs/api/errors

const CREDENTIALS =
  "Check the account and the API key in the admin (Overview → Check with Twilio), " +
  "or set Twilio’s variables and run “make demo” again.";

const MEANINGS = {
  20101: `Twilio cannot use this token: made-up or deleted credentials, or a changed token. ${CREDENTIALS}`,
  20102: "The header of the token is not that of an Access Token.",
  20103: `Twilio does not know the API key or the account of this token. ${CREDENTIALS}`,
  20104: "The token has expired. Join again for a new one; if it happens at once, check the site’s clock.",
  20105: "The token is not valid yet: the site’s clock is ahead.",
  20106: "The token does not grant this: another product, or another room.",
  20107: `The signature is not that of this API key: its secret was mistyped. ${CREDENTIALS}`,
  20151: `Twilio does not accept the token. ${CREDENTIALS}`,
  20157: "The token is valid for longer than 24 hours: lower TWILIO_TOKENS_MAX_TTL.",
  20160: `A Restricted API key cannot sign Access Tokens: make a Standard one. ${CREDENTIALS}`,
  31000: "The connection to Twilio failed. Check the network.",
  31005: "The connection to Twilio failed. Check the network.",
  31009: "The connection to Twilio failed. Check the network.",
  31105: "Voice takes letters, digits and “_” as identity: set TWILIO_TOKENS_IDENTITY.",
  31401: "The browser does not let this page use the microphone.",
  31404: "Nobody answers to this name or number.",
  31486: "The line is busy.",
  31603: "The call was declined.",
  51007: "The key may not do this, or is of another region. Only US1 keys serve Video.",
  53000: "The connection to Twilio failed. Check the network.",
  53001: "The connection to Twilio was lost.",
  53105: "The room is full.",
  53205: "You joined this room elsewhere, so this page has left it.",
  53405: "No audio and video: a firewall seems to keep them out.",
};

/** @param {number} code @returns {string | undefined} */
export function meaning(code) {
  return MEANINGS[code];
}
