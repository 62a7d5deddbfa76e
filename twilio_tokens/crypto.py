"""The key ring, and secrets sealed with it: AES-256-GCM, bound to the row that holds them.

A sealed secret reads ``tt1:<key id>:<base64url of nonce, ciphertext and tag>``. The row's
UUID and its API key SID are authenticated with it: a copy in another row does not open.

Nothing here raises while a function's own variables hold key bytes, key text or plaintext:
error reports show the variables of every frame that an exception passed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING
from uuid import UUID

from .conf import settings
from .exceptions import MISSING, SETTING, EncryptionKeyError, SecretUnavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

FORMAT = "tt1"
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
PURPOSE = b"twilio_tokens api key secret"

#: A password, filled up with zeros at either end.
_TEXT = re.compile(rb"\x00*[\t\n\r\x20-\x7e]*\x00*")

_SEALED = re.compile(rf"{FORMAT}:(?P<key_id>[0-9a-f]{{12}}):(?P<body>[A-Za-z0-9_-]+)")


@dataclass(frozen=True)
class Sealed:
    """Ciphertext. ``text`` is what the database stores; ``str()`` and ``repr()`` never show it.

    A damaged text is carried unchanged, so that its row loads and can be mended; it does
    not open.
    """

    text: str

    @property
    def is_well_formed(self) -> bool:
        return self.parts is not None

    @property
    def key_id(self) -> str | None:
        """Of the encryption key that it was sealed with; None if the text is damaged."""
        return self.parts[0] if self.parts is not None else None

    @cached_property
    def parts(self) -> tuple[str, bytes] | None:
        """The key id, and nonce, ciphertext and tag; None if the text is damaged."""
        match = _SEALED.fullmatch(self.text)
        body = _decoded(match["body"]) if match else b""
        return (match["key_id"], body) if match and len(body) > NONCE_BYTES + TAG_BYTES else None

    def __repr__(self) -> str:
        return "<Sealed: hidden>"

    def __str__(self) -> str:
        return "• • • hidden • • •"


def key_id(material: bytes) -> str:
    """By which a key is told from others. It is no secret, unless the key can be guessed."""
    return hashlib.sha256(b"twilio_tokens key id" + material).hexdigest()[:12]


class _Key:
    def __init__(self, material: bytes) -> None:
        self.id = key_id(material)
        self.is_random = _is_random(material)
        self.cipher = _cipher(material)


class KeyRing:
    """The keys of ``TWILIO_TOKENS_ENCRYPTION_KEYS``: the newest seals, any opens."""

    def __init__(self, keys: list[_Key]) -> None:
        self._keys = keys

    @property
    def ids(self) -> list[str]:
        return [key.id for key in self._keys]

    @property
    def newest_id(self) -> str:
        return self._keys[0].id

    def is_random(self, key_id: str) -> bool:
        """False for a key that somebody thought up: a pattern, or a text."""
        return next(key.is_random for key in self._keys if key.id == key_id)

    def __contains__(self, key_id: str | None) -> bool:
        return any(key.id == key_id for key in self._keys)

    def get(self, key_id: str) -> AESGCM | None:
        for key in self._keys:
            if key.id == key_id:
                return key.cipher
        return None

    @property
    def newest_cipher(self) -> AESGCM:
        return self._keys[0].cipher


def generate_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()


def load_key_ring() -> KeyRing:
    """Read ``TWILIO_TOKENS_ENCRYPTION_KEYS``.

    Raises ``EncryptionKeyError``, with the positions of the malformed keys.
    """
    problems, keys = {}, []
    for position, key in _read_keys():
        if isinstance(key, _Key):
            keys.append(key)
        else:
            problems[position] = key
    if problems:
        raise EncryptionKeyError(problems)
    return KeyRing(keys)


def seal(plaintext: str, *, ring: KeyRing, row: UUID, sid: str) -> Sealed:
    """Encrypt with the ring's newest key, for this row only.

    The ring is loaded by the caller, before it touches the plaintext: loading may raise.
    """
    nonce = os.urandom(NONCE_BYTES)
    bound_to = _associated_data(ring.newest_id, row, sid)
    body = nonce + ring.newest_cipher.encrypt(nonce, plaintext.encode(), bound_to)
    encoded = base64.urlsafe_b64encode(body).rstrip(b"=").decode()
    return Sealed(f"{FORMAT}:{ring.newest_id}:{encoded}")


def unseal(sealed: Sealed, *, row: UUID, sid: str) -> str:
    """The plaintext, for the row it was sealed for. Raises ``SecretUnavailable``.

    Keep the result in a local variable of the call that signs, and nowhere else.
    """
    ring = load_key_ring()
    parts = sealed.parts
    if parts is None:
        raise SecretUnavailable(f"The stored secret of API key {sid} is damaged.")
    key_id, body = parts
    cipher = ring.get(key_id)
    if cipher is None:
        raise SecretUnavailable(
            f"The secret of API key {sid} is sealed with encryption key {key_id}, which is not in "
            "TWILIO_TOKENS_ENCRYPTION_KEYS."
        )
    plaintext = _open(cipher, body, _associated_data(key_id, row, sid))
    if plaintext is None:
        raise SecretUnavailable(
            f"The secret of API key {sid} does not open: it was changed, or sealed for another row."
        )
    return plaintext


def check_opens(sealed: Sealed, *, row: UUID, sid: str) -> None:
    """Raise ``SecretUnavailable`` where ``unseal`` would."""
    unseal(sealed, row=row, sid=sid)


def matches(sealed: Sealed, plaintext: str, *, row: UUID, sid: str) -> bool:
    """Whether ``sealed`` opens to ``plaintext``; False also where it does not open."""
    try:
        return hmac.compare_digest(unseal(sealed, row=row, sid=sid).encode(), plaintext.encode())
    except SecretUnavailable:
        return False


def is_of_another_row(sealed: Sealed, *, row: UUID, sid: str) -> bool:
    """Whether ``sealed`` does not open though its encryption key is there."""
    try:
        unseal(sealed, row=row, sid=sid)
    except EncryptionKeyError:
        return False
    except SecretUnavailable:
        return sealed.key_id in load_key_ring()
    return False


def reseal(sealed: Sealed, *, ring: KeyRing, row: UUID, sid: str) -> Sealed:
    """The same secret under the ring's newest key. Raises ``SecretUnavailable``."""
    return seal(unseal(sealed, row=row, sid=sid), ring=ring, row=row, sid=sid)


def _cipher(material: bytes) -> AESGCM:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(material)


def _open(cipher: AESGCM, body: bytes, bound_to: bytes) -> str | None:
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(body[:NONCE_BYTES], body[NONCE_BYTES:], bound_to).decode()
    except InvalidTag:
        return None


@lru_cache(maxsize=128)  # the same in every token of a key
def _associated_data(key_id: str, row: UUID, sid: str) -> bytes:
    # A SID that is none, even that, must not raise here: the caller holds the plaintext.
    sid_bytes = sid.encode("utf-8", "surrogatepass")
    parts = [FORMAT.encode(), key_id.encode(), PURPOSE, row.bytes, sid_bytes]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _read_keys() -> Iterator[tuple[int, _Key | str]]:
    """Position, counted from 1, with the key or with a sentence about what is wrong."""
    try:
        texts = settings.encryption_keys
    except Exception as error:  # noqa: BLE001 - whatever a site's KMS client raises: its frames may hold keys
        yield SETTING, f"The TWILIO_TOKENS_ENCRYPTION_KEYS callable raised {type(error).__name__}."
        return
    if texts is None or texts == [] or texts == ():
        yield (
            MISSING,
            (
                "TWILIO_TOKENS_ENCRYPTION_KEYS is not set. Make a key with "
                "“manage.py twilio_generate_key” and add it to the list."
            ),
        )
    elif not isinstance(texts, (list, tuple)):
        yield SETTING, "TWILIO_TOKENS_ENCRYPTION_KEYS should be a list of keys, newest first."
    else:
        for position, text in enumerate(texts, start=1):
            yield (
                position,
                (isinstance(text, str) and _parse_key(text))
                or (
                    f"Key {position} of TWILIO_TOKENS_ENCRYPTION_KEYS should be 32 random bytes "
                    "in base64, as “manage.py twilio_generate_key” makes them."
                ),
            )


@lru_cache(maxsize=32)  # every token needs the parsed key; its text is in memory anyway
def _parse_key(text: str) -> _Key | None:
    material = _decoded(text.strip().translate(str.maketrans("+/", "-_")).rstrip("="))
    return _Key(material) if len(material) == KEY_BYTES else None


def _is_random(material: bytes) -> bool:
    """Of a million million random keys, not one is told to be none."""
    steps = {(after - before) % 256 for before, after in pairwise(material)}
    return len(set(material)) > 16 and len(steps) > 8 and not _TEXT.fullmatch(material)


def _decoded(text: str) -> bytes:
    """Strict base64url without padding; empty for anything else."""
    try:
        data = base64.urlsafe_b64decode(text + "==")  # what is more than needed is ignored
    except ValueError:
        return b""
    # One text for one value: no characters that decoding skips, and no spare bits that are set.
    return data if base64.urlsafe_b64encode(data).rstrip(b"=").decode() == text else b""
