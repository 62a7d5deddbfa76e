"""Limits how often a user can request tokens, even in parallel requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings as django_settings
from django.core.cache import BaseCache, caches
from django.core.cache.backends.filebased import FileBasedCache
from django.core.files import locks
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

from .conf import settings
from .exceptions import ThrottleUnavailable, TwilioTokensError

#: Longer than a request needs between reading the count and writing it.
RACE_SECONDS = 10

FORGETFUL = _("The cache does not keep the request counts.")

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


def issues_nothing(handler: _Handler) -> _Handler:
    """Decorates a viewset method that can be called any number of times."""
    handler.issues_nothing = True  # type: ignore[attr-defined]
    return handler


def asks_for_a_token(request: HttpRequest | Request, view: APIView) -> bool:
    """True unless the handler is decorated with ``issues_nothing``: a subclass that issues tokens
    on GET must not escape the limit."""
    handler = getattr(view, getattr(view, "action", None) or str(request.method).lower(), None)
    issues_nothing = request.method == "OPTIONS" or getattr(handler, "issues_nothing", False)
    return not issues_nothing


class TokenRateThrottle(SimpleRateThrottle):
    """One limit per user across all products.

    Every request that may issue a token counts. Requests are counted in windows, each as long as
    the rate's period; the first one starts with the user's first request.
    """

    num_requests: int
    duration: int
    #: Seconds until the window of the last request ends.
    rest_of_window: float

    scope = "twilio_tokens"
    cache_alias = "default"

    @property
    def cache(self) -> BaseCache:  # type: ignore[override]
        return caches[self.cache_alias]

    def get_rate(self) -> str | None:
        return settings.throttle_rate

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        return self._key(request.user) if asks_for_a_token(request, view) else None

    def _key(self, user: object) -> str:
        # A primary key may contain characters that memcached refuses in keys.
        text = str(getattr(user, "pk", None))
        ident = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        return self.cache_format % {"scope": self.scope, "ident": ident}

    def allow_request(self, request: Request, view: APIView) -> bool:
        key = self.get_cache_key(request, view)
        return key is None or self._is_within_rate(key)

    def allow_user(self, user: object) -> bool:
        """Count a request of this user that does not come through REST framework."""
        return self._is_within_rate(self._key(user))

    def _is_within_rate(self, key: str) -> bool:
        if self.rate is None:
            return True
        try:
            with self._alone():
                return self._take_place(key)
        except TwilioTokensError:
            raise
        except Exception as error:  # whatever the client of the site's cache raises
            raise ThrottleUnavailable(
                _("The cache raised {error}."),
                error=type(error).__name__,
            ) from error

    def wait(self) -> float:
        return self.rest_of_window

    @property
    def _is_locked(self) -> bool:
        """The file-based cache has no atomic operation."""
        return isinstance(self.cache, FileBasedCache)

    def _alone(self) -> AbstractContextManager[None]:
        if self._is_locked:
            return _locked(Path(django_settings.CACHES[self.cache_alias]["LOCATION"]))
        return nullcontext()

    def _take_place(self, key: str) -> bool:
        """Whether the window had a free place."""
        start = self._start(key)
        elapsed = self.timer() - start / 1_000
        # The first window, unless the clock was changed. The wait never exceeds one window.
        window = int(elapsed / self.duration)
        self.rest_of_window = min(self.duration, (window + 1) * self.duration - elapsed)
        counter = f"{key}:{start}:{window}"
        if self._counts_by_reading:
            return self._claim(counter)
        return self._count(counter) <= self.num_requests

    @property
    def _counts_by_reading(self) -> bool:
        """Django's default incr(), which some backends inherit, reads and then writes."""
        return type(self.cache).incr is BaseCache.incr

    def _start(self, key: str) -> int:
        """When the user's first window began, in milliseconds."""
        now = int(self.timer() * 1_000)
        start = self.cache.get(key)
        if start is None and not self.cache.add(key, now, self.duration):
            # Another request was faster. A replica that serves reads may not know of it yet, but
            # the server that counts does.
            with suppress(ValueError):  # the window has just ended
                start = self.cache.get(key) if self._counts_by_reading else self.cache.incr(key, 0)
        return now if start is None else int(start)

    def _count(self, counter: str) -> int:
        try:
            return self.cache.incr(counter)
        except ValueError:  # the counter does not exist yet
            self.cache.add(counter, 0, 2 * self.duration)
        try:
            return self.cache.incr(counter)
        except ValueError:
            raise ThrottleUnavailable(FORGETFUL) from None

    def _claim(self, counter: str) -> bool:
        """If two requests read the same count, only one of them gets the place."""
        for place in range(self.cache.get(counter, 0), self.num_requests):
            if self._is_locked or self.cache.add(f"{counter}:{place}", True, RACE_SECONDS):
                self.cache.set(counter, place + 1, 2 * self.duration)
                if self.cache.get(counter) is None:
                    raise ThrottleUnavailable(FORGETFUL)
                return True
        return False


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "twilio_tokens.lock").open("wb") as file:
        locks.lock(file, locks.LOCK_EX)
        yield
