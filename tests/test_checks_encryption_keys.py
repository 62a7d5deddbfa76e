"""Encryption keys that are made from another secret, or that can be guessed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from hashlib import sha256, sha512
from itertools import accumulate, cycle, islice
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.core.checks import CheckMessage, Warning
from django.utils.crypto import pbkdf2, salted_hmac

from twilio_tokens.checks.encryption_keys import check_keys_are_random, check_keys_of_their_own
from twilio_tokens.crypto import generate_key, key_id

from .rows import new_secret


def in_base64(material: bytes) -> str:
    return base64.urlsafe_b64encode(material).decode()


def hkdf(secret: bytes, salt: bytes | None, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, info).derive(secret)


#: As sites write it.
MAKERS: dict[str, Callable[[bytes], bytes]] = {
    "its beginning": lambda secret: secret[:32],
    "its end": lambda secret: secret[-32:],
    "filled up with zeros": lambda secret: secret[:24].ljust(32, b"\0"),
    "filled up with spaces": lambda secret: secret[:16].ljust(32),
    "filled up with noughts": lambda secret: secret[:24].rjust(32, b"0"),
    "half of it, twice": lambda secret: secret[:16] * 2,
    "its base64": lambda secret: base64.urlsafe_b64encode(secret)[:32],
    "its hex": lambda secret: secret.hex().encode()[:32],
    "sha256": lambda secret: sha256(secret).digest(),
    "sha256 twice": lambda secret: sha256(sha256(secret).digest()).digest(),
    "sha256 in hex": lambda secret: sha256(secret).hexdigest().encode()[:32],
    "sha256 in base64": lambda secret: base64.b64encode(sha256(secret).digest())[:32],
    "sha512": lambda secret: sha512(secret).digest()[:32],
    "sha3": lambda secret: hashlib.sha3_256(secret).digest(),
    "blake2s": lambda secret: hashlib.blake2s(secret).digest(),
    "md5 in hex": lambda secret: hashlib.new("md5", secret).hexdigest().encode(),  # noqa: S324
    "md5 twice over": lambda secret: hashlib.new("md5", secret).digest() * 2,  # noqa: S324
    "sha256 with a prefix": lambda secret: sha256(b"twilio_tokens:" + secret).digest(),
    "sha256 with a suffix": lambda secret: sha256(secret + b"salt").digest(),
    "hmac": lambda secret: hmac.digest(secret, b"twilio_tokens", "sha256"),
    "hmac of an app": lambda secret: hmac.digest(secret, b"tests.site", "sha256"),
    "hmac of the project": lambda secret: hmac.digest(secret, b"shop", "sha256"),
    "hmac with its own name": lambda secret: hmac.digest(
        b"TWILIO_TOKENS_ENCRYPTION_KEYS", secret, "sha256"
    ),
    "salted_hmac": lambda secret: salted_hmac(
        "twilio_tokens", "twilio_tokens", secret.decode(), algorithm="sha256"
    ).digest(),
    "salted_hmac in hex": lambda secret: (
        salted_hmac("salt", "", secret.decode(), algorithm="sha1").hexdigest().encode()[:32]
    ),
    "PBKDF2": lambda secret: pbkdf2(secret, b"salt", 100_000),
    "PBKDF2 without a salt": lambda secret: pbkdf2(secret, b"", 10_000),
    "PBKDF2 of the app": lambda secret: pbkdf2(secret, b"twilio_tokens", 1_000),
    "HKDF": lambda secret: hkdf(secret, None, b""),
    "HKDF with a salt": lambda secret: hkdf(secret, b"salt", b""),
    "HKDF for something": lambda secret: hkdf(secret, None, b"twilio-tokens"),
    "HKDF of an app": lambda secret: hkdf(secret, b"twilio_tokens", b"twilio_tokens"),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_a_key_made_from_the_secret_key_is_told(maker: str, settings: Any) -> None:
    settings.ROOT_URLCONF = "shop.urls"
    settings.SECRET_KEY = secret = f"django-insecure-{new_secret()}"
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [in_base64(MAKERS[maker](secret.encode()))]
    [message] = check_keys_of_their_own()
    assert (message.id, type(message)) == ("twilio_tokens.W022", Warning)
    assert message.msg.startswith("Key 1 of TWILIO_TOKENS_ENCRYPTION_KEYS is SECRET_KEY or")


@pytest.mark.parametrize(
    "spelling",
    [
        in_base64,
        lambda material: in_base64(material).rstrip("="),
        lambda material: material.hex(),
    ],
)
@pytest.mark.parametrize(
    "make", [lambda material: material, lambda material: sha256(material).digest()]
)
def test_a_secret_key_that_is_a_key_itself_is_read_as_one(
    make: Callable[[bytes], bytes], spelling: Callable[[bytes], str], settings: Any
) -> None:
    material = base64.urlsafe_b64decode(generate_key())
    settings.SECRET_KEY = spelling(material)
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [in_base64(make(material))]
    assert [each.id for each in check_keys_of_their_own()] == ["twilio_tokens.W022"]


def test_each_key_is_compared_with_each_secret_key_and_named_by_its_position(settings: Any) -> None:
    settings.SECRET_KEY = new_secret().encode()
    settings.SECRET_KEY_FALLBACKS = [new_secret(), fallback := new_secret(), None]
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = keys = [
        generate_key(),
        in_base64(sha256(settings.SECRET_KEY).digest()),
        in_base64(sha256(fallback.encode()).digest()),
    ]
    messages = check_keys_of_their_own()
    assert [message.msg.partition(" of ")[0] for message in messages] == ["Key 2", "Key 3"]
    said = repr([vars(message) for message in messages])
    secrets = [*keys, *settings.SECRET_KEY_FALLBACKS[:2], settings.SECRET_KEY.decode()]
    assert not [secret for secret in secrets if secret in said]


def test_a_site_without_a_secret_key_or_without_encryption_keys_is_not_told(settings: Any) -> None:
    settings.SECRET_KEY = ""
    assert check_keys_of_their_own() == []
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = None
    assert check_keys_of_their_own() == check_keys_are_random() == []


def test_where_an_algorithm_is_forbidden_the_others_are_tried(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def under_fips(name: str, data: bytes, **options: Any) -> Any:
        if name == "md5":
            raise ValueError("unsupported hash type")
        return getattr(hashlib, name)(data)

    monkeypatch.setattr(hashlib, "new", under_fips)
    secret = settings.SECRET_KEY.encode()
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [in_base64(sha256(secret).digest())]
    assert len(check_keys_of_their_own()) == 1


def guessable(settings: Any, *materials: bytes) -> list[CheckMessage]:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [in_base64(each) for each in materials]
    return check_keys_are_random()


def walk(start: int, *steps: int) -> bytes:
    """32 bytes, each a step from the one before, beginning again at 0 where a byte ends."""
    sums = accumulate(islice(cycle(steps), 31), initial=start)
    return bytes(each % 256 for each in sums)


EIGHT_STEPS = walk(7, 31, 67, 91, 113, 131, 149, 173, 201)
SIXTEEN_BYTES = sha256(b"any").digest()[:16] * 2


@pytest.mark.parametrize(
    "material",
    [
        EIGHT_STEPS,
        SIXTEEN_BYTES,
        bytes(32),
        b"\xff" * 32,
        bytes(range(16)) * 2,
        bytes(range(32)),
        bytes(range(255, 223, -1)),
        bytes(each * 7 % 256 for each in range(32)),
        b"0123456789abcdef0123456789abcdef",
        b"correct horse battery staple 123",
        b"MyP4ssw0rd! for the old database"[:30].ljust(32, b"\0"),
        b"a password of theirs".rjust(32, b"\0"),
    ],
)
def test_a_key_that_somebody_thought_up_is_told(material: bytes, settings: Any) -> None:
    [message] = guessable(settings, base64.urlsafe_b64decode(generate_key()), material)
    assert (message.id, type(message)) == ("twilio_tokens.W023", Warning)
    assert message.msg.startswith("Key 2 of TWILIO_TOKENS_ENCRYPTION_KEYS can be guessed")
    assert in_base64(material) not in repr(vars(message))


def test_one_step_or_one_byte_more_is_enough_not_to_be_told(settings: Any) -> None:
    assert (len(set(EIGHT_STEPS)), len(set(SIXTEEN_BYTES))) == (31, 16)
    ninth_step = walk(100, *range(1, 9))[:-1] + bytes([250])
    other_byte = SIXTEEN_BYTES[:-1] + bytes([min(set(range(256)) - {*SIXTEEN_BYTES})])
    assert guessable(settings, ninth_step, other_byte) == []


def test_a_published_key_is_told(settings: Any) -> None:
    # Of NIST SP 800-38A, in halves: secret scanners know the shape.
    halves = "603deb1015ca71be2b73aef0857d7781", "1f352c073b6108d72d9810a30914dff4"
    material = bytes.fromhex("".join(halves))
    assert key_id(material) == "d9c1b86d795c"
    assert [message.id for message in guessable(settings, material)] == ["twilio_tokens.W023"]


def test_random_keys_are_not_told(settings: Any) -> None:
    keys = [base64.urlsafe_b64decode(generate_key()) for _ in range(2_000)]
    assert guessable(settings, *keys) == []
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key() for _ in range(20)]
    assert check_keys_of_their_own() == []
