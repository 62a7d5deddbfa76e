import { TokenSource } from "../twilio_tokens/twilio-tokens.js";
import { $, clearProblem, enter, fail, say, sdk, told } from "./page.js";

const { connect, createLocalTracks } = sdk("Video");

/** After these a Room is entered again, with a new token: it expired, or the network was lost. */
const LOST = new Set([20104, 53000, 53001]);

let room = null;
/** Set while in a room, or on the way there; aborted by “Leave”. */
let tokens = null;
let tracks = [];
let audio = null;

async function join(name) {
  clearProblem();
  enter("joining");
  say(gettext("Joining …"));
  // Not before somebody clicks: browsers allow no sound until then.
  audio ??= new AudioContext();
  $("room-name").textContent = name;
  tokens = new TokenSource($("stage").dataset.tokens, { room: name }, told);
  const mine = tokens;
  try {
    const made = tracks.length ? tracks : await createLocalTracks({ audio: true, video: true });
    if (tokens !== mine) return stop(made);
    tracks = made;
    showMe();
    const { token } = await tokens.get({ tries: 5 });
    const joined = await connect(token, { name, tracks });
    if (tokens !== mine) return joined.disconnect();
    enterRoom(joined);
  } catch (error) {
    if (tokens === mine) leave(error);
  }
}

function enterRoom(joined) {
  room = joined;
  clearProblem();
  enter("joined");
  room.participants.forEach(showParticipant);
  room.on("participantConnected", showParticipant);
  room.on("participantDisconnected", (participant) => {
    tile(participant).remove();
    tellWho();
  });
  room.on("reconnecting", () => say(gettext("The connection is lost. Reconnecting …")));
  room.on("reconnected", tellWho);
  room.once("disconnected", (left, error) => {
    room = null;
    $("stage").replaceChildren();
    tracks.forEach((track) => track.detach());
    if (error && LOST.has(error.code)) join(left.name);
    else leave(error);
  });
  tellWho();
}

function leave(error) {
  tokens?.stop();
  tokens = null;
  room?.disconnect();
  stop(tracks);
  tracks = [];
  $("stage").replaceChildren();
  for (const button of [$("mute"), $("camera")]) button.setAttribute("aria-pressed", "false");
  enter("idle");
  say(gettext("Not in a room"));
  if (error) fail(error);
}

function stop(these) {
  for (const track of these) {
    track.stop();
    track.detach();
  }
}

function tellWho() {
  const [others, { identity }] = [room.participants.size, room.localParticipant];
  const text = others
    ? ngettext(
        "Connected as %(identity)s, with %(others)s other",
        "Connected as %(identity)s, with %(others)s others",
        others,
      )
    : gettext("Connected as %(identity)s, with no others");
  say(interpolate(text, { identity, others }, true));
}

// The stage: a tile for each participant

function tile({ sid, identity }) {
  const id = `tile-${sid}`;
  if ($(id)) return $(id);
  const figure = document.createElement("figure");
  figure.id = id;
  figure.append(document.createElement("figcaption"));
  figure.lastChild.textContent = identity;
  figure.lastChild.dataset.muted = gettext("muted");
  $("stage").append(figure);
  return figure;
}

function showMe() {
  const mine = tile({ sid: "me", identity: gettext("You") });
  for (const track of tracks) {
    // Not one’s own sound, which would come back: its tile shows that it is heard.
    if (track.kind === "video") mine.prepend(track.attach());
    else showVoice(mine, track);
    mark(mine, track.kind, track.isEnabled);
  }
}

function showParticipant(participant) {
  const figure = tile(participant);
  const show = (track) => {
    figure.querySelector(track.kind)?.remove();
    figure.prepend(track.attach());
    if (track.kind === "audio") showVoice(figure, track);
    mark(figure, track.kind, track.isEnabled);
    track.on("enabled", () => mark(figure, track.kind, true));
    track.on("disabled", () => mark(figure, track.kind, false));
  };
  participant.tracks.forEach(({ track }) => track && show(track));
  participant.on("trackSubscribed", show);
  participant.on("trackUnsubscribed", (track) => track.detach().forEach((part) => part.remove()));
  tellWho();
}

/** Frame the tile while there is a voice. */
function showVoice(figure, { mediaStreamTrack }) {
  const analyser = audio.createAnalyser();
  audio.createMediaStreamSource(new MediaStream([mediaStreamTrack])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    figure.classList.toggle("speaking", samples.some((sample) => Math.abs(sample) > 0.02));
    if (!figure.isConnected) clearInterval(timer);
  }, 150);
}

function mark(figure, kind, on) {
  figure.classList.toggle(kind === "audio" ? "muted" : "dark", !on);
}

// The buttons

function toggle(button, kind) {
  const off = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", off);
  for (const track of tracks) if (track.kind === kind) track.enable(!off);
  mark($("tile-me"), kind, !off);
}

$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  join(event.submitter.value);
});
$("leave").addEventListener("click", () => leave());
$("mute").addEventListener("click", () => toggle($("mute"), "audio"));
$("camera").addEventListener("click", () => toggle($("camera"), "video"));
addEventListener("pagehide", () => room?.disconnect());

enter("idle");
say(gettext("Not in a room"));
