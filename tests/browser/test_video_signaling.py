"""The local Twilio speaks Video as the real SDK does."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.conftest import decoded

from . import video_signaling
from .conftest import SignedIn, token_for
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

#: ``wait_for_function`` takes the promise of an async function for its result. The limit is below
#: ``SESSION_TIMEOUT``, when the SDK gives a connection up by itself.
UNTIL = """
async () => {
    const holds = (reports) => CONDITION;
    for (const end = Date.now() + 8_000; !holds(await room.getStats());) {
        if (Date.now() > end) throw new Error("It has not come about: CONDITION");
        await new Promise(requestAnimationFrame);
    }
}
"""

AUDIBLE = "reports.some((one) => one.remoteAudioTrackStats.some(({bytesReceived: got}) => got > 0))"


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


def wait_for_stats(page: Page, condition: str) -> None:
    page.evaluate(UNTIL.replace("CONDITION", condition))


@pytest.fixture
def other(signed_in: SignedIn) -> Page:
    """A page of ben, in a browser of his own."""
    return signed_in("ben").new_page()


def test_a_good_token_comes_into_the_room_it_names(page: Page, twilio: Twilio) -> None:
    good = token(twilio, "anna", room="lobby")

    room = connect(page, good)

    assert room["name"] == "lobby"
    assert room["identity"] == "anna"
    assert room["sid"].startswith("RM")
    assert {arrival.token for arrival in twilio.of("video")} == {good}
    page.wait_for_function(
        "() => [...room.localParticipant.tracks.values()].every(({trackSid}) => trackSid)"
    )


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"secret": "x" * 32}, 20101),
        ({"lives": -1}, 20104),
        ({"room": "another"}, 20106),
    ],
    ids=["signed with another secret", "expired", "for another room"],
)
def test_a_bad_token_is_refused_with_its_code(
    changes: dict[str, Any], code: int, page: Page, twilio: Twilio
) -> None:
    refusal = connect(page, token(twilio, **changes), media=False)

    assert refusal["code"] == code
    assert not any(room.participants for room in twilio.rooms.values())


def test_two_see_and_hear_each_other(page: Page, other: Page, twilio: Twilio) -> None:
    assert connect(page, token(twilio, "anna"))["others"] == []
    assert connect(other, token(twilio, "ben"))["others"] == ["anna"]

    wait_to_see(page, "participantConnected ben")
    for each in (page, other):
        each.wait_for_function(PLAYING, arg=1)
        wait_for_stats(each, AUDIBLE)


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


def test_muting_is_told_to_the_other(page: Page, other: Page, twilio: Twilio) -> None:
    connect(page, token(twilio, "anna"))
    connect(other, token(twilio, "ben"))
    other.wait_for_function(PLAYING, arg=1)

    page.evaluate("() => room.localParticipant.audioTracks.forEach(({track}) => track.disable())")
    wait_to_see(other, "trackDisabled audio anna")

    page.evaluate("() => room.localParticipant.audioTracks.forEach(({track}) => track.enable())")
    wait_to_see(other, "trackEnabled audio anna")


def test_leaving_is_told_to_the_other(page: Page, other: Page, twilio: Twilio) -> None:
    connect(page, token(twilio, "anna"))
    connect(other, token(twilio, "ben"))
    other.wait_for_function(PLAYING, arg=1)

    page.evaluate("() => { room.disconnect(); }")

    wait_to_see(page, "disconnected ")
    wait_to_see(other, "participantDisconnected anna")
    assert other.evaluate("() => room.participants.size") == 0
    wait_for_stats(other, "reports.length === 0")
    seen = other.evaluate("() => seen")
    assert seen.index("trackUnsubscribed anna") < seen.index("participantDisconnected anna")


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


def test_after_a_broken_connection_an_expired_token_ends_the_room(
    page: Page, other: Page, twilio: Twilio, sockets: Sockets
) -> None:
    connect(other, token(twilio, "ben"), media=False)
    load(page)
    short = token(twilio, "anna", lives=3)
    expiry = decoded(short, twilio.secret)["exp"]
    connect(page, short, media=False)
    page.wait_for_function("(expiry) => Date.now() > expiry * 1000", arg=expiry)

    sockets.drop()

    wait_to_see(page, "disconnected 20104")
    wait_to_see(other, "participantDisconnected anna")
    assert [arrival.code for arrival in twilio.of("video") if arrival.token == short][-1] == 20104


def test_the_same_identity_anew_ends_the_older_one(
    page: Page, signed_in: SignedIn, twilio: Twilio
) -> None:
    connect(page, token(twilio, "anna"), media=False)

    newer = signed_in("anna").new_page()
    assert connect(newer, token(twilio, "anna"), media=False)["others"] == []

    wait_to_see(page, "disconnected 53205")
    assert newer.evaluate("() => room.state") == "connected"
