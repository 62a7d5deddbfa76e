import { TokenSource } from "../twilio_tokens/twilio-tokens.js";
import { $, clearProblem, enter, fail, language, say, sdk, told } from "./page.js";

const { Client } = sdk("Conversations");

const tokens = new TokenSource($("chat").dataset.tokens, {}, told);
let client = null;
let open = null;

async function start() {
  say(gettext("Connecting …"));
  const { token, identity } = await tokens.get({ tries: 5 });
  client = new Client(token);
  tokens.supply(client);
  client.on("initialized", () => {
    enter("connected");
    listConversations().catch(fail);
  });
  client.on("connectionStateChanged", (state) => {
    if (state === "connected") clearProblem();
    const text =
      state === "connected" ? gettext("Connected as %(identity)s") : gettext("Not connected (%(state)s)");
    say(interpolate(text, { identity, state }, true));
  });
  client.on("connectionError", (error) => {
    // Without a code it is the network, and the Client tries again by itself.
    const unreachable = gettext("Twilio cannot be reached. Check the network.");
    fail(error.errorCode ? error : new Error(unreachable));
    if (error.terminal) say(gettext("Refused"));
  });
  for (const event of ["conversationJoined", "conversationLeft", "conversationUpdated"]) {
    client.on(event, () => listConversations().catch(fail));
  }
  client.on("messageAdded", (message) => {
    if (message.conversation.sid === open?.sid) showMessages([message]);
    else $(`conversation-${message.conversation.sid}`)?.classList.add("unread");
  });
}

// Conversations

async function listConversations() {
  const { items } = await client.getSubscribedConversations();
  $("conversations").replaceChildren(...items.map(item));
  $("no-conversations").hidden = items.length > 0;
  if (items.length && !open) await openConversation(items[0]);
}

const nameOf = (conversation) =>
  conversation.friendlyName ?? conversation.uniqueName ?? conversation.sid;

function item(conversation) {
  const button = document.createElement("button");
  button.id = `conversation-${conversation.sid}`;
  button.className = "plain";
  button.textContent = nameOf(conversation);
  button.setAttribute("aria-current", conversation.sid === open?.sid);
  button.addEventListener("click", () => openConversation(conversation).catch(fail));
  const li = document.createElement("li");
  li.append(button);
  return li;
}

async function openConversation(conversation) {
  open = conversation;
  for (const button of $("conversations").querySelectorAll("button")) {
    button.setAttribute("aria-current", button.id === `conversation-${open.sid}`);
  }
  $(`conversation-${open.sid}`)?.classList.remove("unread");
  $("conversation-name").textContent = nameOf(open);
  $("add").hidden = false;
  $("messages").replaceChildren();
  const { items } = await conversation.getMessages(50);
  if (open === conversation) showMessages(items);
}

// Messages

function showMessages(messages) {
  const shown = new Set([...$("messages").children].map((li) => li.dataset.sid));
  const added = messages.filter(({ sid }) => !shown.has(sid)).map(bubble);
  $("messages").append(...added);
  $("messages").scrollTop = $("messages").scrollHeight;
}

function bubble({ sid, author, body, dateCreated }) {
  const li = document.createElement("li");
  li.dataset.sid = sid;
  li.classList.toggle("mine", author === client.user.identity);
  const [name, text, time] = ["b", "p", "time"].map((tag) => document.createElement(tag));
  name.textContent = author;
  text.textContent = body;
  time.textContent = dateCreated?.toLocaleTimeString(language, { timeStyle: "short" });
  li.append(name, text, time);
  return li;
}

// The forms: what was typed stays until it is done

function onSubmit(form, input, act) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!input.value.trim()) return;
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      await act(input.value.trim());
      form.reset();
      clearProblem();
    } catch (error) {
      fail(error);
    }
    button.disabled = false;
  });
}

onSubmit($("send"), $("message"), (text) => open.sendMessage(text));
onSubmit($("add"), $("who"), (username) => open.add(username));
onSubmit($("create"), $("new-name"), async (name) => {
  const conversation = await client.createConversation({ friendlyName: name });
  await conversation.join();
  await openConversation(conversation);
});

start().catch((error) => {
  say(gettext("Not connected"));
  fail(error);
});
