"""Checks of the caches that count requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings as django_settings
from django.core import checks
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Tags, register
from django.utils.module_loading import import_string

from twilio_tokens.throttles import TokenRateThrottle

from .views import endpoints, is_limited, limits


@register(Tags.caches)
def check_cache_counts(**kwargs: Any) -> list[CheckMessage]:
    return [
        checks.Warning(
            f"The cache “{alias}” stores nothing, so token requests cannot be counted and every "
            "one is answered with 503 (throttle_unavailable).",
            hint="Use another cache, or set TWILIO_TOKENS_THROTTLE_RATE = None.",
            id="twilio_tokens.W030",
        )
        for alias, cache in _caches()
        if _is_a(cache, DummyCache)
    ]


#: The option that limits how long a cache may keep a request waiting.
CACHE_TIMEOUTS = {".RedisCache": "socket_timeout", ".PyMemcacheCache": "timeout"}


@register(Tags.caches, deploy=True)
def check_cache_timeout(**kwargs: Any) -> list[CheckMessage]:
    return [
        checks.Warning(
            f"The cache “{alias}” has no timeout: if its server stops responding, token requests "
            "hang.",
            hint=f'Set CACHES["{alias}"]["OPTIONS"] = {{"{option}": 1}}.',
            id="twilio_tokens.W031",
        )
        for alias, cache in _caches()
        for backend, option in CACHE_TIMEOUTS.items()
        if cache.get("BACKEND", "").endswith(backend) and option not in cache.get("OPTIONS", {})
    ]


@register(Tags.caches, deploy=True)
def check_cache_is_shared(**kwargs: Any) -> list[CheckMessage]:
    """The file-based cache is shared by the processes of one machine, and counts under a lock."""
    return [
        checks.Warning(
            f"The cache “{alias}” is in the memory of each process. Every process counts token "
            "requests separately, so users can send more than TWILIO_TOKENS_THROTTLE_RATE allows, "
            "and a restart resets all counts.",
            hint="Use Redis, Memcached or the database cache.",
            id="twilio_tokens.W032",
        )
        for alias, cache in _caches()
        if _is_a(cache, LocMemCache)
    ]


def _caches() -> Iterator[tuple[str, dict[str, Any]]]:
    """The caches that the site's token views count in."""
    if not is_limited():
        return
    aliases = {
        throttle.cache_alias: None
        for endpoint in endpoints()
        for throttle in endpoint.asks(limits) or ()
        if isinstance(throttle, TokenRateThrottle)
    }
    for alias in aliases or (TokenRateThrottle.cache_alias,):
        if alias in django_settings.CACHES:
            yield alias, django_settings.CACHES[alias]


def _is_a(cache: dict[str, Any], backend: type) -> bool:
    return issubclass(import_string(cache["BACKEND"]), backend)
