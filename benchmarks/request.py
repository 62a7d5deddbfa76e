"""``POST tokens/…``, beside a REST framework view that answers a constant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import cycle

from django.conf import settings
from django.core.cache import cache
from django.db import connection

from .measurements import Measurement, ratios
from .rows import add_credentials, add_users
from .site import post

CALLS = 500
USERS = 50  # so that no throttle's bucket overflows

ONE = {"room": "DailyStandup", "ttl": 3_600}
THREE = {"video": {"room": "DailyStandup"}, "chat": {}, "voice": {}, "ttl": 3_600}


def measure(rounds: int) -> Iterator[Measurement]:
    add_credentials()
    ask = partial(post_in_turn, add_users(USERS))
    audit = f", audit on {connection.vendor}" if settings.TWILIO_TOKENS_AUDIT else ""
    compared = partial(ratios, calls=CALLS, rounds=rounds, before=cache.clear)
    yield Measurement(
        f"constant view ÷ POST tokens/video/{audit}",
        compared(ask("/constant/one/", ONE), ask("/twilio/tokens/video/", ONE)),
        0.75 if audit else 0.95,
        is_least=True,
    )
    if not audit:
        yield Measurement(
            "constant view ÷ POST tokens/, three grants",
            compared(ask("/constant/three/", THREE), ask("/twilio/tokens/", THREE)),
            0.9,
            is_least=True,
        )


def post_in_turn(tokens: list[str], url: str, fields: Mapping[str, object]) -> Callable[[], object]:
    users = cycle(tokens)
    return lambda: post(url, next(users), fields)
