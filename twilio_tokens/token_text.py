"""Finds a token in what was pasted, takes it apart, and names those that are no Access Tokens."""

from __future__ import annotations

import json
import re
import string
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .exceptions import InvalidToken

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: Tokens are a few hundred characters long.
LONGEST_TOKEN = 16_384

#: Objects within objects. A token of ours has four.
DEEPEST = 20

_TOO_LONG = gettext_lazy("This is far longer than any Access Token.")

#: With the signature of HS256 in full. One of another length is read, but not looked for among
#: other text: it may go on in the next line.
_WHOLE_TOKEN = re.compile(r"(?<![\w.-])ey[\w-]*\.[\w-]+\.[\w-]{43,}(?![\w.-])", re.ASCII)
_START_OF_TOKEN = re.compile(r"(?<![\w.-])ey", re.ASCII)
_AROUND = string.whitespace + "\ufeff\"'`“”’<>}]),;"


def token_in(text: str) -> str:
    """What looks most like a token in what may be a header, JSON, an address or wrapped lines."""
    if len(text) > 2 * LONGEST_TOKEN:
        raise InvalidToken(_TOO_LONG)
    text = unquote(text)  # an address may have “%3D” or “%20” before the token
    whole = set(_WHOLE_TOKEN.findall(text))
    if len(whole) > 1:
        raise InvalidToken(_("There are %(count)d tokens here. Paste one.") % {"count": len(whole)})
    if whole:
        return str(whole.pop())
    start = _START_OF_TOKEN.search(text)
    text = text[start.start() :] if start else text
    return "".join(text.strip(_AROUND).split())


def parts_of(token: str) -> tuple[bytes, dict[str, Any], dict[str, Any], bytes]:
    if not token:
        raise InvalidToken(_("There is no token."))
    if len(token) > LONGEST_TOKEN:
        raise InvalidToken(_TOO_LONG)
    illegal = re.search(r"[^A-Za-z0-9_.-]", token)
    if illegal:
        raise InvalidToken(
            _(
                "This is not an Access Token: no token contains %(character)s. Paste the token "
                "alone."
            )
            % {"character": ascii(illegal[0])}
        )
    parts = token.split(".")
    if len(parts) == 5 and "enc" in _header_of(parts[0]):
        raise InvalidToken(
            _(
                "This is an encrypted token (JWE), such as Flex gives its users. An Access Token "
                "is signed, but not encrypted."
            )
        )
    if len(parts) != 3:
        raise InvalidToken(
            _(
                "This is not an Access Token: it should have three parts with full stops between "
                "them, but has %(count)d. Was it cut off?"
            )
            % {"count": len(parts)}
        )
    try:
        header, claims, signature = map(_bytes_of, parts)
        objects = _json_object(header), _json_object(claims)
    except (ValueError, RecursionError):
        raise InvalidToken(
            _(
                "This is not an Access Token: its parts are not JSON objects in base64. Was it cut "
                "off or changed?"
            )
        ) from None
    return ".".join(parts[:2]).encode(), *objects, signature


def _bytes_of(part: str) -> bytes:
    return urlsafe_b64decode(part + "==")  # what is more than needed is ignored


def _header_of(part: str) -> dict[str, Any]:
    """Empty where it cannot be read."""
    try:
        return _json_object(_bytes_of(part))
    except (ValueError, RecursionError):
        return {}


def _json_object(data: bytes) -> dict[str, Any]:
    """Raises ``ValueError``, or ``RecursionError``, for anything else."""
    value = json.loads(data.decode(), parse_constant=_refuse_constant)
    if not isinstance(value, dict) or not _is_flat(value, DEEPEST):
        raise ValueError("no object that a token has")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is Python, not JSON")


def _is_flat(value: object, levels: int) -> bool:
    """What is nested deeper can be read, but hardly shown."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return levels > 0 and all(_is_flat(each, levels - 1) for each in value)


def _is_capability_token(claims: Mapping[str, Any]) -> bool:
    return _text(claims, "scope").startswith("scope:") or (
        "scope" in claims and _text(claims, "iss").startswith("AC")
    )


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


#: What is taken for an Access Token, how its claims show that it is another one, and its name.
OTHER_TOKENS: tuple[tuple[Callable[[Mapping[str, Any]], bool], _StrOrPromise], ...] = (
    (
        _is_capability_token,
        gettext_lazy(
            "This is a Capability Token, which only Voice SDKs before 2.0 take. Twilio has "
            "deprecated it: issue an Access Token with a Voice grant instead."
        ),
    ),
    (
        lambda claims: isinstance(claims.get("policies"), list),
        gettext_lazy(
            "This is a TaskRouter Capability Token, which only version 1 of TaskRouter.js takes. "
            "Issue an Access Token with a TaskRouter grant instead."
        ),
    ),
    (
        lambda claims: claims.get("token_type") in ("access", "refresh", "sliding"),
        gettext_lazy(
            "This is a token of Simple JWT, with which users sign in to a site. Ask the site for "
            "an Access Token, signed in with it."
        ),
    ),
    (
        lambda claims: _text(claims, "iss").startswith(("https://", "http://")),
        gettext_lazy(
            "This is a token of an identity provider (OpenID Connect or OAuth), with which users "
            "sign in. Ask your site for an Access Token, signed in with it."
        ),
    ),
    (
        lambda claims: bool(claims),
        gettext_lazy(
            "This is a JWT, but not an Access Token of Twilio: it has neither “cty” in its header "
            "nor grants."
        ),
    ),
)


def name_of_other_token(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str | None:
    """What it is, and what to do; None for what may be an Access Token of Twilio."""
    if "cty" in header or "grants" in claims:
        return None
    return next((str(name) for is_it, name in OTHER_TOKENS if is_it(claims)), None)
