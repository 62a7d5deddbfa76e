"""Finds a token in pasted text, takes it apart, and recognizes other kinds of tokens."""

from __future__ import annotations

import json
import re
import string
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .exceptions import InvalidToken

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: Characters. Tokens have a few hundred.
LONGEST_TOKEN = 16_384

#: Levels of nesting. Access Tokens have four.
DEEPEST = 20

_TOO_LONG = gettext_lazy("This is much longer than any Access Token.")

#: A token with a whole HS256 signature. One with a shorter signature is read, but not searched for
#: within other text, because it may continue on the next line.
_WHOLE_TOKEN = re.compile(r"(?<![\w.-])ey[\w-]*\.[\w-]+\.[\w-]{43,}(?![\w.-])", re.ASCII)
_START_OF_TOKEN = re.compile(r"(?<![\w.-])ey", re.ASCII)
_AROUND = string.whitespace + "\ufeff\"'`“”’<>}]),;"


def token_in(text: str) -> str:
    """The part that looks most like a token in a header, JSON, a URL or wrapped lines."""
    if len(text) > 2 * LONGEST_TOKEN:
        raise InvalidToken(_TOO_LONG)
    text = unquote(text)  # a URL may have “%3D” or “%20” before the token
    whole = set(_WHOLE_TOKEN.findall(text))
    if len(whole) > 1:
        message = ngettext(
            "This text contains %(count)d token. Paste only one.",
            "This text contains %(count)d tokens. Paste only one.",
            len(whole),
        )
        raise InvalidToken(message % {"count": len(whole)})
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
                "This is not an Access Token: tokens never contain %(character)s. Paste only the "
                "token."
            )
            % {"character": ascii(illegal[0])}
        )
    parts = token.split(".")
    if len(parts) == 5 and "enc" in _header_of(parts[0]):
        raise InvalidToken(
            _(
                "This is an encrypted token (JWE), such as those that Flex gives to its users. An "
                "Access Token is signed, not encrypted."
            )
        )
    if len(parts) != 3:
        raise InvalidToken(
            ngettext(
                "This is not an Access Token: a token has three parts, separated by periods, but "
                "this text has %(count)d part. Was it cut off?",
                "This is not an Access Token: a token has three parts, separated by periods, but "
                "this text has %(count)d parts. Was it cut off?",
                len(parts),
            )
            % {"count": len(parts)}
        )
    try:
        header, claims, signature = map(_bytes_of, parts)
        objects = _json_object(header), _json_object(claims)
    except (ValueError, RecursionError):
        raise InvalidToken(
            _(
                "This is not an Access Token: its parts are not base64-encoded JSON objects. Was "
                "it cut off or changed?"
            )
        ) from None
    return ".".join(parts[:2]).encode(), *objects, signature


def _bytes_of(part: str) -> bytes:
    return urlsafe_b64decode(part + "==")  # surplus padding is ignored


def _header_of(part: str) -> dict[str, Any]:
    """Empty if it cannot be read."""
    try:
        return _json_object(_bytes_of(part))
    except (ValueError, RecursionError):
        return {}


def _json_object(data: bytes) -> dict[str, Any]:
    """Raises ``ValueError`` or ``RecursionError`` for anything else."""
    value = json.loads(data.decode(), parse_constant=_refuse_constant)
    if not isinstance(value, dict) or not _is_flat(value, DEEPEST):
        raise ValueError("not an object that a token has")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is Python, not JSON")


def _is_flat(value: object, levels: int) -> bool:
    """Deeper nesting could be read, but hardly shown."""
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


#: Tokens that people mistake for Access Tokens: how to recognize the claims, and what to say.
OTHER_TOKENS: tuple[tuple[Callable[[Mapping[str, Any]], bool], _StrOrPromise], ...] = (
    (
        _is_capability_token,
        gettext_lazy(
            "This is a Capability Token, which only Voice SDKs before 2.0 accept. Twilio has "
            "deprecated it. Issue an Access Token with a Voice grant instead."
        ),
    ),
    (
        lambda claims: isinstance(claims.get("policies"), list),
        gettext_lazy(
            "This is a TaskRouter Capability Token, which only version 1 of TaskRouter.js accepts. "
            "Issue an Access Token with a TaskRouter grant instead."
        ),
    ),
    (
        lambda claims: claims.get("token_type") in ("access", "refresh", "sliding"),
        gettext_lazy(
            "This is a Simple JWT token, which signs users in to a site. Use it to request an "
            "Access Token from the site."
        ),
    ),
    (
        lambda claims: _text(claims, "iss").startswith(("https://", "http://")),
        gettext_lazy(
            "This is a token from an identity provider (OpenID Connect or OAuth), which signs "
            "users in. Use it to request an Access Token from your site."
        ),
    ),
    (
        lambda claims: bool(claims),
        gettext_lazy(
            "This is a JWT, but not a Twilio Access Token: it has neither grants nor “cty” in its "
            "header."
        ),
    ),
)


def name_of_other_token(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str | None:
    """What the token is, and what to do; None if it may be a Twilio Access Token."""
    if "cty" in header or "grants" in claims:
        return None
    return next((str(name) for is_it, name in OTHER_TOKENS if is_it(claims)), None)
