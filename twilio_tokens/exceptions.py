"""The errors of the app, as one small tree.

Each has a stable ``code`` (a string) and a message for the person who requested the token. The
``Unavailable`` family also has a ``reason`` for the people who run the site: it goes to the log,
the commands and the admin, never into an answer of the API.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from django import db
from django.core import exceptions as django_exceptions
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override

from .characters import visible

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

logger = logging.getLogger(__name__)


class TwilioTokensError(Exception):
    code = "error"
    default_message: _StrOrPromise = _("No Access Token could be issued.")

    def __init__(self, message: _StrOrPromise | None = None) -> None:
        self.message = str(message or self.default_message)
        super().__init__(self.message)


class NotAuthenticated(TwilioTokensError):
    code = "not_authenticated"
    default_message = _("Only active users who are signed in can get an Access Token.")


class InvalidGrant(TwilioTokensError):
    """A value that cannot be granted.

    ``code`` is DRF's name for the mistake (``required``, ``invalid``, ``max_length``, …).
    ``product`` and ``field`` locate it; ``product`` is None if it concerns the whole token.
    """

    code = "invalid"

    def __init__(
        self,
        message: _StrOrPromise,
        *,
        code: str = "invalid",
        field: str | None = None,
        product: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.product = product


class DoesNotExist(InvalidGrant):
    """There is no such service, app or push credential, or this user may not know of it."""

    def __init__(self, message: _StrOrPromise, *, field: str, product: str) -> None:
        super().__init__(message, code="does_not_exist", field=field, product=product)


class IdentityNotAllowed(TwilioTokensError):
    code = "identity_not_allowed"
    default_message = _("This user's identity is not allowed.")


class AccountMismatch(TwilioTokensError):
    code = "account_mismatch"
    default_message = _(
        "All services, apps and push credentials in a token must belong to the same Twilio "
        "account. Request a separate token for each account."
    )


class PermissionDenied(TwilioTokensError):
    code = "permission_denied"
    default_message = _("You do not have permission to get this Access Token.")


class InvalidToken(TwilioTokensError):
    """The text to decode is not a token."""

    code = "invalid_token"


class ListingFailed(TwilioTokensError):
    """Twilio did not list the resources of an account."""

    code = "listing_failed"


class Unavailable(TwilioTokensError):
    """The site cannot issue tokens at the moment, whoever the user is.

    ``values`` replace the placeholders in ``reason``.
    """

    def __init__(self, reason: _StrOrPromise, **values: object) -> None:
        super().__init__()
        self.lazy_reason = format_lazy(reason, **values) if values else reason
        self._is_logged = False

    @property
    def reason(self) -> str:
        """In the active language."""
        # It may quote stored text, which must not be able to forge a line of the log.
        return visible(str(self.lazy_reason))

    @property
    def log_reason(self) -> str:
        """In English: a log has one language, whatever the user's is."""
        with override("en"):
            return self.reason

    def log(self) -> None:
        """Log the reason once, however many callers the error passes through."""
        if not self._is_logged:
            self._is_logged = True
            logger.error("No access token issued: %s", self.log_reason, exc_info=self.__cause__)


class NotConfigured(Unavailable):
    code = "not_configured"
    default_message = _(
        "This site is not configured to issue this Access Token. Contact the site's administrator."
    )

    @classmethod
    def due_to(cls, fault: Exception) -> NotConfigured:
        """If the database or code of the site's own fails, nothing counts as configured."""
        reason = _("Unexpected error: {error}. The log says why.")
        if isinstance(fault, db.Error):
            reason = _("The database failed: {error}.")
        error = cls(reason, error=type(fault).__name__)
        error.__cause__ = fault
        return error


class SettingError(NotConfigured, django_exceptions.ImproperlyConfigured):
    """A setting is invalid, or its function raised an exception.

    ``str()`` names the setting, for the people who set up the site; ``message`` is for users.
    """

    def __str__(self) -> str:
        return self.reason


class SecretUnavailable(Unavailable):
    code = "secret_unavailable"
    default_message = _(
        "The secret that signs Access Tokens is not available. Contact the site's administrator."
    )


class AuditUnavailable(Unavailable):
    code = "audit_unavailable"
    default_message = _("The audit record could not be written, so no Access Token was issued.")


class ThrottleUnavailable(Unavailable):
    code = "throttle_unavailable"
    default_message = _("Requests cannot be counted at the moment, so no Access Token was issued.")


class EncryptionKeyError(SecretUnavailable):
    """The key ring cannot be used: it has no key, or a malformed one.

    ``problems`` maps a position in ``TWILIO_TOKENS_ENCRYPTION_KEYS``, counted from 1 (or
    ``SETTING``, or ``MISSING``), to a sentence that never contains any part of a key.
    """

    def __init__(self, problems: Mapping[int, _StrOrPromise]) -> None:
        super().__init__(format_lazy(" ".join(["{}"] * len(problems)), *problems.values()))
        self.problems = dict(problems)

    @property
    def is_missing(self) -> bool:
        return MISSING in self.problems


#: Positions in ``EncryptionKeyError.problems`` that do not belong to a key.
MISSING, SETTING = -1, 0
