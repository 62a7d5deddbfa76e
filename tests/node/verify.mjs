// Reads {token, secret, account, key, identity, ttl, grants} from standard input. Prints the
// token as jsonwebtoken verifies it, and the one that Twilio's library makes for the same input.
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";
import twilio from "twilio";

// The jsonwebtoken that Twilio's library itself depends on.
const require = createRequire(createRequire(import.meta.url).resolve("twilio"));
const jwt = require("jsonwebtoken");

const { AccessToken } = twilio.jwt;
const GRANTS = {
  video: AccessToken.VideoGrant,
  chat: AccessToken.ChatGrant,
  voice: AccessToken.VoiceGrant,
  data_sync: AccessToken.SyncGrant,
  task_router: AccessToken.TaskRouterGrant,
};

const asked = JSON.parse(await text(process.stdin));
const theirs = new AccessToken(asked.account, asked.key, asked.secret, {
  identity: asked.identity,
  ttl: asked.ttl,
});
for (const [product, options] of Object.entries(asked.grants)) {
  theirs.addGrant(new GRANTS[product](options));
}

const verify = (token) => {
  const { header, payload } = jwt.verify(token, asked.secret, {
    algorithms: ["HS256"],
    issuer: asked.key,
    subject: asked.account,
    maxAge: asked.ttl,
    complete: true,
  });
  return { header, payload };
};
const jwtOfTheirs = theirs.toJwt();
console.log(
  JSON.stringify({
    ours: verify(asked.token),
    theirs: verify(jwtOfTheirs),
    theirLength: jwtOfTheirs.length,
  }),
);
