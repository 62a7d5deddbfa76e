// Gets a token with the types that openapi-typescript makes of docs/openapi.yaml.
// Arguments: the site's address and a user's key. Prints the answers as JSON.
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

declare const process: { argv: string[] };

const [, , baseUrl, key] = process.argv;
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Token ${key}` } });

const video = await client.POST("/twilio/tokens/video/", { body: { room: "A", ttl: 60 } });
const token: string = video.data!.token;
const expiresIn: number = video.data!.expires_in;

const offer = await client.GET("/twilio/tokens/");
const services: string[] = offer.data!.chat.services;
const roomRequired: boolean = offer.data!.video.room_required;

const refused = await client.POST("/twilio/tokens/chat/", { body: { service: "no" } });
const code: string = refused.error!.code;

// These must not compile.
// @ts-expect-error
await client.POST("/twilio/tokens/video/", { body: { room: 5 } }).catch(() => null);
// @ts-expect-error
await client.POST("/twilio/tokens/chat/", { body: { platform: "windows" } }).catch(() => null);
// @ts-expect-error
await client.POST("/twilio/tokens/fax/", { body: {} }).catch(() => null);

console.log(JSON.stringify({ token, expiresIn, services, roomRequired, code }));
