"""Twilio's SIDs: a prefix that names the kind of thing, then 32 hex digits.

The console shows SIDs, secrets and auth tokens side by side, so the wrong one is pasted
easily. ``SIDKind.validate`` and ``secret_problem`` name the mix-up; they never repeat the
text, which may be a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

LENGTH = 34

_AUTH_TOKEN = re.compile(r"[0-9a-f]{32}")
_SECRET = re.compile(r"[!-~]{16,128}")
_HEX = re.compile(r"[0-9a-fA-F]*")
_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")


@dataclass(frozen=True)
class SIDKind:
    prefix: str
    label: _StrOrPromise

    def validate(self, value: str) -> None:
        """Raise ``ValidationError`` (code ``invalid``) unless ``value`` is a SID of this kind."""
        problem = self._problem(value)
        if problem is not None:
            raise ValidationError(problem, code="invalid")

    def _problem(self, value: str) -> _StrOrPromise | None:
        rest = value[2:]
        if value.startswith(self.prefix):
            if not _HEX.fullmatch(rest):
                return _(
                    "After %(prefix)s only the digits 0–9 and the letters a–f may follow. "
                    "Copy the SID from the Twilio Console again."
                ) % {"prefix": self.prefix}
            if len(value) != LENGTH:
                return _(
                    "This has %(length)d characters; %(label)s SID has 34: %(prefix)s and 32 "
                    "digits. Copy it from the Twilio Console again, whole."
                ) % {"length": len(value), "label": self.label, "prefix": self.prefix}
            return None
        for kind in KINDS:
            if value.startswith(kind.prefix) and _HEX.fullmatch(rest):
                return _(
                    "This is %(other)s SID (%(other_prefix)s…). Needed here is %(label)s SID, "
                    "which starts with %(prefix)s."
                ) % {
                    "other": kind.label,
                    "other_prefix": kind.prefix,
                    "label": self.label,
                    "prefix": self.prefix,
                }
        if _AUTH_TOKEN.fullmatch(value):
            return _(
                "This looks like an auth token, which is a secret. Needed here is %(label)s SID, "
                "which starts with %(prefix)s."
            ) % {"label": self.label, "prefix": self.prefix}
        if _SECRET.fullmatch(value):
            return _(
                "This looks like a secret, not a SID. Needed here is %(label)s SID: %(prefix)s "
                "and 32 digits (0–9, a–f)."
            ) % {"label": self.label, "prefix": self.prefix}
        return _("Needed here is %(label)s SID: %(prefix)s and 32 digits (0–9, a–f).") % {
            "label": self.label,
            "prefix": self.prefix,
        }


ACCOUNT = SIDKind("AC", _("an Account"))
API_KEY = SIDKind("SK", _("an API key"))
CHAT_SERVICE = SIDKind("IS", _("a Chat service"))
TWIML_APP = SIDKind("AP", _("a TwiML App"))
PUSH_CREDENTIAL = SIDKind("CR", _("a push credential"))
KINDS = (
    ACCOUNT,
    API_KEY,
    CHAT_SERVICE,
    TWIML_APP,
    PUSH_CREDENTIAL,
    SIDKind("RM", _("a room")),
    SIDKind("WS", _("a TaskRouter workspace")),
    SIDKind("WK", _("a TaskRouter worker")),
)


def is_shown(value: str) -> bool:
    """Whether what was typed into a SID field may be shown again: a SID, or the start of one."""
    return value[:2] in {kind.prefix for kind in KINDS} and bool(_HEX.fullmatch(value[2:]))


def secret_problem(value: str) -> _StrOrPromise | None:
    """What keeps ``value`` from being an API key's secret, or None.

    Accepted: 16 to 128 printable ASCII characters without spaces.
    """
    if _SID.fullmatch(value):
        return _("This is a SID. The secret is shown once, beside it, when the API key is made.")
    if _AUTH_TOKEN.fullmatch(value):
        return _(
            "This looks like the Account's auth token. The API key's own secret is needed; it "
            "is shown once, when the key is made."
        )
    if not _SECRET.fullmatch(value):
        return _(
            "A secret has 16 to 128 letters, digits and signs, without spaces. Paste it again, "
            "whole; if it was lost, make a new API key in the Twilio Console."
        )
    return None
