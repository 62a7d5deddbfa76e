import { TokenSource } from "../twilio_tokens/twilio-tokens.js";
import { $, clearProblem, clock, enter, fail, say, sdk, told } from "./page.js";

const Device = sdk("Device");

let device = null;
let tokens = null;
let call = null;
let ticking;

async function goOnline() {
  clearProblem();
  enter("connecting");
  say(gettext("Connecting …"));
  const mine = (tokens = new TokenSource($("phone").dataset.tokens, {}, told));
  try {
    const { token } = await tokens.get({ tries: 5 });
    // With its precision, “nobody answers” is not told as a failed connection.
    device = new Device(token, { logLevel: "error", enableImprovedSignalingErrorPrecision: true });
    tokens.supply(device);
    device.on("registered", () => {
      clearProblem();
      if (!call) enter("online");
      say(interpolate(gettext("Online as %s"), [device.identity]));
    });
    device.on("unregistered", () => say(gettext("Connecting …")));
    device.on("incoming", (incoming) => follow(incoming, "ringing"));
    device.on("error", fail);
    await device.register();
  } catch (error) {
    if (tokens === mine) goOffline(error);
  }
}

function goOffline(error) {
  tokens?.stop();
  device?.destroy();
  tokens = device = call = null;
  enter("off");
  say(gettext("Offline"));
  if (error) fail(error);
}

async function dial(to) {
  clearProblem();
  try {
    follow(await device.connect({ params: { To: to } }), "calling", to);
  } catch (error) {
    fail(error);
  }
}

function fill(places, text) {
  for (const place of document.querySelectorAll(places)) place.textContent = text;
}

/** Show a call from its first ring to its end. */
function follow(current, state, peer = current.parameters.From) {
  call = current;
  const identity = peer.replace(/^client:/, "");
  // The name comes from this site's TwiML, by way of Twilio: see calls.py.
  const name = call.customParameters.get("caller");
  fill(".peer", name ?? identity);
  fill(".identity", name && name !== identity ? identity : "");
  $("clock").textContent = state === "calling" ? gettext("calling …") : "";
  enter(state);
  call.on("ringing", () => ($("clock").textContent = gettext("ringing …")));
  call.on("accept", () => {
    const start = Date.now();
    const draw = () => ($("clock").textContent = clock(Math.floor((Date.now() - start) / 1000)));
    ticking = setInterval(draw, 1000);
    draw();
    $("mute").setAttribute("aria-pressed", "false");
    enter("talking");
  });
  call.on("error", fail);
  for (const end of ["disconnect", "cancel", "reject"]) {
    call.on(end, () => {
      clearInterval(ticking);
      if (call !== current) return;
      call = null;
      if (device) enter("online");
    });
  }
}

$("go-online").addEventListener("click", goOnline);
$("go-offline").addEventListener("click", () => goOffline());
$("call").addEventListener("submit", (event) => {
  event.preventDefault();
  dial($("to").value.trim());
});
$("accept").addEventListener("click", () => call.accept());
$("reject").addEventListener("click", () => call.reject());
$("hang-up").addEventListener("click", () => call.disconnect());
$("mute").addEventListener("click", () => {
  call.mute(!call.isMuted());
  $("mute").setAttribute("aria-pressed", call.isMuted());
});

enter("off");
say(gettext("Offline"));
