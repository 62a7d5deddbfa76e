"""The local Twilio speaks Video as the real SDK does."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from . import video_signaling
from .pages import SignedIn, token_for
from .twilio_sockets import Sockets, Twilio

SDK = "/static/twilio-video/twilio-video.min.js"

CONNECT = """
async ([token, name, media]) => {
    window.seen = [];
    try {
        window.room = await Twilio.Video.connect(
            token, {name, audio: media, video: media, logLevel: "off"});
    } catch (error) {
        return {code: error.code, message: error.message};
    }
    const show = (track) => document.body.append(track.attach());
    const hear = (participant) => participant.on("trackSubscribed", show);
    room.participants.forEach(hear);
    room.on("participantConnected", hear);
    const names = ["participantConnected", "participantDisconnected", "participantReconnecting",
        "participantReconnected", "trackSubscribed", "trackUnsubscribed"];
    for (const name of names) {
        room.on(name, (...values) => seen.push(`${name} ${values.at(-1).identity}`));
    }
    for (const name of ["trackEnabled", "trackDisabled"]) {
        room.on(name, (publication, {identity}) => {
            seen.push(`${name} ${publication.kind} ${identity}`);
        });
    }
    room.on("reconnecting", ({code}) => seen.push(`reconnecting ${code}`));
    room.on("reconnected", () => seen.push("reconnected"));
    room.on("disconnected", (_, error) => seen.push(`disconnected ${error ? error.code : ""}`));
    return {
        name: room.name,
        sid: room.sid,
        identity: room.localParticipant.identity,
        others: [...room.participants.values()].map(({identity}) => identity),
    };
}
"""

#: Frames of a track that is received: what plays, and does not only show a first picture.
PLAYING = """
(count) => {
    const videos = [...document.querySelectorAll("video")];
    return videos.length === count && videos.every((video) =>
        video.videoWidth > 0 && video.getVideoPlaybackQuality().totalVideoFrames > 3);
}
"""


def token(
    twilio: Twilio, identity: str = "anna", *, lives: int = 600, secret: str = "", **grant: str
) -> str:
    return token_for(twilio, {"video": grant}, identity=identity, ttl=lives, secret=secret)


def load(page: Page) -> None:
    if page.url == "about:blank":
        page.goto("/")
        page.add_script_tag(url=SDK)


def connect(page: Page, token: str, name: str = "lobby", *, media: bool = True) -> dict[str, Any]:
    load(page)
    joined: dict[str, Any] = page.evaluate(CONNECT, [token, name, media])
    return joined


def wait_to_see(page: Page, event: str) -> None:
    page.wait_for_function("(event) => seen.includes(event)", arg=event)


@pytest.fixture
def other(signed_in: SignedIn) -> Page:
    """A page of ben, in a browser of his own."""
    return signed_in("ben").new_page()


def test_three_see_each_other(page: Page, signed_in: SignedIn, twilio: Twilio) -> None:
    pages = {"anna": page, "ben": signed_in("ben").new_page(), "cleo": signed_in("cleo").new_page()}

    for identity, each in pages.items():
        connect(each, token(twilio, identity))

    for each in pages.values():
        each.wait_for_function(PLAYING, arg=2)


def test_one_who_only_watches_sees_the_other(page: Page, other: Page, twilio: Twilio) -> None:
    connect(page, token(twilio, "anna"), media=False)
    connect(other, token(twilio, "ben"))

    page.wait_for_function(PLAYING, arg=1)


def test_a_track_that_is_added_or_removed_later_comes_and_goes(
    page: Page, other: Page, twilio: Twilio
) -> None:
    for each, identity in ((page, "anna"), (other, "ben")):
        connect(each, token(twilio, identity), media=False)
    wait_to_see(page, "participantConnected ben")

    # Both at once, so that their offers cross.
    for each in (page, other):
        each.evaluate(
            """() => { Twilio.Video.createLocalVideoTrack().then((track) => {
                room.localParticipant.publishTrack(track);
            }); }"""
        )
    for each in (page, other):
        each.wait_for_function(PLAYING, arg=1)

    page.evaluate(
        "() => room.localParticipant.videoTracks.forEach(({track}) =>"
        " room.localParticipant.unpublishTrack(track))"
    )
    wait_to_see(other, "trackUnsubscribed anna")


def test_a_closed_page_is_missed_and_at_last_given_up(
    page: Page, other: Page, twilio: Twilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_signaling, "SESSION_TIMEOUT", 1)
    connect(page, token(twilio, "anna"), media=False)
    connect(other, token(twilio, "ben"), media=False)

    page.close()

    wait_to_see(other, "participantReconnecting anna")
    wait_to_see(other, "participantDisconnected anna")


def test_rooms_do_not_mix(page: Page, other: Page, twilio: Twilio) -> None:
    first = connect(page, token(twilio, "anna"), "lobby", media=False)
    second = connect(other, token(twilio, "ben"), "Küche 2", media=False)

    assert second["name"] == "Küche 2"
    assert second["others"] == []
    assert first["sid"] != second["sid"]


def test_after_a_broken_connection_a_good_token_comes_back(
    page: Page, other: Page, twilio: Twilio, sockets: Sockets
) -> None:
    good = token(twilio, "anna")
    connect(page, good)
    connect(other, token(twilio, "ben"))
    page.wait_for_function(PLAYING, arg=1)
    before = len(twilio.of("video"))

    sockets.drop()

    for each in (page, other):
        wait_to_see(each, "reconnecting 53001")
        wait_to_see(each, "reconnected")
    assert good in [arrival.token for arrival in twilio.of("video")[before:]]
    page.evaluate("() => room.localParticipant.videoTracks.forEach(({track}) => track.disable())")
    wait_to_see(other, "trackDisabled video anna")
    assert page.evaluate("() => room.participants.size") == 1
