"""A server's clock that is an hour slow or a day fast, and is set right."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import twilio.rest  # noqa: F401 - importing it during a check would take longer than setting the clock
from django.contrib.auth.models import User
from django.core.cache import caches
from rest_framework.test import APIClient
from time_machine import travel

from tests.issued import decoded
from tests.rows import add_key
from tests.twilio_server import Key, TwilioServer
from twilio_tokens.admin.key_status import safe_to_delete_at, with_last_expiry
from twilio_tokens.exceptions import NotConfigured
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, APIKey, IssuedToken, Outcome
from twilio_tokens.throttles import TokenRateThrottle
from twilio_tokens.verification import verify_key

from .private_servers import Redis

HOUR_SLOW, DAY_FAST = timedelta(hours=-1), timedelta(days=1)

wrong = pytest.mark.parametrize("wrong", [HOUR_SLOW, DAY_FAST], ids=["hour slow", "day fast"])


@wrong
def test_a_token_is_of_the_time_that_its_record_and_its_answer_say(
    wrong: timedelta, api: APIClient, api_key: APIKey, secret: str
) -> None:
    for now in (time.time() + wrong.total_seconds(), time.time()):
        with travel(now, tick=False):
            answer = api.post("/twilio/tokens/video/", {"ttl": 600}, format="json").json()
        claims = decoded_at(now, answer["token"], secret)
        assert (claims["iat"], claims["exp"]) == (int(now), int(now) + 600)
        record = IssuedToken.objects.get(jti=claims["jti"])
        assert record.issued_at.timestamp() == claims["iat"]
        assert record.expires_at.timestamp() == claims["exp"]
        times = {name: instant(answer[name]) for name in ("issued_at", "expires_at", "refresh_at")}
        assert times == {
            "issued_at": claims["iat"],
            "expires_at": claims["exp"],
            "refresh_at": claims["exp"] - 300,
        }
        assert answer["expires_in"] == 600


def decoded_at(moment: float, token: str, secret: str) -> dict[str, Any]:
    with travel(moment, tick=False):
        return decoded(token, secret)


def instant(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


# The throttle, with caches whose entries expire by this clock or by another


@pytest.fixture(params=["memory", "files", "Redis"])
def counted(
    request: pytest.FixtureRequest, settings: Any, tmp_path: Path
) -> Iterator[TokenRateThrottle]:
    """Two a minute."""
    settings.TWILIO_TOKENS_THROTTLE_RATE = "2/min"
    backends = "django.core.cache.backends"
    cache = {"BACKEND": f"{backends}.locmem.LocMemCache"}
    if request.param == "files":
        cache = {"BACKEND": f"{backends}.filebased.FileBasedCache", "LOCATION": str(tmp_path)}
    if request.param == "Redis":
        server = request.getfixturevalue("redis")
        cache = {"BACKEND": f"{backends}.redis.RedisCache", "LOCATION": server.url}
    settings.CACHES = {"default": cache}
    yield TokenRateThrottle()
    caches.close_all()


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@wrong
def test_a_clock_that_is_set_locks_nobody_out(
    wrong: timedelta, counted: TokenRateThrottle, request: pytest.FixtureRequest
) -> None:
    """A user has all places again, and waits for the rest of a period at most."""
    user = SimpleNamespace(method="POST", user=SimpleNamespace(pk=request.node.name))
    now = time.time()
    for moment in (now, now + wrong.total_seconds(), now + 61, now + 122):
        with travel(moment, tick=False):
            allowed = [counted.allow_request(user, None) for _ in range(3)]  # type: ignore[arg-type]
        assert allowed == [True, True, False]
        assert 0 < counted.wait() <= 60


# Keys


def test_a_key_that_is_added_while_the_clock_is_slow_signs(account: Account, user: User) -> None:
    with travel(time.time() + DAY_FAST.total_seconds()):
        add_key(account)
    for _ in "12":
        newer = add_key(account)
        issue_access_token(user=user, grants=[Video()])
        assert IssuedToken.objects.latest("pk").api_key == newer
    newer.save()
    assert APIKey.objects.newest_active(account.pk) == newer


@pytest.mark.django_db(transaction=True)
@wrong
def test_a_clock_that_is_set_prolongs_no_memory_of_a_key(
    wrong: timedelta, api_key: APIKey, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue_access_token(user=user, grants=[Video()])
    APIKey.objects.update(is_active=False)  # as another process does
    passed = time.monotonic() + 16
    monkeypatch.setattr(time, "monotonic", lambda: passed)
    with travel(time.time() + wrong.total_seconds()), pytest.raises(NotConfigured):
        issue_access_token(user=user, grants=[Video()])


@wrong
def test_a_key_that_was_retired_while_the_clock_was_wrong_outlives_its_tokens(
    wrong: timedelta, api_key: APIKey, user: User
) -> None:
    issued = issue_access_token(user=user, grants=[Video()], ttl=86_400)
    with travel(time.time() + wrong.total_seconds()):
        api_key.is_active = False
        api_key.save()
    moment = safe_to_delete_at(with_last_expiry(APIKey.objects.all()).get())
    assert moment is not None
    assert moment >= issued.expires_at


@wrong
def test_a_check_goes_on_when_the_clock_is_set_meanwhile(
    wrong: timedelta, api_key: APIKey, secret: str, twilio: TwilioServer, settings: Any
) -> None:
    twilio.keys[api_key.sid] = Key(secret, api_key.account.sid)
    with travel(time.time(), tick=True) as clock:

        def http_client() -> Any:
            clock.shift(wrong)
            return twilio.http_client()

        settings.TWILIO_TOKENS_HTTP_CLIENT = http_client
        assert verify_key(api_key).outcome == Outcome.VERIFIED
