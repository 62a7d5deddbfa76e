"""What the tests do to the site's answers on their way, and to the site behind them."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace
from typing import Any

from django.contrib.auth.models import User
from jwt.utils import base64url_decode, base64url_encode
from playwright.sync_api import Page, Request, Response, Route

from twilio_tokens.models import APIKey
from twilio_tokens.throttles import TokenRateThrottle


def change(route: Route, **ask: Any) -> dict[str, Any]:
    """The site's real answer, to a request with other fields."""
    return route.fetch(post_data={**route.request.post_data_json, **ask}).json()


def hold_back(route: Route) -> None:
    """Give the token only after it has expired."""
    answer = change(route, ttl=1)
    time.sleep(2)
    route.fulfill(status=201, json=answer)


def hesitate(route: Route) -> None:
    """Long enough to see what the page says meanwhile."""
    time.sleep(2)
    route.continue_()


def tamper(route: Route) -> None:
    """Let the token be somebody else's; the signature stays."""
    answer = change(route)
    head, payload, signature = answer["token"].split(".")
    claims = json.loads(base64url_decode(payload))
    claims["grants"]["identity"] = "boss"
    payload = base64url_encode(json.dumps(claims).encode()).decode()
    route.fulfill(status=201, json={**answer, "token": f"{head}.{payload}.{signature}"})


def without_schedule(page: Page, product: str, ttl: int) -> list[float]:
    """Schedule the first refresh for the token's end: what comes sooner is an event of the SDK's.

    The times at which the site is asked.
    """
    asked: list[float] = []

    def note(request: Request) -> None:
        if request.url.endswith(f"/tokens/{product}/"):
            asked.append(time.monotonic())

    def answer(route: Route) -> None:
        token = change(route, ttl=ttl)
        route.fulfill(status=201, json={**token, "refresh_at": token["expires_at"]})

    page.on("request", note)
    page.route(f"**/twilio/tokens/{product}/", answer, times=1)
    return asked


def down_for_two_requests(page: Page, product: str) -> list[int]:
    """Take the site's key away until it has answered 503 twice; the statuses of its answers."""
    APIKey.objects.update(is_active=False)
    statuses: list[int] = []

    def note(response: Response) -> None:
        if response.url.endswith(f"/tokens/{product}/"):
            statuses.append(response.status)
            if len(statuses) == 2:
                APIKey.objects.update(is_active=True)

    page.on("response", note)
    return statuses


def throttled_for(seconds: float, settings: Any) -> None:
    """From now on anna may ask for one token a minute, and did so almost a minute ago."""
    settings.TWILIO_TOKENS_THROTTLE_RATE = "1/min"
    request: Any = SimpleNamespace(method="POST", user=User.objects.get(username="anna"))
    throttle = TokenRateThrottle()
    # The window that began then.
    throttle.cache.set(
        throttle.get_cache_key(request, None), int((time.time() - 60 + seconds) * 1_000), timeout=60
    )
    assert throttle.allow_request(request, None)
