"""The only reader of the ``TWILIO_TOKENS_*`` settings.

Every setting is a typed property of :data:`settings`, read when it is used, so that
``override_settings`` works. A value that cannot be used raises ``SettingError``
with a sentence that names the setting and what it should be, never its value. So does a
function of the site's that raises, for it was called on behalf of a token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeGuard, TypeVar

from django.conf import settings as django_settings
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.utils.module_loading import import_string

from .exceptions import PermissionDenied, SettingError, TwilioTokensError

#: Seconds. Twilio refuses tokens that live longer (https://www.twilio.com/docs/api/errors/20157).
LONGEST_TTL = 86_400

#: What each is on a site that does not set it.
DEFAULTS: dict[str, object] = {
    "ENCRYPTION_KEYS": None,
    "IDENTITY": "twilio_tokens.identity.username",
    "WORKER": None,
    "ACCOUNT": None,
    "TTL": {},
    "MAX_TTL": LONGEST_TTL,
    "ROOM_REQUIRED": False,
    "ROOM_POLICY": None,
    "PARAMS": True,
    "THROTTLE_RATE": "60/min",
    "AUDIT": True,
    "LOG_IDENTITY": False,
    "CREDENTIAL_CACHE_SECONDS": 15,
    "HTTP_CLIENT": None,
}
NAMES = tuple(f"TWILIO_TOKENS_{name}" for name in DEFAULTS)

#: What Django has looked up and remembers, until it is changed. Asking by attribute takes ten times
#: as long, and a token depends on eight settings.
_READ_BEFORE = vars(django_settings)

_Answer = TypeVar("_Answer")

_RATE = re.compile(r"[0-9]+/(s|sec|second|m|min|minute|h|hour|d|day)")


#: Django's function looks the module up again and again, for every token.
_imported = lru_cache(maxsize=32)(import_string)


def _is_seconds(value: object, lowest: int, highest: int) -> TypeGuard[int]:
    return type(value) is int and lowest <= value <= highest


def _is_number(value: object) -> TypeGuard[int | float]:
    return type(value) in (int, float)


class Settings:
    @property
    def encryption_keys(self) -> object:
        """The raw setting: a list, or what the callable returned; ``crypto`` judges it."""
        value = self.given("ENCRYPTION_KEYS")
        if isinstance(value, str) and "." in value:
            value = self._callable("ENCRYPTION_KEYS")
        return value() if callable(value) else value

    @property
    def identity(self) -> Callable[[Any], str]:
        function = self._callable("IDENTITY")
        if function is None:
            raise SettingError("TWILIO_TOKENS_IDENTITY should be a callable, not None.")
        return function

    @property
    def account(self) -> Callable[[Any], Any] | None:
        return self._callable("ACCOUNT")

    @property
    def worker(self) -> Callable[[Any, Any], Any] | None:
        return self._callable("WORKER")

    @property
    def room_policy(self) -> Callable[[Any, str | None], bool | datetime] | None:
        return self._callable("ROOM_POLICY")

    @property
    def params(self) -> bool | Callable[[Any, Any, dict[str, str]], bool]:
        value = self.given("PARAMS")
        if isinstance(value, bool):
            return value
        function = self._callable("PARAMS")
        if function is None:
            raise SettingError("TWILIO_TOKENS_PARAMS should be True, False or a callable.")
        return function

    @property
    def http_client(self) -> Callable[[], Any] | None:
        return self._callable("HTTP_CLIENT")

    @property
    def ttls(self) -> dict[str, int]:
        """Product to default lifetime in seconds, where the site has set one."""
        value = self.given("TTL")
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise SettingError("TWILIO_TOKENS_TTL should be a dictionary of product to seconds.")
        for product, seconds in value.items():
            if not _is_seconds(seconds, 1, LONGEST_TTL):
                raise SettingError(
                    f"TWILIO_TOKENS_TTL[{product!r}] should be a whole number of seconds "
                    f"from 1 to {LONGEST_TTL}."
                )
        return dict(value)

    @property
    def max_ttl(self) -> int:
        value = self.given("MAX_TTL")
        if not _is_seconds(value, 1, LONGEST_TTL):
            raise SettingError(
                "TWILIO_TOKENS_MAX_TTL should be a whole number of seconds "
                f"from 1 to {LONGEST_TTL}: Twilio refuses tokens that live longer."
            )
        return value

    @property
    def room_required(self) -> bool:
        return self._boolean("ROOM_REQUIRED")

    @property
    def audit(self) -> bool:
        return self._boolean("AUDIT")

    @property
    def log_identity(self) -> bool:
        return self._boolean("LOG_IDENTITY")

    @property
    def throttle_rate(self) -> str | None:
        value = self.given("THROTTLE_RATE")
        if value is not None and not (isinstance(value, str) and _RATE.fullmatch(value)):
            raise SettingError(
                'TWILIO_TOKENS_THROTTLE_RATE should be None or like "60/min" '
                "(a number, then s, min, hour or day)."
            )
        return value

    @property
    def credential_cache_seconds(self) -> int | float:
        value = self.given("CREDENTIAL_CACHE_SECONDS")
        if not _is_number(value) or not 0 <= value <= LONGEST_TTL:
            raise SettingError(
                "TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS should be a number of seconds, 0 for off."
            )
        return value

    def given(self, name: str) -> object:
        try:
            return _READ_BEFORE[f"TWILIO_TOKENS_{name}"]
        except KeyError:
            return getattr(django_settings, f"TWILIO_TOKENS_{name}", DEFAULTS[name])

    def _boolean(self, name: str) -> bool:
        value = self.given(name)
        # "False" from an environment variable is a true string: refused, not guessed.
        if not isinstance(value, bool):
            raise SettingError(f"TWILIO_TOKENS_{name} should be True or False.")
        return value

    def _callable(self, name: str) -> Callable[..., Any] | None:
        value = self.given(name)
        if isinstance(value, str):
            try:
                value = _imported(value)
            except Exception as error:  # whatever the code of that module raises
                reason = error if isinstance(error, ImportError) else type(error).__name__
                raise SettingError(
                    f"TWILIO_TOKENS_{name} should be a callable or a dotted path to one; "
                    f"the path could not be imported ({reason})."
                ) from error
        if value is not None and not callable(value):
            raise SettingError(
                f"TWILIO_TOKENS_{name} should be a callable or a dotted path to one."
            )
        return value


settings = Settings()


def set_defaults() -> None:
    """Django looks in vain for a setting that is not there, again and again, for every token."""
    for name in DEFAULTS:
        if not hasattr(django_settings, f"TWILIO_TOKENS_{name}"):
            setattr(django_settings, f"TWILIO_TOKENS_{name}", DEFAULTS[name])


def unusable_settings() -> Iterator[str]:
    """What is wrong with each; the encryption keys are ``crypto``'s to judge."""
    for name, value in vars(Settings).items():
        if isinstance(value, property) and name != "encryption_keys":
            try:
                getattr(settings, name)
            except SettingError as error:
                yield error.reason


def answer_of(name: str, function: Callable[..., _Answer], *arguments: object) -> _Answer:
    """What the site's function in ``TWILIO_TOKENS_<name>`` returns.

    It may refuse by ``PermissionDenied``, Django's or ours; anything else that it raises is a
    fault of the site's, so a ``SettingError``.
    """
    try:
        return function(*arguments)
    except TwilioTokensError:
        raise
    except DjangoPermissionDenied as error:
        raise PermissionDenied(str(error) or None) from error
    except Exception as error:  # whatever the site's code raises
        raise SettingError(
            f"The function in TWILIO_TOKENS_{name} raised {type(error).__name__}."
        ) from error
