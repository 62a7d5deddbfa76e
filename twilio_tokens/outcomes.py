"""Reports how each request for a token ends, once: to the log, the metrics and the signals."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Protocol

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import Error as DatabaseError
from django.utils.crypto import salted_hmac

from . import metrics
from .characters import visible
from .conf import settings
from .exceptions import NotConfigured, PermissionDenied, SettingError, TwilioTokensError
from .identity import identity_for
from .models import APIKey, IssuedToken
from .signals import access_token_refused

logger = logging.getLogger(__name__)

#: The code of an unexpected error.
UNKNOWN = TwilioTokensError.code


class Issued(Protocol):
    """What is reported of an ``IssuedAccessToken``."""

    @property
    def jti(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def expires_in(self) -> int: ...


class Asking:
    """The start of a request for a token: a function call or, as a context manager, a web request.

    The outcome of a call within a web request is that request's outcome too, and reported once.
    """

    __slots__ = ("_outer", "is_told", "products", "started", "user")

    def __init__(
        self, user: AbstractBaseUser | AnonymousUser | None = None, products: Sequence[str] = ()
    ) -> None:
        self.started = time.perf_counter()
        self.user = user
        self.products = products
        self.is_told = False
        self._outer = _request.get()

    def __enter__(self) -> Asking:
        _request.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _request.set(self._outer)
        if isinstance(error, Exception):
            self.failed(error)

    @property
    def seconds(self) -> float:
        """Since the start of the web request, or of the call if there is none."""
        return time.perf_counter() - (self._outer or self).started

    def issued(self, token: Issued, key: APIKey) -> None:
        self._end()
        metrics.issued(self.products, key)
        if logger.isEnabledFor(logging.INFO):
            self._log(
                "Access token issued: %s.",
                ", ".join(self.products),
                outcome="issued",
                identity=_shown(token.identity),
                jti=token.jti,
                key_sid=key.sid,
                ttl=token.expires_in,
            )

    def failed(self, error: Exception) -> None:
        # Within a web request, other errors may be answered with a code of their own.
        if self._outer is None or isinstance(error, TwilioTokensError):
            self.refused(_code_of(error))

    def refused(self, code: str) -> None:
        """Does nothing if an outcome was already reported."""
        if self.is_told:
            return
        self._end()
        products, user = tuple(self.products), _signed_in(self.user)
        metrics.refused(products, code)
        access_token_refused.send_robust(
            sender=IssuedToken, user=user, products=products, code=code
        )
        if logger.isEnabledFor(logging.INFO):
            shown = visible(code)
            self._log(
                "Access token refused: %s.",
                shown,
                outcome="refused",
                code=shown,
                identity=_shown(_identity_of(user)),
            )

    def answered(self, code: str | None) -> None:
        """The web request was answered, with the code of an error or without one."""
        metrics.answered(self.seconds, code)
        if code is not None:
            self.refused(code)

    def _end(self) -> None:
        self.is_told = True
        if self._outer is not None:
            self._outer.is_told = True

    def _log(self, message: str, what: str, **fields: Any) -> None:
        fields["products"] = [visible(each) for each in self.products]
        fields["duration_ms"] = round(self.seconds * 1_000, 3)
        logger.info(message, what, extra=NO_FIELDS | fields)


_request: ContextVar[Asking | None] = ContextVar("twilio_tokens.request", default=None)

#: The fields of each line, besides its message.
NO_FIELDS: dict[str, Any] = dict.fromkeys(
    ("outcome", "code", "products", "identity", "jti", "key_sid", "ttl", "duration_ms")
)


def _code_of(error: Exception) -> str:
    """The code with which the API would answer the error."""
    if isinstance(error, DatabaseError):
        return NotConfigured.code
    if isinstance(error, DjangoPermissionDenied):
        return PermissionDenied.code
    return error.code if isinstance(error, TwilioTokensError) else UNKNOWN


def _signed_in(user: AbstractBaseUser | AnonymousUser | None) -> AbstractBaseUser | None:
    is_signed_in = user is not None and getattr(user, "is_authenticated", False)
    return user if is_signed_in else None  # type: ignore[return-value]


def _identity_of(user: AbstractBaseUser | None) -> str | None:
    try:
        return None if user is None else identity_for(user)
    except TwilioTokensError:
        return None


def _shown(identity: str | None) -> str | None:
    """The identity or a keyed hash, which finds the lines of one identity, but reveals none."""
    if identity is None:
        return None
    if _are_identities_logged():
        return visible(identity)
    return salted_hmac(__name__, identity, algorithm="sha256").hexdigest()[:32]


def _are_identities_logged() -> bool:
    try:
        return settings.log_identity
    except SettingError:  # the system checks report it, and it must not prevent a token
        return False
