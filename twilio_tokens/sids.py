"""Twilio's SIDs: a prefix that names the kind of thing, then 32 hex digits.

The console shows SIDs, secrets and auth tokens side by side, so the wrong one is pasted
easily. ``SIDKind.validate`` and ``secret_problem`` name the mix-up; they never repeat the
text, which may be a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

LENGTH = 34

_AUTH_TOKEN = re.compile(r"[0-9a-f]{32}")
_SECRET = re.compile(r"[!-~]{16,128}")
_LETTERS = re.compile(r"[A-Za-z]{2}")
_HEX = re.compile(r"[0-9a-fA-F]*")
_SID = re.compile(r"[A-Za-z]{2}[0-9a-fA-F]{32}")


@dataclass(frozen=True)
class SIDKind:
    prefix: str
    label: _StrOrPromise

    def validate(self, value: str) -> None:
        """Raise ``ValidationError`` (code ``invalid``) unless ``value`` is a SID of this kind."""
        problem = self._problem(value)
        if problem is not None:
            raise ValidationError(problem, code="invalid")

    def problem(self, value: object) -> str | None:
        """What keeps ``value`` from being a SID of this kind, or None."""
        problem = self._problem(value if isinstance(value, str) else "")
        return None if problem is None else str(problem)

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
SYNC_SERVICE = SIDKind("IS", _("a Sync service"))
WORKSPACE = SIDKind("WS", _("a TaskRouter workspace"))
WORKER = SIDKind("WK", _("a TaskRouter worker"))

#: One for each prefix, to name what was pasted into the wrong field.
KINDS = (
    ACCOUNT,
    API_KEY,
    SIDKind("IS", _("a Chat or Sync service")),
    TWIML_APP,
    PUSH_CREDENTIAL,
    SIDKind("RM", _("a room")),
    WORKSPACE,
    WORKER,
)


def is_shown(value: str) -> bool:
    """Whether what was typed into a SID field may be shown again: a SID, or the start of one."""
    return value[:2] in {kind.prefix for kind in KINDS} and bool(_HEX.fullmatch(value[2:]))


def secret_problem(value: str) -> _StrOrPromise | None:
    """What keeps ``value`` from being an API key's secret, or None.

    Accepted: 16 to 128 printable ASCII characters without spaces, unless they are what people
    paste or configure by mistake.
    """
    if len(value) <= _LONGEST_MISTAKE:
        for pattern, problem in _MISTAKES:
            if pattern.fullmatch(value):
                return problem
        if not _PLACEHOLDER_WORD.sub("", value.lower()) and _LETTERS.search(value):
            return _(
                "This is a placeholder from an example. Paste the secret from the Twilio Console."
            )
    if not _SECRET.fullmatch(value):
        return _(
            "A secret has 16 to 128 letters, digits and signs, without spaces. Paste it again, "
            "whole; if it was lost, make a new API key in the Twilio Console."
        )
    return None


#: Looking for repetitions in a longer text would take long.
_LONGEST_MISTAKE = 1_024

_QUOTE = "[\"'`\u00b4\u2018-\u201f\u2039\u203a\u00ab\u00bb\uff02\uff07]"

_MISTAKES = tuple(
    (re.compile(pattern, re.DOTALL), problem)
    for pattern, problem in (
        (
            _SID.pattern,
            _("This is a SID. The secret is shown once, beside it, when the API key is made."),
        ),
        (
            _AUTH_TOKEN.pattern,
            _(
                "This looks like the Account's auth token. The API key's own secret is needed; it "
                "is shown once, when the key is made."
            ),
        ),
        (
            rf"[b\\]?{_QUOTE}.*{_QUOTE}[;,]?|{_QUOTE}[A-Za-z0-9]{{16,}}|[A-Za-z0-9]{{16,}}{_QUOTE}",
            _("Leave out the quotation marks around the secret."),
        ),
        (
            rf"{_SID.pattern}[:/,;=].+",
            _("This starts with a SID. Paste only the secret that follows it."),
        ),
        (
            # Ours, Fernet's, SOPS's and Ansible's.
            r"tt\d+:.*|gAAAAA[\w-]{94,}=*|ENC\[.*|\$ANSIBLE_VAULT;.*",
            _(
                "This is an encrypted secret. Paste the secret itself, as the Twilio Console "
                "showed it."
            ),
        ),
        (
            r"(?i:bearer|basic)\s+.*|eyJ[\w-]*\.[\w-]+\.[\w-]*",
            _("This is a token, not the secret of an API key."),
        ),
        (
            r"\$\{.*\}|\$\(.*\)|\$[A-Za-z_]\w*|%\w+%|%\(\w+\)s|\{\{.*\}\}|\{%.*%\}|[!#]\{.*\}"
            r"|[a-z][a-z0-9+.-]*://.*|arn:.*|@Microsoft\.KeyVault\(.*|/(run|var|etc|mnt|secrets)/.*"
            r"|(?i:(vault|env|ssm|sops|file|kms|keyring)[:/].*|(secrets|projects)/.*)"
            r"|(?i:.*(os\.environ|process\.env|import\.meta|getenv|env)[\W].*)",
            _("This names the place where the secret is kept. Paste the secret itself."),
        ),
        (
            r"(export\s+)?[A-Z][A-Z0-9_]{3,}\s*[=:]\s*[^\s=].*"
            r"|(?i:[a-z_]*(secret|key|token|password)[a-z_]*\s*[=:]\s*[^\s=].*)",
            _("This has a name in front of it. Paste only the secret."),
        ),
        (
            r"<.*>|\[.*\]|\{.*\}|\(.*\)",
            _("This is a placeholder in brackets. Paste the secret from the Twilio Console."),
        ),
        (r".*[;,]", _("Leave out the “;” or “,” at the end.")),
        (r".*\\[nrt]?", _("Leave out the backslash at the end, and what follows it.")),
        (
            r"(.)\1+",
            _("This is one character repeated. Paste the secret from the Twilio Console."),
        ),
        (r"(.{4,})\1+", _("This is the same text more than once. Paste the secret once.")),
    )
)

#: Samples have nothing but these in the place of a secret. Of two words that start alike the
#: longer is tried first: the alphabet backwards.
_PLACEHOLDER_WORD = re.compile(
    r"[^a-z\d]|\d|zz+|yy+|xx+|"
    r"yours|your|you|with|voice|video|very|value|use|unset|undefined|twilio|top|token|"
    r"todo|to|this|the|that|testing|test|super|string|staging|something|some|sid|should|"
    r"set|service|secure|secrets|secret|sample|replaced|replace|removed|redacted|real|"
    r"put|production|prod|please|placeholder|paste|password|own|of|null|not|none|new|my|"
    r"missing|me|long|latest|key|it|is|invalid|insert|in|hidden|here|goes|from|foo|fixme|fill|"
    r"fake|example|enter|edit|dummy|dev|demo|default|credential|copy|conversations|code|"
    r"changed|change|be|bar|authentication|auth|app|api|an|add|actual|account|"
    r"abcdefgh|abcdef|abcd|abc|a"
)

_JWT = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+")
_WORD_OF_32 = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{32}(?![A-Za-z0-9])")
#: Words that people write together, such as ProductionKeyForTheMainVideoSite. There is only
#: one way to match a text: to try them all would take half a second for a word that fails.
_CAMEL_CASE = re.compile(r"\d*(?:[A-Z]*[a-z]{2,}(?![a-z]))*(?:[A-Z]{2,})?\d*")


def holds_secret(text: str) -> bool:
    """Whether a name has in it what looks like an API key's secret, an auth token or a JWT."""
    return bool(_JWT.search(text)) or any(map(_looks_secret, _WORD_OF_32.findall(text)))


def _looks_secret(word: str) -> bool:
    if _AUTH_TOKEN.fullmatch(word):
        # Platforms name services after their tenants, and those by random UUIDs.
        return UUID(word).version != 4
    is_mixed = word != word.lower() and word != word.upper()
    return is_mixed and not _CAMEL_CASE.fullmatch(word)
