"""The Chat page, with Twilio's Conversations SDK."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.rows import new_secret, sid
from twilio_tokens.models import APIKey, ChatService

from .chat_conversations import add_conversation
from .pages import PATIENCE, SignedIn, expect_status, wait_past_expiry
from .site_answers import hesitate, hold_back, tamper, throttled_for, without_schedule
from .twilio_sockets import Sockets, Twilio

pytestmark = pytest.mark.usefixtures("twilio", "chat_service")

CONNECTED = "Connected as anna"


def open_chat(page: Page) -> Page:
    page.goto("/chat/")
    return page


def connected(page: Page) -> Page:
    expect_status(open_chat(page), CONNECTED)
    expect(page.locator("#chat")).to_be_visible()
    return page


def write(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send").click()


def texts(page: Page) -> Any:
    return page.locator("#messages p")


# The token on the wire


def test_the_client_is_initialised_with_a_token_for_this_user(page: Page, twilio: Twilio) -> None:
    connected(page)
    (arrival,) = twilio.of("chat")
    assert arrival.code is None
    assert arrival.claims["sub"] == sid("AC")
    assert arrival.claims["iss"] == sid("SK")
    assert arrival.claims["exp"] - arrival.claims["iat"] == 3600
    assert arrival.claims["grants"] == {"identity": "anna", "chat": {"service_sid": sid("IS")}}
    page.locator("#token-card summary").click()
    expect(page.locator("#token-text")).to_have_text(arrival.token)


def test_a_token_of_a_key_that_twilio_does_not_know_is_refused(page: Page, twilio: Twilio) -> None:
    twilio.secret = new_secret()
    open_chat(page)
    expect(page.locator("#problem")).to_contain_text("Twilio says 20101.")
    expect(page.locator("#problem")).to_contain_text("Check the account and the API key")
    expect(page.locator("#token-card")).to_be_visible()
    expect_status(page, "Refused")
    assert [arrival.code for arrival in twilio.of("chat")] == [20101]


def test_a_tampered_token_is_refused(page: Page, twilio: Twilio) -> None:
    page.route("**/twilio/tokens/chat/", tamper)
    open_chat(page)
    expect(page.locator("#problem")).to_contain_text("Twilio says 20101.")


def test_an_expired_token_is_refused_and_the_next_one_is_taken(page: Page, twilio: Twilio) -> None:
    page.route("**/twilio/tokens/chat/", hesitate)
    page.route("**/twilio/tokens/chat/", hold_back, times=1)
    open_chat(page)
    expect(page.locator("#problem")).to_contain_text("Twilio says 20104.")
    expect_status(page, CONNECTED)
    expect(page.locator("#chat")).to_be_visible()
    assert [arrival.code for arrival in twilio.of("chat")] == [20104, None]


def test_without_a_service_for_this_user_the_page_says_so(page: Page) -> None:
    ChatService.objects.all().delete()
    open_chat(page)
    expect(page.locator("#problem")).to_contain_text("No token (not_configured).")


# Conversations and messages


def test_two_write_to_each_other(page: Page, signed_in: SignedIn, twilio: Twilio) -> None:
    conversation = add_conversation(twilio, "support", "anna", "bob")
    conversation.say("bob", "Written before")
    connected(page)
    expect(page.get_by_role("heading", name="support")).to_be_visible()
    expect(texts(page)).to_have_text(["Written before"])
    bob = open_chat(signed_in("bob").new_page())
    expect(texts(bob)).to_have_text(["Written before"])
    write(page, "Hello, <b>Bob</b>!")
    expect(texts(bob)).to_have_text(["Written before", "Hello, <b>Bob</b>!"])
    write(bob, "Hello, Anna!")
    expect(texts(page)).to_have_text(["Written before", "Hello, <b>Bob</b>!", "Hello, Anna!"])
    expect(page.locator("#messages .mine p")).to_have_text(["Hello, <b>Bob</b>!"])
    expect(page.get_by_label("Message", exact=True)).to_have_value("")


def test_one_starts_a_conversation_and_adds_somebody(
    page: Page, signed_in: SignedIn, twilio: Twilio
) -> None:
    connected(page)
    expect(page.locator("#no-conversations")).to_be_visible()
    bob = open_chat(signed_in("bob").new_page())
    expect_status(bob, "Connected as bob")
    page.get_by_label("New conversation").fill("Plans")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", name="Plans")).to_be_visible()
    page.get_by_label("Whom to add").fill("bob")
    page.get_by_role("button", name="Add").click()
    expect(bob.get_by_role("button", name="Plans")).to_be_visible()
    write(page, "Lunch?")
    expect(texts(bob)).to_have_text(["Lunch?"])


def test_a_message_in_another_conversation_is_marked(page: Page, twilio: Twilio) -> None:
    both = {name: add_conversation(twilio, name, "anna", "bob") for name in ("first", "second")}
    connected(page)
    expect(page.locator("#conversations button")).to_have_count(2)
    open_one = page.locator("#conversations button[aria-current=true]")
    expect(open_one).to_have_count(1)
    other = page.locator("#conversations button[aria-current=false]")
    name = other.inner_text()
    both[name].say("bob", "Psst")
    expect(other).to_contain_class("unread")
    page.get_by_role("button", name=name).click()
    expect(texts(page)).to_have_text(["Psst"])
    expect(page.locator(".unread")).to_have_count(0)


# Refresh


def lives_on(page: Page, twilio: Twilio) -> None:
    """The session is there after the first token has expired, by another token."""
    first = twilio.of("chat")[0]
    wait_past_expiry(page, first)
    expect_status(page, CONNECTED)
    expect(page.locator("#problem")).to_be_hidden()
    arrivals = twilio.of("chat")
    assert {arrival.code for arrival in arrivals} == {None}
    assert len({arrival.token for arrival in arrivals}) >= 2
    page.get_by_label("New conversation").fill("After")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", name="After")).to_be_visible()


def test_it_lives_past_the_expiry_of_its_first_token(
    page: Page, twilio: Twilio, settings: Any
) -> None:
    settings.TWILIO_TOKENS_TTL = {"chat": 8}
    lives_on(connected(page), twilio)


def test_the_event_of_the_sdk_alone_refreshes(page: Page, twilio: Twilio) -> None:
    """Conversations has tokenAboutToExpire."""
    asked = without_schedule(page, "chat", ttl=12)
    lives_on(connected(page), twilio)
    assert asked[1] - asked[0] < 12 - 1


def test_it_outlives_a_throttle(page: Page, twilio: Twilio, settings: Any) -> None:
    settings.TWILIO_TOKENS_TTL = {"chat": 16}
    settings.TWILIO_TOKENS_THROTTLE_RATE = None
    connected(page)
    throttled_for(10, settings)
    expect(page.locator("#problem")).to_contain_text("No token (throttled).")
    lives_on(page, twilio)


def test_a_token_that_expired_while_the_site_was_down_is_replaced_when_it_is_back(
    page: Page, twilio: Twilio, settings: Any
) -> None:
    """Twilio has closed the connection by then; the same Client lives on."""
    settings.TWILIO_TOKENS_TTL = {"chat": 6}
    connected(page)
    APIKey.objects.update(is_active=False)
    wait_past_expiry(page, twilio.of("chat")[0])
    expect(page.locator("#status")).to_contain_text("Not connected")
    APIKey.objects.update(is_active=True)
    expect_status(page, CONNECTED, 2 * PATIENCE)
    add_conversation(twilio, "later", "anna")
    expect(page.get_by_role("button", name="later")).to_be_visible()


def test_it_outlives_a_time_without_network(
    page: Page, twilio: Twilio, sockets: Sockets, settings: Any
) -> None:
    settings.TWILIO_TOKENS_TTL = {"chat": 8}
    connected(page)
    first = twilio.of("chat")[0]
    page.context.set_offline(True)
    sockets.drop()
    wait_past_expiry(page, first)
    expect(page.locator("#status")).to_contain_text("Not connected")
    expect(page.locator("#problem")).to_contain_text(re.compile(r"Check the network|\(network\)"))
    page.context.set_offline(False)
    expect_status(page, CONNECTED, 2 * PATIENCE)
    expect(page.locator("#problem")).to_be_hidden()
    assert twilio.of("chat")[-1].code is None
    assert twilio.of("chat")[-1].token != first.token
