"""The Video page, with Twilio's Video SDK."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, Route, expect

from example_project.models import Meeting
from tests.rows import new_secret, sid
from twilio_tokens.models import IssuedToken

from .pages import SignedIn, expect_status, wait_past_expiry
from .site_answers import change, down_for_two_requests, hold_back, tamper, throttled_for
from .twilio_sockets import Sockets, Twilio

pytestmark = pytest.mark.usefixtures("twilio", "meeting")

ALONE = "Connected as anna, with no others"


def invite(*usernames: str, room: str, **times: Any) -> Meeting:
    meeting = Meeting.objects.create(room=room, **times)
    for username in usernames:
        meeting.users.add(User.objects.get_or_create(username=username)[0])
    return meeting


@pytest.fixture
def meeting(twilio: Twilio, settings: Any) -> Meeting:
    settings.TWILIO_TOKENS_ROOM_POLICY = "example_project.meetings.may_join"
    return invite("anna", "bob", room="DailyStandup")


def join(page: Page, room: str = "DailyStandup") -> Page:
    page.goto("/video/")
    page.get_by_role("button", name=f"Join {room}").click()
    return page


@pytest.fixture
def bob(signed_in: SignedIn) -> Page:
    """Bob, who is in the room."""
    page = join(signed_in("bob").new_page())
    expect_status(page, "Connected as bob, with no others")
    return page


def tokens(twilio: Twilio) -> list[str]:
    """In the order of their arrival, each once."""
    return list(dict.fromkeys(arrival.token for arrival in twilio.of("video")))


# The token on the wire


def test_one_enters_a_room_with_a_token_for_this_user_and_this_room(
    page: Page, twilio: Twilio
) -> None:
    invite("anna", room="Ärzte 会議室")
    expect_status(join(page, "Ärzte 会議室"), ALONE)
    (token,) = tokens(twilio)
    arrival = twilio.of("video")[-1]
    assert arrival.code is None
    assert arrival.claims["sub"] == sid("AC")
    assert arrival.claims["iss"] == sid("SK")
    assert arrival.claims["exp"] - arrival.claims["iat"] == 86_400
    assert arrival.claims["grants"] == {"identity": "anna", "video": {"room": "Ärzte 会議室"}}
    page.locator("#token-card summary").click()
    expect(page.locator("#token-text")).to_have_text(token)


def test_a_token_of_a_key_that_twilio_does_not_know_is_refused(page: Page, twilio: Twilio) -> None:
    twilio.secret = new_secret()
    join(page)
    expect(page.locator("#problem")).to_contain_text("Twilio says 20101.")
    expect(page.locator("#problem")).to_contain_text("Check the account and the API key")
    expect(page.get_by_role("button", name="Join")).to_be_visible()
    expect(page.locator("#token-card")).to_be_visible()


def test_a_tampered_token_is_refused(page: Page, twilio: Twilio) -> None:
    page.route("**/twilio/tokens/video/", tamper)
    join(page)
    expect(page.locator("#problem")).to_contain_text("Twilio says 20101.")
    assert {arrival.code for arrival in twilio.of("video")} == {20101}


def test_an_expired_token_is_refused(page: Page, twilio: Twilio) -> None:
    page.route("**/twilio/tokens/video/", hold_back)
    join(page)
    expect(page.locator("#problem")).to_contain_text("Twilio says 20104.")
    expect(page.locator("#problem")).to_contain_text("The token has expired.")
    assert twilio.of("video")[0].code == 20104


def test_a_token_for_another_room_is_refused(page: Page) -> None:
    invite("anna", room="Boardroom")
    page.route(
        "**/twilio/tokens/video/",
        lambda route: route.fulfill(status=201, json=change(route, room="Boardroom")),
    )
    join(page)
    expect(page.locator("#problem")).to_contain_text("Twilio says 20106.")


# Which rooms


def test_one_is_offered_the_rooms_that_one_may_join(page: Page) -> None:
    now = timezone.now()
    invite("bob", room="Boardroom")
    invite("anna", room="Yesterday", starts=now - timedelta(days=2), ends=now - timedelta(days=1))
    invite("anna", room="Tomorrow", starts=now + timedelta(days=1))
    page.goto("/video/")
    expect(page.locator(".meetings h2")).to_have_text(["DailyStandup", "Tomorrow"])
    expect(page.get_by_role("button", name="Join")).to_have_count(1)
    expect(page.locator(".meetings li", has_text="Tomorrow")).to_contain_text("Opens ")
    for room in ("Boardroom", "Yesterday", "Tomorrow", "dailystandup", "Nowhere"):
        page.goto(f"/video/?room={room}")
        expect(page.get_by_role("alert")).to_contain_text(f"You cannot join {room} now")
    page.goto("/video/?room=DailyStandup")
    expect(page.locator("[role=alert]:not(#problem)")).to_have_count(0)
    expect(page.get_by_role("button", name="Join DailyStandup")).to_be_focused()


def test_a_meeting_that_ended_while_the_page_was_open_gets_no_token(
    page: Page, meeting: Meeting
) -> None:
    page.goto("/video/")
    meeting.delete()
    page.get_by_role("button", name="Join").click()
    expect(page.locator("#problem")).to_contain_text("No token (permission_denied).")
    assert not IssuedToken.objects.exists()


def test_a_token_expires_with_its_meeting(page: Page, twilio: Twilio, meeting: Meeting) -> None:
    meeting.ends = timezone.now() + timedelta(hours=1)
    meeting.save()
    expect_status(join(page), ALONE)
    assert twilio.of("video")[-1].claims["exp"] == int(meeting.ends.timestamp())


def test_who_is_invited_to_nothing_is_told_so(signed_in: SignedIn) -> None:
    page = signed_in("carol").new_page()
    page.goto("/video/")
    expect(page.locator(".meetings")).to_contain_text("You are not invited to any meeting.")


# In the room


def test_two_see_each_other_mute_and_leave(page: Page, bob: Page) -> None:
    join(page)
    expect_status(page, "Connected as anna, with 1 other")
    for side, other in ((page, "bob"), (bob, "anna")):
        tile = side.locator("figure", has_text=other)
        expect(tile.locator("video")).to_be_visible()
        expect(tile.locator("audio")).to_be_attached()
        assert tile.locator("video").evaluate(
            """async (video) => {
              while (!video.videoWidth) await new Promise((done) => setTimeout(done, 50));
              return video.videoWidth;
            }"""
        )
    anna = bob.locator("figure", has_text="anna")
    # Chromium's microphone beeps once a second.
    for tile in (page.locator("#tile-me"), page.locator("figure", has_text="bob"), anna):
        expect(tile).to_contain_class("speaking")
    page.get_by_role("button", name="Mute").click()
    expect(anna).to_contain_class("muted")
    expect(page.locator("#tile-me")).to_contain_class("muted")
    page.get_by_role("button", name="Mute").click()
    expect(anna).not_to_contain_class("muted")
    page.get_by_role("button", name="Camera off").click()
    expect(anna).to_contain_class("dark")
    page.get_by_role("button", name="Leave").click()
    expect(anna).to_have_count(0)
    expect_status(bob, "Connected as bob, with no others")
    expect_status(page, "Not in a room")


def test_who_closes_the_page_leaves_the_room(page: Page, bob: Page) -> None:
    expect_status(join(page), "Connected as anna, with 1 other")
    page.goto("/")
    expect_status(bob, "Connected as bob, with no others")


def test_joining_elsewhere_ends_this_page_and_does_not_bring_it_back(
    page: Page, signed_in: SignedIn
) -> None:
    expect_status(join(page), ALONE)
    elsewhere = join(signed_in("anna").new_page())
    expect(page.locator("#problem")).to_contain_text("Twilio says 53205.")
    expect_status(page, "Not in a room")
    expect_status(elsewhere, ALONE)


# The network


def lose_connection(page: Page, sockets: Sockets) -> None:
    """Until the page has said so, be it for a moment."""
    page.evaluate(
        """() => {
          const status = document.getElementById("status");
          window.said = new Set();
          new MutationObserver(() => said.add(status.textContent)).observe(status, {
            childList: true,
          });
        }"""
    )
    sockets.drop()
    page.wait_for_function("() => said.has('The connection is lost. Reconnecting …')")


def test_a_lost_connection_comes_back_with_the_token_that_it_has(
    page: Page, twilio: Twilio, sockets: Sockets
) -> None:
    expect_status(join(page), ALONE)
    arrived = len(twilio.of("video"))
    lose_connection(page, sockets)
    expect_status(page, ALONE)
    assert len(twilio.of("video")) > arrived
    assert len(tokens(twilio)) == 1


def test_a_connection_lost_after_the_token_expired_comes_back_with_a_new_one(
    page: Page, twilio: Twilio, sockets: Sockets, settings: Any
) -> None:
    settings.TWILIO_TOKENS_TTL = {"video": 4}
    expect_status(join(page), ALONE)
    wait_past_expiry(page, twilio.of("video")[0])
    expect_status(page, ALONE)
    lose_connection(page, sockets)
    expect_status(page, ALONE)
    assert [arrival.code for arrival in twilio.of("video") if arrival.code] == [20104]
    assert len(tokens(twilio)) == 2


def test_it_waits_for_a_site_that_answers_503_twice(page: Page) -> None:
    statuses = down_for_two_requests(page, "video")
    join(page)
    expect(page.locator("#problem")).to_contain_text("No token (not_configured).")
    expect_status(page, ALONE)
    assert statuses == [503, 503, 201]
    expect(page.locator("#problem")).to_be_hidden()


def test_it_waits_for_the_throttle(page: Page, settings: Any) -> None:
    throttled_for(5, settings)
    join(page)
    expect(page.locator("#problem")).to_contain_text("No token (throttled).")
    expect_status(page, ALONE)
    expect(page.locator("#problem")).to_be_hidden()


def test_it_waits_for_the_network(page: Page) -> None:
    page.goto("/video/")
    page.context.set_offline(True)
    page.get_by_role("button", name="Join").click()
    expect(page.locator("#problem")).to_contain_text("No token (network).")
    page.context.set_offline(False)
    expect_status(page, ALONE)


def test_leaving_before_the_camera_is_there_switches_it_off(page: Page, twilio: Twilio) -> None:
    page.add_init_script(
        """
        const { mediaDevices } = navigator;
        const ask = mediaDevices.getUserMedia.bind(mediaDevices);
        mediaDevices.getUserMedia = async (constraints) => {
          await new Promise((done) => (window.allow = done));
          return (window.stream = await ask(constraints));
        };
        """
    )
    page.goto("/video/")
    page.get_by_role("button", name="Join").click()
    page.get_by_role("button", name="Leave").click()
    expect_status(page, "Not in a room")
    page.evaluate("allow()")
    page.evaluate(
        """async () => {
          const live = () => stream.getTracks().some(({ readyState }) => readyState === "live");
          while (!window.stream || live()) await new Promise((done) => setTimeout(done, 20));
        }"""
    )
    assert twilio.of("video") == []
    assert not IssuedToken.objects.exists()


def test_leaving_while_joining_enters_no_room(page: Page, twilio: Twilio) -> None:
    page.goto("/video/")
    held: list[Route] = []
    page.route("**/twilio/tokens/video/", lambda route: held.append(route))
    page.get_by_role("button", name="Join").click()
    page.get_by_role("button", name="Leave").click()
    expect_status(page, "Not in a room")
    page.wait_for_timeout(500)
    assert twilio.of("video") == []
    expect(page.locator("#problem")).to_be_hidden()
