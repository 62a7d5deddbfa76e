"""Twilio's SIDs: a prefix for the kind of resource, then 32 hex digits.

The Twilio Console shows SIDs, secrets and auth tokens side by side, so it is easy to paste the
wrong one. ``SIDKind.validate`` and ``secret_problem`` name the mix-up. They never repeat the
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
    """``label`` stands in the middle of a sentence, with its article: “an API key SID”."""

    prefix: str
    label: _StrOrPromise

    def validate(self, value: str) -> None:
        """Raise ``ValidationError`` (code ``invalid``) unless ``value`` is a SID of this kind."""
        problem = self._problem(value)
        if problem is not None:
            raise ValidationError(problem, code="invalid")

    def problem(self, value: object) -> str | None:
        """Why ``value`` is not a SID of this kind, or None."""
        problem = self._problem(value if isinstance(value, str) else "")
        return None if problem is None else str(problem)

    def _problem(self, value: str) -> _StrOrPromise | None:
        rest = value[2:]
        if value.startswith(self.prefix):
            if not _HEX.fullmatch(rest):
                return _(
                    "After %(prefix)s, only the digits 0–9 and the letters a–f are allowed. "
                    "Copy the SID from the Twilio Console again."
                ) % {"prefix": self.prefix}
            if len(value) != LENGTH:
                return _(
                    "This has %(length)d characters, but %(label)s has 34: %(prefix)s and 32 "
                    "digits. Copy the whole SID from the Twilio Console again."
                ) % {"length": len(value), "label": self.label, "prefix": self.prefix}
            return None
        for kind in KINDS:
            if value.startswith(kind.prefix) and _HEX.fullmatch(rest):
                return _(
                    "This is %(other)s (%(other_prefix)s…). Expected %(label)s, which starts with "
                    "%(prefix)s."
                ) % {
                    "other": kind.label,
                    "other_prefix": kind.prefix,
                    "label": self.label,
                    "prefix": self.prefix,
                }
        if _AUTH_TOKEN.fullmatch(value):
            return _(
                "This looks like an auth token, which is a secret. Expected %(label)s, which "
                "starts with %(prefix)s."
            ) % {"label": self.label, "prefix": self.prefix}
        if _SECRET.fullmatch(value):
            return _(
                "This looks like a secret, not a SID. Expected %(label)s: %(prefix)s and 32 digits "
                "(0–9, a–f)."
            ) % {"label": self.label, "prefix": self.prefix}
        return _("Expected %(label)s: %(prefix)s and 32 digits (0–9, a–f).") % {
            "label": self.label,
            "prefix": self.prefix,
        }


ACCOUNT = SIDKind("AC", _("an Account SID"))
API_KEY = SIDKind("SK", _("an API key SID"))
CHAT_SERVICE = SIDKind("IS", _("a Chat service SID"))
TWIML_APP = SIDKind("AP", _("a TwiML App SID"))
PUSH_CREDENTIAL = SIDKind("CR", _("a push credential SID"))
SYNC_SERVICE = SIDKind("IS", _("a Sync service SID"))
WORKSPACE = SIDKind("WS", _("a TaskRouter workspace SID"))
WORKER = SIDKind("WK", _("a TaskRouter worker SID"))

#: One for each prefix, to name the SID that was pasted into the wrong field.
KINDS = (
    ACCOUNT,
    API_KEY,
    SIDKind("IS", _("a Chat or Sync service SID")),
    TWIML_APP,
    PUSH_CREDENTIAL,
    SIDKind("RM", _("a room SID")),
    WORKSPACE,
    WORKER,
)


def is_shown(value: str) -> bool:
    """Whether the text of a SID field may be shown again: it is a SID, or the start of one."""
    return value[:2] in {kind.prefix for kind in KINDS} and bool(_HEX.fullmatch(value[2:]))


def secret_problem(value: str) -> _StrOrPromise | None:
    """Why ``value`` is not an API key's secret, or None.

    A secret has 16 to 128 printable ASCII characters without spaces, and is none of the things
    that people paste or configure by mistake.
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
            "A secret has 16 to 128 letters, digits and symbols, without spaces. Paste the whole "
            "secret again. If you no longer have it, create a new API key in the Twilio Console."
        )
    return None


#: In a longer text, looking for repetitions would take too long.
_LONGEST_MISTAKE = 1_024

_QUOTE = "[\"'`\u00b4\u2018-\u201f\u2039\u203a\u00ab\u00bb\uff02\uff07]"

_MISTAKES = tuple(
    (re.compile(pattern, re.DOTALL), problem)
    for pattern, problem in (
        (
            _SID.pattern,
            _(
                "This is a SID. The secret is shown once, next to the SID, when you create the API "
                "key."
            ),
        ),
        (
            _AUTH_TOKEN.pattern,
            _(
                "This looks like the account's auth token. Expected the API key's own secret, "
                "which is shown once, when you create the key."
            ),
        ),
        (
            rf"[b\\]?{_QUOTE}.*{_QUOTE}[;,]?|{_QUOTE}[A-Za-z0-9]{{16,}}|[A-Za-z0-9]{{16,}}{_QUOTE}",
            _("Remove the quotation marks around the secret."),
        ),
        (
            rf"{_SID.pattern}[:/,;=].+",
            _("This starts with a SID. Paste only the secret that follows it."),
        ),
        (
            # As this app, Fernet, SOPS and Ansible write it.
            r"tt\d+:.*|gAAAAA[\w-]{94,}=*|ENC\[.*|\$ANSIBLE_VAULT;.*",
            _(
                "This is an encrypted secret. Paste the secret itself, as shown in the Twilio "
                "Console."
            ),
        ),
        (
            r"(?i:bearer|basic)\s+.*|eyJ[\w-]*\.[\w-]+\.[\w-]*",
            _("This is a token, not an API key's secret."),
        ),
        (
            r"\$\{.*\}|\$\(.*\)|\$[A-Za-z_]\w*|%\w+%|%\(\w+\)s|\{\{.*\}\}|\{%.*%\}|[!#]\{.*\}"
            r"|[a-z][a-z0-9+.-]*://.*|arn:.*|@Microsoft\.KeyVault\(.*|/(run|var|etc|mnt|secrets)/.*"
            r"|(?i:(vault|env|ssm|sops|file|kms|keyring)[:/].*|(secrets|projects)/.*)"
            r"|(?i:.*(os\.environ|process\.env|import\.meta|getenv|env)[\W].*)",
            _("This is a reference to the secret. Paste the secret itself."),
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
        (r".*[;,]", _("Remove the “;” or “,” at the end.")),
        (r".*\\[nrt]?", _("Remove the backslash at the end, and anything after it.")),
        (
            r"(.)\1+",
            _("This is one character repeated. Paste the secret from the Twilio Console."),
        ),
        (r"(.{4,})\1+", _("This is the same text more than once. Paste the secret once.")),
    )
)

#: Samples have only these words in place of a secret. They are in reverse alphabetical order, so
#: that of two words with the same start the longer one is tried first.
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
#: Words written together, such as ProductionKeyForTheMainVideoSite. The pattern matches a text in
#: only one way: trying several would take half a second for a word that does not match.
_CAMEL_CASE = re.compile(r"\d*(?:[A-Z]*[a-z]{2,}(?![a-z]))*(?:[A-Z]{2,})?\d*")


def holds_secret(text: str) -> bool:
    """Whether a name contains what looks like an API key's secret, an auth token or a JWT."""
    return bool(_JWT.search(text)) or any(map(_looks_secret, _WORD_OF_32.findall(text)))


def _looks_secret(word: str) -> bool:
    if _AUTH_TOKEN.fullmatch(word):
        # Platforms name services after their tenants, which often have random UUIDs.
        return UUID(word).version != 4
    is_mixed = word != word.lower() and word != word.upper()
    return is_mixed and not _CAMEL_CASE.fullmatch(word)
