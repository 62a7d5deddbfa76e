"""Pages of signed-in users, and tokens of the test's own making."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

import jwt
from playwright.sync_api import BrowserContext, Page, expect

from . import twilio_sockets
from .twilio_sockets import Arrival, Twilio

#: Milliseconds. The SDKs wait up to some seconds between their tries.
PATIENCE = 30_000


def token_for(
    twilio: Twilio,
    grants: dict[str, Any],
    *,
    identity: str = "anna",
    ttl: int = 3600,
    secret: str = "",
) -> str:
    """A token as this Twilio takes it, made without the app; ``ttl`` may be negative."""
    now = int(time.time())
    claims = {
        "iss": twilio.key,
        "sub": twilio.account,
        "iat": min(now, now + ttl),
        "exp": now + ttl,
        "jti": secrets.token_hex(16),
        "grants": {"identity": identity, **grants},
    }
    return jwt.encode(claims, secret or twilio.secret, headers=twilio_sockets.HEADER)


def until(page: Page, condition: Callable[[], Any]) -> None:
    """By the test's own clock: the page's may stand still."""
    for _ in range(200):
        if condition():
            return
        page.wait_for_timeout(100)
    raise AssertionError("It did not come about.")


def wait_past_expiry(page: Page, arrival: Arrival) -> None:
    page.wait_for_timeout(max(0, 1000 * (arrival.expires_in + 1.5)))


def expect_status(page: Page, text: str, patience: int = PATIENCE) -> None:
    """Of one of the example's pages with an SDK."""
    expect(page.locator("#status")).to_have_text(text, timeout=patience)


SignedIn = Callable[[str], BrowserContext]
