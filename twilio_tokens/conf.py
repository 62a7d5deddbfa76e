"""Reads the ``TWILIO_TOKENS_*`` settings; no other module does.

Every setting is a typed property of :data:`settings`, read when it is used, so that
``override_settings`` works. An invalid value raises ``SettingError``, with a sentence that names
the setting and what it should be, but never its value. A function of the site that raises an
exception leads to a ``SettingError`` too, because it was called to issue a token.
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
from django.utils.translation import gettext_lazy as _

from .exceptions import PermissionDenied, SettingError, TwilioTokensError

#: Seconds. Twilio refuses longer lifetimes (https://www.twilio.com/docs/api/errors/20157).
LONGEST_TTL = 86_400

#: The value of each setting on a site that does not set it.
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

#: The settings that Django has looked up and caches until they change. Attribute access takes ten
#: times as long, and a token depends on eight settings.
_READ_BEFORE = vars(django_settings)

_Answer = TypeVar("_Answer")

_RATE = re.compile(r"[0-9]+/(s|sec|second|m|min|minute|h|hour|d|day)")


#: Django's function would look up the module again for every token.
_imported = lru_cache(maxsize=32)(import_string)


def _is_seconds(value: object, lowest: int, highest: int) -> TypeGuard[int]:
    return type(value) is int and lowest <= value <= highest


def _is_number(value: object) -> TypeGuard[int | float]:
    return type(value) in (int, float)


class Settings:
    @property
    def encryption_keys(self) -> object:
        """The raw setting: a list, or what the function returned. ``crypto`` validates it."""
        value = self.given("ENCRYPTION_KEYS")
        if isinstance(value, str) and "." in value:
            value = self._callable("ENCRYPTION_KEYS")
        return value() if callable(value) else value

    @property
    def identity(self) -> Callable[[Any], str]:
        function = self._callable("IDENTITY")
        if function is None:
            raise SettingError(_("TWILIO_TOKENS_IDENTITY should be a function, not None."))
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
            raise SettingError(_("TWILIO_TOKENS_PARAMS should be True, False or a function."))
        return function

    @property
    def http_client(self) -> Callable[[], Any] | None:
        return self._callable("HTTP_CLIENT")

    @property
    def ttls(self) -> dict[str, int]:
        """The default lifetime in seconds of each product for which the site sets one."""
        value = self.given("TTL")
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise SettingError(
                _("TWILIO_TOKENS_TTL should be a dictionary that maps products to seconds.")
            )
        for product, seconds in value.items():
            if not _is_seconds(seconds, 1, LONGEST_TTL):
                raise SettingError(
                    _(
                        "TWILIO_TOKENS_TTL[{product!r}] should be a whole number of seconds "
                        "from 1 to {max}."
                    ),
                    product=product,
                    max=LONGEST_TTL,
                )
        return dict(value)

    @property
    def max_ttl(self) -> int:
        value = self.given("MAX_TTL")
        if not _is_seconds(value, 1, LONGEST_TTL):
            raise SettingError(
                _(
                    "TWILIO_TOKENS_MAX_TTL should be a whole number of seconds from 1 to "
                    "{max}. Twilio refuses longer lifetimes."
                ),
                max=LONGEST_TTL,
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
                _(
                    'TWILIO_TOKENS_THROTTLE_RATE should be None or a rate such as "60/min": a '
                    "number, followed by /s, /min, /hour or /day."
                )
            )
        return value

    @property
    def credential_cache_seconds(self) -> int | float:
        value = self.given("CREDENTIAL_CACHE_SECONDS")
        if not _is_number(value) or not 0 <= value <= LONGEST_TTL:
            raise SettingError(
                _(
                    "TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS should be a number of seconds. 0 turns "
                    "the cache off."
                )
            )
        return value

    def given(self, name: str) -> object:
        try:
            return _READ_BEFORE[f"TWILIO_TOKENS_{name}"]
        except KeyError:
            return getattr(django_settings, f"TWILIO_TOKENS_{name}", DEFAULTS[name])

    def _boolean(self, name: str) -> bool:
        value = self.given(name)
        # The string "False" from an environment variable is truthy, so it is refused.
        if not isinstance(value, bool):
            raise SettingError(
                _("{setting} should be True or False."),
                setting=f"TWILIO_TOKENS_{name}",
            )
        return value

    def _callable(self, name: str) -> Callable[..., Any] | None:
        value = self.given(name)
        if isinstance(value, str):
            try:
                value = _imported(value)
            except Exception as error:  # whatever the code of that module raises
                reason = error if isinstance(error, ImportError) else type(error).__name__
                raise SettingError(
                    _(
                        "{setting} should be a function or a dotted path to one, but the path "
                        "cannot be imported ({error})."
                    ),
                    setting=f"TWILIO_TOKENS_{name}",
                    error=str(reason),
                ) from error
        if value is not None and not callable(value):
            raise SettingError(
                _("{setting} should be a function or a dotted path to one."),
                setting=f"TWILIO_TOKENS_{name}",
            )
        return value


settings = Settings()


def set_defaults() -> None:
    """Otherwise Django would search for each missing setting again for every token."""
    for name in DEFAULTS:
        if not hasattr(django_settings, f"TWILIO_TOKENS_{name}"):
            setattr(django_settings, f"TWILIO_TOKENS_{name}", DEFAULTS[name])


def unusable_settings() -> Iterator[str]:
    """What is wrong with each. The encryption keys are validated by ``crypto``."""
    for name, value in vars(Settings).items():
        if isinstance(value, property) and name != "encryption_keys":
            try:
                getattr(settings, name)
            except SettingError as error:
                yield error.reason


def answer_of(name: str, function: Callable[..., _Answer], *arguments: object) -> _Answer:
    """The return value of the site's function in ``TWILIO_TOKENS_<name>``.

    The function may refuse by raising ``PermissionDenied``, Django's or ours. Any other exception
    is a bug of the site, and becomes a ``SettingError``.
    """
    try:
        return function(*arguments)
    except TwilioTokensError:
        raise
    except DjangoPermissionDenied as error:
        raise PermissionDenied(str(error) or None) from error
    except Exception as error:  # whatever the site's code raises
        raise SettingError(
            _("The function in {setting} raised {error}."),
            setting=f"TWILIO_TOKENS_{name}",
            error=type(error).__name__,
        ) from error
