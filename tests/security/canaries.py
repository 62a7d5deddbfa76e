"""What must be nowhere to be read, and the ways to write it.

Each is made at run time, so that finding it anywhere is a leak.
"""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterable

TOKEN = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]{43}")


def written(canary: str) -> set[str]:
    """As it is, in hexadecimal, and in base64 wherever in a longer text it stands."""
    return {canary, canary.encode().hex(), *_in_base64(canary.encode())}


def parts_of(token: str) -> set[str]:
    """All of a token but its header, which is the same for every key of every site."""
    _header, claims, signature = token.split(".")
    return {token, claims, signature}


def written_key(key: str) -> set[str]:
    """Of an encryption key, its text and its bytes."""
    material = urlsafe_b64decode(key)
    as_text = material.decode("latin-1")
    return {material.hex(), as_text, repr(material)[2:-1], *_in_base64(material)} | written(
        key.rstrip("=")
    )


def _in_base64(data: bytes) -> Iterable[str]:
    """In both alphabets, without the characters that depend on what stands beside it."""
    for before, shared in ((0, 0), (1, 2), (2, 3)):
        encoded = b64encode(bytes(before) + data).decode().rstrip("=")
        whole = encoded[shared : None if (before + len(data)) % 3 == 0 else -1]
        yield from (whole, whole.translate(str.maketrans("+/", "-_")))


def leaked(
    text: str, *, secrets: Iterable[str], tokens: Iterable[str], keys: Iterable[str]
) -> set[str]:
    """The kinds of canaries that are in a text."""
    found = set()
    if any(form in text for secret in secrets for form in written(secret)):
        found.add("a secret")
    if any(form in text for token in tokens for part in parts_of(token) for form in written(part)):
        found.add("a token")
    if any(form in text for key in keys for form in written_key(key)):
        found.add("an encryption key")
    return found
