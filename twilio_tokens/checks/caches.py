"""The cache that requests are counted in."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register

from twilio_tokens.conf import settings
from twilio_tokens.exceptions import SettingError


@register(Tags.caches)
def check_cache_counts(**kwargs: Any) -> list[CheckMessage]:
    if _is_throttled() and _default_cache().get("BACKEND", "").endswith(".DummyCache"):
        return [
            checks.Warning(
                "The default cache keeps nothing, so token requests cannot be counted: every one "
                "is answered with 503 (throttle_unavailable).",
                hint="Use another cache, or set TWILIO_TOKENS_THROTTLE_RATE = None.",
                id="twilio_tokens.W030",
            )
        ]
    return []


#: The option that bounds how long a cache may keep a request waiting.
CACHE_TIMEOUTS = {".RedisCache": "socket_timeout", ".PyMemcacheCache": "timeout"}


@register(Tags.caches, deploy=True)
def check_cache_timeout(**kwargs: Any) -> list[CheckMessage]:
    cache = _default_cache()
    return [
        checks.Warning(
            "The default cache has no timeout: if its server stops answering, token requests hang.",
            hint=f'Set CACHES["default"]["OPTIONS"] = {{"{option}": 1}}.',
            id="twilio_tokens.W031",
        )
        for backend, option in CACHE_TIMEOUTS.items()
        if _is_throttled()
        and cache.get("BACKEND", "").endswith(backend)
        and option not in cache.get("OPTIONS", {})
    ]


def _default_cache() -> dict[str, Any]:
    cache: dict[str, Any] = django_settings.CACHES.get("default", {})
    return cache


def _is_throttled() -> bool:
    try:
        return settings.throttle_rate is not None
    except SettingError:
        return False  # another check says so
