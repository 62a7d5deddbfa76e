"""SQL statements of a request, above those of the constant view, which only authenticates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from .measurements import Measurement
from .request import ONE, THREE
from .rows import add_credentials, add_users
from .site import post


def measure(rounds: int) -> Iterator[Measurement]:
    add_credentials()
    (token,) = add_users(1)
    limit = 1 if settings.TWILIO_TOKENS_AUDIT else 0
    own = statements("/constant/one/", token, ONE)
    counts = [
        statements("/twilio/tokens/video/", token, ONE) - own,
        statements("/twilio/tokens/", token, THREE) - own,
    ]
    yield Measurement(
        f"SQL above authentication's own, audit {'on' if limit else 'off'}", counts, limit
    )


def statements(url: str, token: str, fields: Mapping[str, object]) -> float:
    post(url, token, fields)
    with CaptureQueriesContext(connection) as captured:
        post(url, token, fields)
    return len(captured)
