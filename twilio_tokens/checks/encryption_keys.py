"""Checks for encryption keys that are guessable or derived from another secret.

No key is read here. The key ring gives the IDs of its keys, and keys derived from ``SECRET_KEY``
are compared by ID. So no message or traceback can contain a key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.core.exceptions import ImproperlyConfigured

from twilio_tokens.crypto import KEY_BYTES, KeyRing, key_id, load_key_ring
from twilio_tokens.exceptions import EncryptionKeyError

#: IDs of keys published in the specification of Fernet and in widely copied samples.
PUBLISHED = {"4ff0e8a3a0e6", "8ccf55f8a3bc", "db54024a930d", "e89660320be8", "d9c1b86d795c"}

ALGORITHMS = (
    *("md5", "sha1", "sha224", "sha256", "sha384", "sha512"),
    *("sha3_256", "sha3_384", "sha3_512", "blake2b", "blake2s"),
)
PADDING = (b"\0", b" ", b"0", b"=", b"x", b"-", b"_")
#: Common salts. The names of the site's apps are tried as well.
SALTS = (
    *("", "salt", "salt_", "django", "twilio", "twilio_tokens", "twilio-tokens"),
    *("key", "secret", "encryption", "encryption_key", "encryption-key", "fernet"),
    *("django.core.signing", "TWILIO_TOKENS_ENCRYPTION_KEYS"),
)
#: Salts and iterations for PBKDF2: each combination takes up to a tenth of a second.
SLOW_SALTS = (b"", b"salt", b"twilio_tokens")
ITERATIONS = (1_000, 10_000, 100_000)


@register(Tags.security, deploy=True)
def check_keys_of_their_own(**kwargs: Any) -> list[CheckMessage]:
    """``SECRET_KEY`` is known to more people and processes, and changes after a leak."""
    ring = _ring()
    derived = _derived_ids(set(ring.ids)) if ring else set()
    return [
        checks.Warning(
            f"Key {position} of TWILIO_TOKENS_ENCRYPTION_KEYS is SECRET_KEY or one of "
            "SECRET_KEY_FALLBACKS, or derived from one of them. Anyone who learns it can read "
            "every API key's secret, and if you change it, no secret can be decrypted.",
            hint="Generate a key with “manage.py twilio_generate_key”, list it first, and run "
            "“manage.py twilio_reencrypt” before you remove this one.",
            id="twilio_tokens.W022",
        )
        for position, each in _numbered(ring)
        if each in derived
    ]


@register(Tags.security, deploy=True)
def check_keys_are_random(**kwargs: Any) -> list[CheckMessage]:
    ring = _ring()
    return [
        checks.Warning(
            f"Key {position} of TWILIO_TOKENS_ENCRYPTION_KEYS can be guessed: it is text or a "
            "pattern, or it has been published.",
            hint="Generate a key with “manage.py twilio_generate_key”, list it first, and run "
            "“manage.py twilio_reencrypt” before you remove this one. Anyone who has read the "
            "database may know the API keys' secrets, so replace the API keys as well.",
            id="twilio_tokens.W023",
        )
        for position, each in _numbered(ring)
        if ring and (each in PUBLISHED or not ring.is_random(each))
    ]


def _ring() -> KeyRing | None:
    try:
        return load_key_ring()
    except EncryptionKeyError:
        return None  # another check reports it


def _numbered(ring: KeyRing | None) -> list[tuple[int, str]]:
    return list(enumerate(ring.ids, start=1)) if ring else []


def _derived_ids(wanted: set[str]) -> set[str]:
    """The wanted IDs whose keys are derived from a secret key of the site."""
    secrets = list(_secrets())
    quick = chain.from_iterable(_quickly_made(secret) for secret in secrets)
    slow = chain.from_iterable(_slowly_made(secret) for secret in secrets)
    found: set[str] = set()
    for material in chain(quick, slow):
        found |= {key_id(material)} & wanted
        if found == wanted:
            break
    return found


def _secrets() -> Iterator[bytes]:
    try:
        current = django_settings.SECRET_KEY
    except ImproperlyConfigured:
        current = None  # it is not set, which Django reports
    for secret in (current, *django_settings.SECRET_KEY_FALLBACKS):
        if isinstance(secret, str):
            yield secret.encode(errors="surrogatepass")
        elif isinstance(secret, bytes):
            yield secret


def _quickly_made(secret: bytes) -> Iterator[bytes]:
    for seed in _readings(secret):
        for length in (16, 24, len(seed)):
            yield from _cut(seed[:length])
        for algorithm in ALGORITHMS:
            for salt in _salts():
                with suppress(ValueError):  # under FIPS, some are not available
                    for made in _hashes(algorithm, seed, salt):
                        yield from _cut(made)


def _slowly_made(secret: bytes) -> Iterator[bytes]:
    for salt in SLOW_SALTS:
        for iterations in ITERATIONS:
            yield hashlib.pbkdf2_hmac("sha256", secret, salt, iterations, KEY_BYTES)


def _readings(secret: bytes) -> Iterator[bytes]:
    """The text itself, and the bytes that it encodes."""
    yield secret
    standard = secret.translate(bytes.maketrans(b"-_", b"+/"))
    with suppress(ValueError):
        yield base64.b64decode(standard + b"=" * (-len(secret) % 4), validate=True)
    with suppress(ValueError):
        yield bytes.fromhex(secret.decode())


def _cut(data: bytes) -> Iterator[bytes]:
    """The data as 32 bytes: raw, in hex or in base64, its beginning or end, or padded."""
    texts = (data, data.hex().encode(), base64.b64encode(data), base64.urlsafe_b64encode(data))
    for text in texts:
        yield text[:KEY_BYTES].ljust(KEY_BYTES, b"\0")
        if len(text) > KEY_BYTES:
            yield text[-KEY_BYTES:]
        else:
            yield (text * KEY_BYTES)[:KEY_BYTES]
            for pad in PADDING:
                yield text.ljust(KEY_BYTES, pad)
                yield text.rjust(KEY_BYTES, pad)


def _hashes(algorithm: str, seed: bytes, salt: bytes) -> Iterator[bytes]:
    def digest(data: bytes) -> bytes:
        return hashlib.new(algorithm, data, usedforsecurity=False).digest()

    def keyed(key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, algorithm)

    yield digest(digest(seed))
    for separator in (b"", b":", b"-"):
        yield digest(salt + separator + seed)
        yield digest(seed + separator + salt)
    yield keyed(seed, salt)
    yield keyed(salt, seed)
    for value in (b"", salt):
        yield keyed(digest(salt + seed), value)  # Django's salted_hmac
    for salt_of_hkdf, info in ((salt, b""), (b"", salt), (salt, salt)):
        first = keyed(salt_of_hkdf or bytes(len(digest(b""))), seed)
        block = keyed(first, info + b"\1")
        yield block + keyed(first, block + info + b"\2")


def _salts() -> list[bytes]:
    names = {name for app in apps.get_app_configs() for name in (app.label, app.name)}
    project = str(getattr(django_settings, "ROOT_URLCONF", "")).partition(".")[0]
    return [name.encode() for name in dict.fromkeys((*SALTS, project, *sorted(names)))]
