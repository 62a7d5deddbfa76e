// The client's JSDoc types beside those of Twilio's SDKs; only checked, never run.

import { Client } from "@twilio/conversations";
import { Device } from "@twilio/voice-sdk";
import { SyncClient } from "twilio-sync";

import { TokenError, TokenSource } from "../../twilio_tokens/static/twilio_tokens/twilio-tokens.js";

async function supply(): Promise<void> {
  const tokens = new TokenSource("/twilio/tokens/", { voice: {}, chat: {} }, {
    headers: async () => ({ Authorization: "Token" }),
    credentials: "include",
    csrfCookie: "xsrf",
    csrfHeader: "X-XSRF-TOKEN",
    onToken: ({ identity, expires_in }) => console.log(identity.length, expires_in.toFixed()),
    onError: (error, retryIn) => error instanceof TokenError && error.status === retryIn,
  });
  const { token } = await tokens.get({ tries: 3 });
  tokens.supply(new Device(token));
  tokens.supply(new Client(token));
  tokens.supply(new SyncClient(token));
  // @ts-expect-error - what takes no token cannot be supplied
  tokens.supply({ on() {} });
  new TokenSource("/twilio/tokens/", {}, { headers: () => new Headers() });
  // @ts-expect-error - there is no such option
  new TokenSource("/twilio/tokens/", {}, { header: () => ({}) });
  tokens.stop();
}

supply();
