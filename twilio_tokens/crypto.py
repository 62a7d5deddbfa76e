"""The key ring, and secrets sealed with it: AES-256-GCM, bound to the row that holds them.

A sealed secret has the form ``tt1:<key id>:<base64url of nonce, ciphertext and tag>``. The row's
UUID and its API key SID are authenticated with it, so a copy in another row does not open.

No function raises an exception while its variables hold key bytes, key text or plaintext, because
error reports show the variables of every frame in the traceback.
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

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from .conf import settings
from .exceptions import MISSING, SETTING, EncryptionKeyError, SecretUnavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from django.utils.functional import _StrOrPromise

FORMAT = "tt1"
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
PURPOSE = b"twilio_tokens api key secret"

#: A password, padded with zeros at either end.
_TEXT = re.compile(rb"\x00*[\t\n\r\x20-\x7e]*\x00*")

_SEALED = re.compile(rf"{FORMAT}:(?P<key_id>[0-9a-f]{{12}}):(?P<body>[A-Za-z0-9_-]+)")


@dataclass(frozen=True)
class Sealed:
    """Ciphertext. ``text`` is what the database stores; ``str()`` and ``repr()`` never show it.

    A damaged text is kept unchanged, so that its row loads and can be fixed. It does not open.
    """

    text: str

    @property
    def is_well_formed(self) -> bool:
        return self.parts is not None

    @property
    def key_id(self) -> str | None:
        """The ID of the encryption key that sealed it; None if the text is damaged."""
        return self.parts[0] if self.parts is not None else None

    @cached_property
    def parts(self) -> tuple[str, bytes] | None:
        """The key ID, and nonce, ciphertext and tag; None if the text is damaged."""
        match = _SEALED.fullmatch(self.text)
        body = _decoded(match["body"]) if match else b""
        return (match["key_id"], body) if match and len(body) > NONCE_BYTES + TAG_BYTES else None

    def __repr__(self) -> str:
        return "<Sealed: hidden>"

    def __str__(self) -> str:
        return "• • • hidden • • •"


def key_id(material: bytes) -> str:
    """Identifies a key. It is not secret, unless the key can be guessed."""
    return hashlib.sha256(b"twilio_tokens key id" + material).hexdigest()[:12]


class _Key:
    def __init__(self, material: bytes) -> None:
        self.id = key_id(material)
        self.is_random = _is_random(material)
        self.cipher = _cipher(material)


class KeyRing:
    """The keys of ``TWILIO_TOKENS_ENCRYPTION_KEYS``: the newest seals, all open."""

    def __init__(self, keys: list[_Key]) -> None:
        self._keys = keys

    @property
    def ids(self) -> list[str]:
        return [key.id for key in self._keys]

    @property
    def newest_id(self) -> str:
        return self._keys[0].id

    def is_random(self, key_id: str) -> bool:
        """False for a key that a person made up: text or a pattern."""
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

    Raises ``EncryptionKeyError`` with the positions of the malformed keys.
    """
    problems: dict[int, _StrOrPromise] = {}
    keys = []
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

    The caller loads the ring before it handles the plaintext, because loading may fail.
    """
    nonce = os.urandom(NONCE_BYTES)
    bound_to = _associated_data(ring.newest_id, row, sid)
    body = nonce + ring.newest_cipher.encrypt(nonce, plaintext.encode(), bound_to)
    encoded = base64.urlsafe_b64encode(body).rstrip(b"=").decode()
    return Sealed(f"{FORMAT}:{ring.newest_id}:{encoded}")


def unseal(sealed: Sealed, *, row: UUID, sid: str) -> str:
    """The plaintext, if it was sealed for this row. Raises ``SecretUnavailable``.

    Keep the result only in a local variable of the function that signs.
    """
    ring = load_key_ring()
    parts = sealed.parts
    if parts is None:
        raise SecretUnavailable(
            _("The stored secret of API key {key} is damaged. Enter it again in the admin."),
            key=sid,
        )
    key_id, body = parts
    cipher = ring.get(key_id)
    if cipher is None:
        raise SecretUnavailable(
            _(
                "The secret of API key {key} is encrypted with key {encryption_key}, which is "
                "not in TWILIO_TOKENS_ENCRYPTION_KEYS. Add that key again, or enter the secret "
                "again in the admin."
            ),
            key=sid,
            encryption_key=key_id,
        )
    plaintext = _open(cipher, body, _associated_data(key_id, row, sid))
    if plaintext is None:
        raise SecretUnavailable(
            _(
                "The secret of API key {key} cannot be decrypted: it was changed, or copied "
                "from another row. Enter it again in the admin."
            ),
            key=sid,
        )
    return plaintext


def check_opens(sealed: Sealed, *, row: UUID, sid: str) -> None:
    """Raise ``SecretUnavailable`` if ``unseal`` would."""
    unseal(sealed, row=row, sid=sid)


def matches(sealed: Sealed, plaintext: str, *, row: UUID, sid: str) -> bool:
    """Whether ``sealed`` opens to ``plaintext``; also False if it does not open."""
    try:
        return hmac.compare_digest(unseal(sealed, row=row, sid=sid).encode(), plaintext.encode())
    except SecretUnavailable:
        return False


def is_of_another_row(sealed: Sealed, *, row: UUID, sid: str) -> bool:
    """Whether ``sealed`` does not open although its encryption key is available."""
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
    # Even an invalid SID must not raise an exception here: the caller holds the plaintext.
    sid_bytes = sid.encode("utf-8", "surrogatepass")
    parts = [FORMAT.encode(), key_id.encode(), PURPOSE, row.bytes, sid_bytes]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _read_keys() -> Iterator[tuple[int, _Key | _StrOrPromise]]:
    """Each position, counted from 1, with the key or with a sentence about what is wrong."""
    try:
        texts = settings.encryption_keys
    except Exception as error:  # noqa: BLE001 - any error of a site's KMS client: its frames may hold keys
        message = _("The function in TWILIO_TOKENS_ENCRYPTION_KEYS raised {error}.")
        yield SETTING, format_lazy(message, error=type(error).__name__)
        return
    if texts is None or texts == [] or texts == ():
        yield (
            MISSING,
            _(
                "TWILIO_TOKENS_ENCRYPTION_KEYS is not set. Generate a key with "
                "“manage.py twilio_generate_key”, and add it to the list."
            ),
        )
    elif not isinstance(texts, (list, tuple)):
        yield SETTING, _("TWILIO_TOKENS_ENCRYPTION_KEYS should be a list of keys, newest first.")
    else:
        for position, text in enumerate(texts, start=1):
            yield (
                position,
                (isinstance(text, str) and _parse_key(text))
                or format_lazy(
                    _(
                        "Key {position} of TWILIO_TOKENS_ENCRYPTION_KEYS should be 32 random bytes "
                        "in base64. “manage.py twilio_generate_key” generates one."
                    ),
                    position=position,
                ),
            )


@lru_cache(maxsize=32)  # every token needs the parsed key; its text is in memory anyway
def _parse_key(text: str) -> _Key | None:
    material = _decoded(text.strip().translate(str.maketrans("+/", "-_")).rstrip("="))
    return _Key(material) if len(material) == KEY_BYTES else None


def _is_random(material: bytes) -> bool:
    """Mistakes fewer than one in a trillion random keys for a made-up one."""
    steps = {(after - before) % 256 for before, after in pairwise(material)}
    return len(set(material)) > 16 and len(steps) > 8 and not _TEXT.fullmatch(material)


def _decoded(text: str) -> bytes:
    """Strict base64url without padding; empty for anything else."""
    try:
        data = base64.urlsafe_b64decode(text + "==")  # surplus padding is ignored
    except ValueError:
        return b""
    # Each value has one text: no characters that decoding skips, and no spare bits set.
    return data if base64.urlsafe_b64encode(data).rstrip(b"=").decode() == text else b""
