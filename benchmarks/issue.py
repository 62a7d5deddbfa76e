"""``issue_access_token``, beside the ``AccessToken`` of Twilio's library with the same grants."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from django.contrib.auth.models import User
from twilio.jwt.access_token import AccessToken, AccessTokenGrant
from twilio.jwt.access_token.grants import ChatGrant, VideoGrant, VoiceGrant

from twilio_tokens.grants import Chat, Grant, Video, Voice
from twilio_tokens.issuing import issue_access_token

from .measurements import Measurement, ratios
from .rows import SECRET, add_credentials, sid

CALLS = 1_000
LIMIT = 1.35


def measure(rounds: int) -> Iterator[Measurement]:
    add_credentials()
    user = User.objects.create(username="user0")
    yield Measurement(
        "issue_access_token ÷ Twilio's AccessToken, one grant",
        ratios(partial(ours_one, user), theirs_one, calls=CALLS, rounds=rounds),
        LIMIT,
        "×",
    )
    yield Measurement(
        "issue_access_token ÷ Twilio's AccessToken, three grants",
        ratios(partial(ours_three, user), theirs_three, calls=CALLS, rounds=rounds),
        LIMIT,
        "×",
    )


def ours_one(user: User) -> None:
    ours(user, Video("DailyStandup"))


def ours_three(user: User) -> None:
    ours(user, Video("DailyStandup"), Chat(), Voice())


def ours(user: User, *grants: Grant) -> None:
    issue_access_token(user=user, grants=grants, ttl=3_600)


def theirs_one() -> None:
    theirs(VideoGrant(room="DailyStandup"))


def theirs_three() -> None:
    theirs(
        VideoGrant(room="DailyStandup"),
        ChatGrant(service_sid=sid("IS")),
        VoiceGrant(outgoing_application_sid=sid("AP"), incoming_allow=False),
    )


def theirs(*grants: AccessTokenGrant) -> None:
    AccessToken(
        sid("AC"), sid("SK"), SECRET, grants=[*grants], identity="user0", ttl=3_600
    ).to_jwt()
