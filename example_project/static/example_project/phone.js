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
  say("Connecting …");
  const mine = (tokens = new TokenSource($("phone").dataset.tokens, {}, told));
  try {
    const { token } = await tokens.get({ tries: 5 });
    // With its precision, “nobody answers” is not told as a failed connection.
    device = new Device(token, { logLevel: "error", enableImprovedSignalingErrorPrecision: true });
    tokens.supply(device);
    device.on("registered", () => {
      clearProblem();
      if (!call) enter("online");
      say(`Online as ${device.identity}`);
    });
    device.on("unregistered", () => say("Connecting …"));
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
  say("Offline");
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

/** Show a call from its first ring to its end. */
function follow(current, state, peer = current.parameters.From) {
  call = current;
  for (const place of document.querySelectorAll(".peer")) {
    place.textContent = peer.replace(/^client:/, "");
  }
  $("clock").textContent = state === "calling" ? "calling …" : "";
  enter(state);
  call.on("ringing", () => ($("clock").textContent = "ringing …"));
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
say("Offline");
