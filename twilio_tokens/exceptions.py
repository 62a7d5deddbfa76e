"""Everything the app refuses, as one small tree.

Each error has a stable ``code`` (a string) and a sentence for the person who asked. The
``Unavailable`` family also carries ``reason``: for the site's log, never for an answer.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.core import exceptions as django_exceptions
from django.utils.translation import gettext_lazy as _

from .characters import visible

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

logger = logging.getLogger(__name__)


class TwilioTokensError(Exception):
    code = "error"
    default_message: _StrOrPromise = _("No access token could be issued.")

    def __init__(self, message: _StrOrPromise | None = None) -> None:
        self.message = str(message or self.default_message)
        super().__init__(self.message)


class NotAuthenticated(TwilioTokensError):
    code = "not_authenticated"
    default_message = _("Access tokens are issued to signed-in, active users only.")


class InvalidGrant(TwilioTokensError):
    """A value that cannot be granted.

    ``code`` is DRF's name for what is wrong (``required``, ``invalid``, ``max_length``, …),
    ``product`` and ``field`` say where; ``product`` is None for what concerns the whole token.
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
    """No such service, app or push credential, or none that this user may know of."""

    def __init__(self, message: _StrOrPromise, *, field: str, product: str) -> None:
        super().__init__(message, code="does_not_exist", field=field, product=product)


class IdentityNotAllowed(TwilioTokensError):
    code = "identity_not_allowed"
    default_message = _("This user's identity is not allowed.")


class AccountMismatch(TwilioTokensError):
    code = "account_mismatch"
    default_message = _(
        "The services, apps and push credentials of one token must belong to one Twilio account; "
        "ask for one token for each account."
    )


class PermissionDenied(TwilioTokensError):
    code = "permission_denied"
    default_message = _("You may not have this access token.")


class InvalidToken(TwilioTokensError):
    """What should be decoded is no token."""

    code = "invalid_token"


class ListingFailed(TwilioTokensError):
    """Twilio did not tell what an account has."""

    code = "listing_failed"


class Unavailable(TwilioTokensError):
    """The site cannot issue now, whoever asks. ``reason`` is for its log only."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        # It may quote what somebody stored, and must not begin a line that nobody wrote.
        self.reason = visible(reason)
        self._is_logged = False

    def log(self) -> None:
        """Write the reason to the log, once however many callers the error passes."""
        if not self._is_logged:
            self._is_logged = True
            logger.error("No access token issued: %s", self.reason, exc_info=self.__cause__)


class NotConfigured(Unavailable):
    code = "not_configured"
    default_message = _(
        "Access tokens are not configured on this site. Its administrator finds the reason "
        "in the log."
    )


class SettingError(NotConfigured, django_exceptions.ImproperlyConfigured):
    """A setting that cannot be used, or whose function raised.

    Its text names the setting, for who sets up the site; ``message`` is for users.
    """

    def __str__(self) -> str:
        return self.reason


class SecretUnavailable(Unavailable):
    code = "secret_unavailable"
    default_message = _(
        "The signing secret is not available. The site's administrator finds the reason in the log."
    )


class AuditUnavailable(Unavailable):
    code = "audit_unavailable"
    default_message = _("The audit record could not be written, so no access token was issued.")


class ThrottleUnavailable(Unavailable):
    code = "throttle_unavailable"
    default_message = _("Requests cannot be counted right now, so no access token was issued.")


class EncryptionKeyError(SecretUnavailable):
    """The key ring cannot be used: no key, or a malformed one.

    ``problems`` maps a position in ``TWILIO_TOKENS_ENCRYPTION_KEYS``, counted from 1 (or
    ``SETTING``, or ``MISSING``), to what is wrong there; never to any part of a key.
    """

    def __init__(self, problems: Mapping[int, str]) -> None:
        super().__init__(reason=" ".join(problems.values()))
        self.problems = dict(problems)

    @property
    def is_missing(self) -> bool:
        return MISSING in self.problems


#: Positions in ``EncryptionKeyError.problems`` that are not of a key.
MISSING, SETTING = -1, 0
