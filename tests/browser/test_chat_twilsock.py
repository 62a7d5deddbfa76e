"""The stand-in for Twilio's chat, by what the real SDK makes of it."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from playwright.sync_api import Error, Page

from tests.rows import sid

from .chat_conversations import add_conversation
from .pages import SignedIn, token_for
from .twilio_sockets import Sockets, Twilio

SDK = "/static/@twilio/conversations/twilio-conversations.min.js"

#: Makes window.client, and keeps in window.seen what its events said.
START = """token => {
  const client = new Twilio.Conversations.Client(token);
  Object.assign(window, {client, seen: [], messages: []});
  for (const name of ["stateChanged", "connectionStateChanged"])
    client.on(name, state => seen.push(`${name} ${state}`));
  for (const name of ["initialized", "conversationJoined", "tokenAboutToExpire", "tokenExpired"])
    client.on(name, () => seen.push(name));
  client.on("connectionError", error => seen.push({...error}));
  client.on("messageAdded", ({author, body, dateCreated}) =>
    messages.push({author, body, dated: dateCreated instanceof Date}));
}"""


CHAT = {"chat": {"service_sid": sid("IS")}}


def start(page: Page, twilio: Twilio, **token: Any) -> None:
    page.goto("/")
    page.add_script_tag(url=SDK)
    # Made only now: some tokens live for seconds.
    page.evaluate(START, token_for(twilio, CHAT, **token))


def connected(page: Page, twilio: Twilio, **token: Any) -> None:
    start(page, twilio, **token)
    wait_to_see(page, "initialized")


def joined(page: Page, twilio: Twilio, **token: Any) -> None:
    """Connected, and listening to a conversation: what was said before is not heard as an event."""
    connected(page, twilio, **token)
    wait_to_see(page, "conversationJoined")


def wait_to_see(page: Page, event: str) -> None:
    page.wait_for_function("event => seen.includes(event)", arg=event)


def wait_until(page: Page, moment: float) -> None:
    """Wait for half a second after that."""
    page.wait_for_function("end => Date.now() > end", arg=(moment + 0.5) * 1000)


def errors(page: Page) -> list[Any]:
    page.wait_for_function("() => seen.some(each => each.terminal !== undefined)")
    return page.evaluate("seen.filter(each => each.terminal !== undefined)")


def say(page: Page, text: str) -> int:
    """Send a message to the conversation "support"; gives its index."""
    return page.evaluate(
        """async text => {
          const support = await client.getConversationByUniqueName("support");
          return support.sendMessage(text);
        }""",
        text,
    )


def hear(page: Page, count: int) -> list[dict[str, Any]]:
    """What ``messageAdded`` told, once that many have come."""
    page.wait_for_function("count => messages.length >= count", arg=count)
    return page.evaluate("messages")


def test_a_bad_newer_token_ends_the_session(page: Page, twilio: Twilio) -> None:
    connected(page, twilio)

    with pytest.raises(Error, match="UNAUTHORIZED"):
        page.evaluate(
            "token => client.updateToken(token)", token_for(twilio, CHAT, secret="x" * 32)
        )
    assert errors(page)[0]["errorCode"] == 20101


def test_a_user_sees_the_conversations_they_are_in(page: Page, twilio: Twilio) -> None:
    conversation = add_conversation(twilio, "support", "anna", "boris")
    add_conversation(twilio, "management", "boris")
    connected(page, twilio)

    assert page.evaluate(
        """async () => {
          const {items} = await client.getSubscribedConversations();
          return items.map(each => [each.sid, each.friendlyName, each.uniqueName, each.status]);
        }"""
    ) == [[conversation.sid, "support", "support", "joined"]]
    assert page.evaluate(
        """async () => {
          const support = await client.getConversationByUniqueName("support");
          return (await support.getParticipants()).map(each => each.identity).sort();
        }"""
    ) == ["anna", "boris"]


def test_long_histories_come_in_pages(page: Page, twilio: Twilio) -> None:
    conversation = add_conversation(twilio, "support", "anna")
    for number in range(40):
        conversation.say("boris", str(number))
    connected(page, twilio)

    assert page.evaluate(
        """async () => {
          const support = await client.getConversationByUniqueName("support");
          const last = await support.getMessages();
          const first = await last.prevPage();
          return [first, last].map(({items}) => items.map(each => Number(each.body)));
        }"""
    ) == [list(range(10)), list(range(10, 40))]


def test_a_user_creates_a_conversation_and_another_joins_it(
    signed_in: SignedIn, twilio: Twilio
) -> None:
    anna, boris = signed_in("anna").new_page(), signed_in("boris").new_page()
    connected(anna, twilio, identity="anna")
    connected(boris, twilio, identity="boris")

    sid = anna.evaluate(
        """async () => {
          const options = {friendlyName: "Support", uniqueName: "support"};
          const conversation = await client.createConversation(options);
          await conversation.join();
          return conversation.sid;
        }"""
    )
    boris.evaluate("async sid => (await client.peekConversationBySid(sid)).join()", sid)
    wait_to_see(boris, "conversationJoined")

    say(boris, "hello")
    assert hear(anna, 1) == [{"author": "boris", "body": "hello", "dated": True}]


def test_what_a_test_says_is_heard(page: Page, twilio: Twilio) -> None:
    connected(page, twilio)
    conversation = add_conversation(twilio, "support", "anna")
    wait_to_see(page, "conversationJoined")

    conversation.say("boris", "zażółć ☂")

    assert hear(page, 1) == [{"author": "boris", "body": "zażółć ☂", "dated": True}]


def test_a_dropped_client_comes_back_and_hears_what_it_missed(
    page: Page, sockets: Sockets, twilio: Twilio
) -> None:
    conversation = add_conversation(twilio, "support", "anna")
    joined(page, twilio)
    newest = token_for(twilio, CHAT)
    page.evaluate("token => client.updateToken(token)", newest)
    page.evaluate("() => {seen.length = 0}")

    sockets.drop()
    conversation.say("boris", "are you there?")
    wait_to_see(page, "connectionStateChanged connected")

    assert hear(page, 1) == [{"author": "boris", "body": "are you there?", "dated": True}]
    conversation.say("boris", "good")
    assert hear(page, 2)[1]["body"] == "good"
    assert twilio.of("chat")[2].token == newest


def test_a_token_that_was_revoked_is_refused_when_a_client_comes_back(
    page: Page, sockets: Sockets, twilio: Twilio
) -> None:
    connected(page, twilio)
    twilio.refused["chat"] = 20101

    sockets.drop()

    page.wait_for_function("() => seen.some(each => each.terminal)")
    assert errors(page)[-1]["errorCode"] == 20101


def test_a_page_may_close_at_any_time(
    page: Page, sockets: Sockets, twilio: Twilio, caplog: pytest.LogCaptureFixture
) -> None:
    conversation = add_conversation(twilio, "support", "anna")
    joined(page, twilio, ttl=4)
    (arrival,) = twilio.of("chat")

    other = page.context.new_page()
    page.close()
    for number in range(100):
        conversation.say("boris", str(number))
    wait_until(other, arrival.claims["exp"])

    assert sockets.open == []
    assert [each for each in caplog.records if each.levelno > logging.INFO] == []
