"""Finds a token in what was pasted, and takes it apart."""

from __future__ import annotations

import json
import re
import string
from base64 import urlsafe_b64decode
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .exceptions import InvalidToken

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
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


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


def _is_flat(value: Any, levels: int) -> bool:
    """What is nested deeper can be read, but hardly shown."""
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return levels > 0 and all(_is_flat(each, levels - 1) for each in value)
