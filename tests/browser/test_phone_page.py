"""The Phone page, with Twilio's Voice SDK."""

from __future__ import annotations

import secrets
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.rows import new_secret, sid
from twilio_tokens.models import APIKey, IssuedToken, TwiMLApp

from .pages import PATIENCE, SignedIn, expect_status, wait_past_expiry
from .site_answers import down_for_two_requests, hesitate, hold_back, tamper, without_schedule
from .twilio_sockets import Sockets, Twilio

pytestmark = pytest.mark.usefixtures("twilio", "twiml_app")


def go_online(page: Page) -> Page:
    page.goto("/phone/")
    page.get_by_role("button", name="Go online").click()
    return page


def online(page: Page) -> Page:
    go_online(page)
    expect_status(page, "Online as anna")
    return page


@pytest.fixture
def bob(signed_in: SignedIn) -> Page:
    page = go_online(signed_in("bob").new_page())
    expect_status(page, "Online as bob")
    return page


def call(page: Page, whom: str) -> None:
    page.get_by_label("Call").fill(whom)
    page.get_by_role("button", name="Call", exact=True).click()


# The token on the wire


def test_the_device_registers_with_a_token_for_this_user(page: Page, twilio: Twilio) -> None:
    online(page)
    (arrival,) = twilio.of("voice")
    assert arrival.code is None
    assert arrival.claims["sub"] == sid("AC")
    assert arrival.claims["iss"] == sid("SK")
    assert arrival.claims["exp"] - arrival.claims["iat"] == 3600
    assert arrival.claims["grants"] == {
        "identity": "anna",
        "voice": {"incoming": {"allow": True}, "outgoing": {"application_sid": sid("AP")}},
    }
    assert arrival.claims["jti"] == IssuedToken.objects.get().jti
    page.locator("#token-card summary").click()
    expect(page.locator("#token-text")).to_have_text(arrival.token)
    expect(page.locator("#token-claims")).to_contain_text('"identity": "anna"')


def test_a_token_of_a_key_that_twilio_does_not_know_is_refused(page: Page, twilio: Twilio) -> None:
    twilio.secret = new_secret()
    go_online(page)
    expect(page.locator("#problem")).to_contain_text("Twilio says 20101.")
    expect(page.locator("#problem")).to_contain_text("Check the account and the API key")
    expect(page.locator("#token-card")).to_be_visible()
    assert [arrival.code for arrival in twilio.of("voice")] == [20101]


def test_a_tampered_token_is_refused(page: Page, twilio: Twilio) -> None:
    page.route("**/twilio/tokens/voice/", tamper)
    go_online(page)
    expect(page.locator("#problem")).to_contain_text("Twilio says 20101.")
    assert twilio.of("voice")[0].code == 20101


def test_an_expired_token_is_refused_and_the_next_one_is_taken(page: Page, twilio: Twilio) -> None:
    page.route("**/twilio/tokens/voice/", hesitate)
    page.route("**/twilio/tokens/voice/", hold_back, times=1)
    go_online(page)
    expect(page.locator("#problem")).to_contain_text("Twilio says 20104.")
    expect_status(page, "Online as anna")
    expect(page.locator("#problem")).to_be_hidden()
    assert [arrival.code for arrival in twilio.of("voice")] == [20104, None]


def test_one_may_go_offline_while_it_connects(page: Page, twilio: Twilio) -> None:
    APIKey.objects.update(is_active=False)
    go_online(page)
    expect(page.locator("#problem")).to_contain_text("No token (not_configured).")
    page.get_by_role("button", name="Go offline").click()
    expect_status(page, "Offline")
    APIKey.objects.update(is_active=True)
    page.get_by_role("button", name="Go online").click()
    expect_status(page, "Online as anna")
    assert len(twilio.of("voice")) == 1


# Calls


def test_a_call_is_accepted_muted_and_hung_up(page: Page, bob: Page) -> None:
    call(online(page), "client:bob")
    expect(bob.locator(".caller").first).to_have_text("anna is calling")
    bob.get_by_role("button", name="Accept").click()
    for side in (page, bob):
        expect(side.locator("#clock")).to_contain_text("0:0")
    page.get_by_role("button", name="Mute").click()
    expect(page.locator("#mute")).to_have_attribute("aria-pressed", "true")
    bob.get_by_role("button", name="Hang up").click()
    for side in (page, bob):
        expect(side.get_by_label("Call")).to_be_visible()


def test_the_site_connects_a_call_and_tells_who_calls(
    page: Page, bob: Page, twilio: Twilio, site: str, settings: Any
) -> None:
    settings.TWILIO_AUTH_TOKEN = twilio.auth_token = secrets.token_hex(16)
    twilio.voice_url = f"{site}/phone/twiml/"
    User.objects.filter(username="anna").update(first_name="Anna", last_name="Silva")
    call(online(page), "bob")
    expect(bob.locator(".caller").first).to_have_text("Anna Silva is calling")
    expect(bob.locator(".identity").first).to_have_text("anna")
    bob.get_by_role("button", name="Accept").click()
    expect(bob.locator("#clock")).to_contain_text("0:0")
    expect(page.locator(".caller").last).to_contain_text("bob")


def test_a_call_may_be_rejected(page: Page, bob: Page) -> None:
    call(online(page), "client:bob")
    bob.get_by_role("button", name="Reject").click()
    for side in (page, bob):
        expect(side.get_by_label("Call")).to_be_visible()


def test_a_caller_may_give_up(page: Page, bob: Page) -> None:
    call(online(page), "client:bob")
    expect(bob.get_by_role("button", name="Accept")).to_be_visible()
    page.get_by_role("button", name="Hang up").click()
    for side in (page, bob):
        expect(side.get_by_label("Call")).to_be_visible()


def test_who_is_not_there_does_not_answer(page: Page) -> None:
    call(online(page), "client:nobody")
    expect(page.locator("#problem")).to_contain_text("Twilio says 31404.")
    expect(page.get_by_label("Call")).to_be_visible()


def test_whose_app_allows_no_calls_cannot_be_called(page: Page, bob: Page, twilio: Twilio) -> None:
    TwiMLApp.objects.update(allow_incoming=False)
    call(online(page), "client:bob")
    expect(bob.get_by_role("button", name="Accept")).to_be_visible()
    page.get_by_role("button", name="Hang up").click()
    call(bob, "client:anna")
    expect(bob.locator("#problem")).to_contain_text("Twilio says 31404.")
    assert "incoming" not in twilio.of("voice")[-1].claims["grants"]["voice"]


def test_going_offline_asks_for_no_more_tokens(page: Page, settings: Any) -> None:
    settings.TWILIO_TOKENS_TTL = {"voice": 4}
    online(page)
    page.get_by_role("button", name="Go offline").click()
    expect_status(page, "Offline")
    issued = IssuedToken.objects.count()
    page.wait_for_timeout(5000)
    assert IssuedToken.objects.count() == issued


# Refresh


def lives_on(page: Page, twilio: Twilio) -> None:
    """The session is there after the first token has expired, by another token."""
    first = twilio.of("voice")[0]
    wait_past_expiry(page, first)
    expect_status(page, "Online as anna")
    arrivals = twilio.of("voice")
    assert {arrival.code for arrival in arrivals} == {None}
    assert len({arrival.token for arrival in arrivals}) >= 2


def test_it_lives_past_the_expiry_of_its_first_token(
    page: Page, twilio: Twilio, settings: Any
) -> None:
    settings.TWILIO_TOKENS_TTL = {"voice": 8}
    lives_on(online(page), twilio)


def test_the_event_of_the_sdk_alone_refreshes(page: Page, twilio: Twilio) -> None:
    """Voice has tokenWillExpire."""
    asked = without_schedule(page, "voice", ttl=16)
    lives_on(online(page), twilio)
    assert asked[1] - asked[0] < 16 - 1


def test_very_short_tokens_do_not_loop(page: Page, twilio: Twilio, settings: Any) -> None:
    """The SDK fires its event at once for a token of ten seconds or less."""
    settings.TWILIO_TOKENS_TTL = {"voice": 6}
    online(page)
    page.wait_for_timeout(7000)
    expect_status(page, "Online as anna")
    assert 2 <= IssuedToken.objects.count() <= 4


def test_it_outlives_a_site_that_answers_503_twice(
    page: Page, twilio: Twilio, settings: Any
) -> None:
    settings.TWILIO_TOKENS_TTL = {"voice": 14}
    online(page)
    statuses = down_for_two_requests(page, "voice")
    expect(page.locator("#problem")).to_contain_text("No token (not_configured).")
    lives_on(page, twilio)
    assert statuses[:3] == [503, 503, 201]
    expect(page.locator("#problem")).to_be_hidden()


def test_it_outlives_a_time_without_network(
    page: Page, twilio: Twilio, sockets: Sockets, settings: Any
) -> None:
    settings.TWILIO_TOKENS_TTL = {"voice": 8}
    online(page)
    page.context.set_offline(True)
    sockets.drop()
    first = twilio.of("voice")[0]
    expect(page.locator("#problem")).to_contain_text("Check the network.")
    wait_past_expiry(page, first)
    page.context.set_offline(False)
    expect_status(page, "Online as anna", 2 * PATIENCE)
    assert twilio.of("voice")[-1].code is None
    assert twilio.of("voice")[-1].token != first.token
