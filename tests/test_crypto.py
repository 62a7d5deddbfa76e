from __future__ import annotations

import base64
import pickle
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from twilio_tokens.crypto import (
    Sealed,
    check_opens,
    generate_key,
    is_of_another_row,
    load_key_ring,
    matches,
    reseal,
    seal,
    unseal,
)
from twilio_tokens.exceptions import EncryptionKeyError, SecretUnavailable

from .reports import error_report
from .rows import new_secret, sid

ROW = uuid4()
SID = sid("SK")


def sealed_by_newest(plaintext: str) -> Sealed:
    return seal(plaintext, ring=load_key_ring(), row=ROW, sid=SID)


def refusal(sealed: Sealed, *, row: UUID = ROW, sid: str = SID) -> SecretUnavailable:
    with pytest.raises(SecretUnavailable) as caught:
        unseal(sealed, row=row, sid=sid)
    return caught.value


def forms_of(key: str) -> Iterator[str]:
    """What would give the key away: its text in both alphabets, and its bytes."""
    material = base64.urlsafe_b64decode(key)
    yield key.rstrip("=")
    yield base64.b64encode(material).decode().rstrip("=")
    yield repr(material)[2:-1]
    yield material.hex()


# Sealing


def test_what_was_sealed_opens(secret: str) -> None:
    assert unseal(sealed_by_newest(secret), row=ROW, sid=SID) == secret


def test_the_stored_form_is_aes_256_gcm_bound_to_format_key_purpose_row_and_sid(
    key_ring: list[str], secret: str
) -> None:
    text = sealed_by_newest(secret).text
    version, key_id, body = text.split(":")
    data = base64.urlsafe_b64decode(body + "==")
    assert version == "tt1"
    assert re.fullmatch("[0-9a-f]{12}", key_id)
    parts = [b"tt1", key_id.encode(), b"twilio_tokens api key secret", ROW.bytes, SID.encode()]
    bound_to = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    cipher = AESGCM(base64.urlsafe_b64decode(key_ring[0]))
    assert cipher.decrypt(data[:12], data[12:], bound_to) == secret.encode()


def test_the_same_secret_never_has_the_same_ciphertext(secret: str) -> None:
    assert len({sealed_by_newest(secret) for _ in range(100)}) == 100


@pytest.mark.parametrize("other", [{"row": uuid4()}, {"sid": sid("SK", "1")}, {"sid": ""}])
def test_a_ciphertext_opens_only_for_its_row_and_sid(secret: str, other: dict[str, Any]) -> None:
    error = refusal(sealed_by_newest(secret), **other)
    assert "cannot be decrypted" in error.reason


def test_a_ciphertext_does_not_open_under_the_id_of_another_key(settings: Any, secret: str) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = old, new = generate_key(), generate_key()
    body = sealed_by_newest(secret).text.split(":")[2]
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [new, old]
    relabelled = Sealed(f"tt1:{load_key_ring().newest_id}:{body}")
    assert "cannot be decrypted" in refusal(relabelled).reason


@pytest.mark.parametrize("position", [0, 11, 12, 30, -16, -1])
def test_one_changed_bit_of_nonce_ciphertext_or_tag_does_not_open(
    secret: str, position: int
) -> None:
    sealed = sealed_by_newest(secret)
    body = bytearray(base64.urlsafe_b64decode(sealed.text.split(":")[2] + "=="))
    body[position] ^= 1
    changed = base64.urlsafe_b64encode(body).rstrip(b"=").decode()
    assert "cannot be decrypted" in refusal(Sealed(f"tt1:{sealed.key_id}:{changed}")).reason


# Reading, which is strict

KEY_ID, BODY = "0123456789ab", "A" * 40


@pytest.mark.parametrize("body", [BODY, "A" * 39], ids=["any", "the shortest"])
def test_the_reader_takes_the_one_form_that_is_written(body: str) -> None:
    sealed = Sealed(f"tt1:{KEY_ID}:{body}")
    assert (sealed.is_well_formed, sealed.key_id) == (True, KEY_ID)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plaintext-of-a-secret",
        "tt1",
        "tt1::",
        f"tt1:{KEY_ID}:",
        f"tt2:{KEY_ID}:{BODY}",
        f"TT1:{KEY_ID}:{BODY}",
        f"tt1:{KEY_ID.upper()}:{BODY}",
        f"tt1:{KEY_ID[1:]}:{BODY}",
        f"tt1:{KEY_ID}0:{BODY}",
        f"tt1:{KEY_ID}:{BODY}:",
        f" tt1:{KEY_ID}:{BODY}",
        f"tt1:{KEY_ID}:{BODY}\n",
        f"tt1:{KEY_ID}:{BODY[:20]} {BODY[20:]}",
        f"tt1:{KEY_ID}:{BODY[:-2]}==",
        f"tt1:{KEY_ID}:{BODY[:-1]}+",
        f"tt1:{KEY_ID}:{BODY[:-1]}/",
        f"tt1:{KEY_ID}:{BODY[:-1]}é",
        f"tt1:{KEY_ID}:{BODY}A",
        f"tt1:{KEY_ID}:{BODY}AB",
        # Nonce and tag, and nothing between: 28 bytes.
        f"tt1:{KEY_ID}:{'A' * 38}",
    ],
)
def test_a_damaged_text_is_carried_but_does_not_open(text: str) -> None:
    damaged = Sealed(text)
    assert damaged.text == text
    assert (damaged.is_well_formed, damaged.key_id) == (False, None)
    assert "is damaged" in refusal(damaged).reason


@pytest.mark.parametrize("show", [str, repr, "{}".format, "%s".__mod__, lambda each: repr([each])])
def test_a_sealed_secret_does_not_show_its_text(secret: str, show: Any) -> None:
    sealed = sealed_by_newest(secret)
    assert "hidden" in show(sealed)
    assert not set(sealed.text.split(":")) & set(re.split(r"[^\w-]", show(sealed)))


def test_a_sealed_secret_is_a_value() -> None:
    sealed = sealed_by_newest(new_secret())
    assert pickle.loads(pickle.dumps(sealed)) == sealed == Sealed(sealed.text)  # noqa: S301
    assert sealed != Sealed("tt1") != sealed.text
    with pytest.raises(AttributeError):
        sealed.text = "other"  # type: ignore[misc]


# The key ring


def test_a_generated_key_is_32_random_bytes_that_the_ring_takes(settings: Any) -> None:
    keys = [generate_key() for _ in range(100)]
    assert {len(base64.urlsafe_b64decode(key)) for key in keys} == {32}
    assert len(set(keys)) == 100
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = keys
    load_key_ring()


def test_the_key_id_is_of_the_key_and_does_not_tell_it(settings: Any, key_ring: list[str]) -> None:
    key_id = load_key_ring().newest_id
    assert not any(key_id in form for form in forms_of(key_ring[0]))
    assert load_key_ring().newest_id == key_id
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key()]
    assert load_key_ring().newest_id != key_id


@pytest.mark.parametrize(
    "write",
    [
        str,
        lambda key: f" \t{key}\r\n",
        lambda key: key.rstrip("="),
        lambda key: key.replace("-", "+").replace("_", "/"),
    ],
    ids=["as generated", "outer white space", "no padding", "the standard alphabet"],
)
def test_a_key_may_be_written_in_several_ways(settings: Any, write: Any) -> None:
    # Signs of both alphabets are in it.
    key = base64.urlsafe_b64encode(bytes([0xFB, 0xEF, 0xFF] * 10 + [0xFF, 0xFB])).decode()
    assert {"-", "_"} <= set(key)
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [key]
    expected = load_key_ring().newest_id
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = (write(key),)
    assert load_key_ring().newest_id == expected


def broken(key: str) -> list[Any]:
    return [
        "",
        key[:-2],
        key + key,
        base64.urlsafe_b64encode(base64.urlsafe_b64decode(key) + b"x").decode(),
        key[:20] + " " + key[20:],
        key[:-2] + "é=",
        key[:-2] + "!=",
        base64.urlsafe_b64decode(key),
        base64.urlsafe_b64decode(key).hex(),
        None,
        7,
        [key],
    ]


@pytest.mark.parametrize("number", range(len(broken(generate_key()))))
def test_a_malformed_key_is_named_by_its_position_and_never_shown(
    settings: Any, number: int
) -> None:
    good, key = generate_key(), generate_key()
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [good, broken(key)[number], good, "word"]
    with pytest.raises(EncryptionKeyError) as caught:
        load_key_ring()
    error = caught.value
    assert error.problems.keys() == {2, 4}
    assert all(f"Key {at} of " in sentence for at, sentence in error.problems.items())
    report = error_report(error)
    assert not any(form in report for each in (good, key) for form in forms_of(each))


@pytest.mark.parametrize("nothing", [None, [], (), list, lambda: None])
def test_no_key_at_all_says_how_to_make_one(settings: Any, nothing: Any) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = nothing
    with pytest.raises(EncryptionKeyError) as caught:
        load_key_ring()
    assert caught.value.is_missing
    assert "twilio_generate_key" in caught.value.reason


@pytest.mark.parametrize("wrap", [str, lambda key: lambda: key, iter, lambda key: {1: key}, set])
def test_what_is_no_list_of_keys_is_refused(settings: Any, wrap: Any) -> None:
    key = generate_key()
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = wrap(key)
    with pytest.raises(EncryptionKeyError) as caught:
        load_key_ring()
    assert caught.value.problems.keys() == {0}
    assert "should be a list of keys, newest first" in caught.value.reason
    assert not any(form in error_report(caught.value) for form in forms_of(key))


def test_no_key_is_derived_from_secret_key(settings: Any, secret: str) -> None:
    settings.SECRET_KEY = generate_key()
    del settings.TWILIO_TOKENS_ENCRYPTION_KEYS
    with pytest.raises(EncryptionKeyError):
        sealed_by_newest(secret)


def test_a_callable_that_raises_is_malformed_and_its_error_is_dropped(settings: Any) -> None:
    key = generate_key()

    def from_a_vault() -> list[str]:
        text = key
        raise RuntimeError(f"could not parse {text}")

    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = from_a_vault
    with pytest.raises(EncryptionKeyError) as caught:
        load_key_ring()
    error = caught.value
    assert error.problems.keys() == {0}
    assert "TWILIO_TOKENS_ENCRYPTION_KEYS raised RuntimeError" in error.reason
    assert error.__cause__ is error.__context__ is None
    assert not any(form in error_report(error) for form in forms_of(key))


def test_keys_joined_to_what_looks_like_a_dotted_path_are_not_shown(settings: Any) -> None:
    keys = [generate_key(), generate_key()]
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = ".".join(keys)
    with pytest.raises(EncryptionKeyError) as caught:
        load_key_ring()
    assert not any(form in error_report(caught.value) for key in keys for form in forms_of(key))


def test_keys_rotate_without_downtime(settings: Any, secret: str) -> None:
    old, new = generate_key(), generate_key()
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [old]
    by_old = sealed_by_newest(secret)

    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [old, new]
    assert sealed_by_newest(secret).key_id == by_old.key_id == load_key_ring().newest_id

    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [new, old]
    assert unseal(by_old, row=ROW, sid=SID) == secret
    by_new = reseal(by_old, ring=load_key_ring(), row=ROW, sid=SID)
    assert by_new.key_id == load_key_ring().newest_id != by_old.key_id

    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [new]
    assert unseal(by_new, row=ROW, sid=SID) == secret
    assert f"encrypted with key {by_old.key_id}, which is not in" in refusal(by_old).reason
    assert by_new.key_id in load_key_ring()
    assert by_old.key_id not in load_key_ring()


# What callers ask besides


def test_matches_compares_with_the_stored_secret(secret: str) -> None:
    sealed = sealed_by_newest(secret)
    assert matches(sealed, secret, row=ROW, sid=SID)
    assert not matches(sealed, new_secret(), row=ROW, sid=SID)
    assert not matches(sealed, secret, row=uuid4(), sid=SID)
    assert matches(Sealed("damaged"), secret, row=ROW, sid=SID) is False


def test_a_ciphertext_of_another_row_is_told_from_one_that_is_damaged_or_lost(
    settings: Any, secret: str
) -> None:
    sealed = sealed_by_newest(secret)
    assert not is_of_another_row(sealed, row=ROW, sid=SID)
    assert is_of_another_row(sealed, row=uuid4(), sid=SID)
    assert not is_of_another_row(Sealed("damaged"), row=ROW, sid=SID)
    for keys in ([generate_key()], []):
        settings.TWILIO_TOKENS_ENCRYPTION_KEYS = keys
        assert not is_of_another_row(sealed, row=uuid4(), sid=SID)


def test_check_opens_raises_where_unseal_would(secret: str) -> None:
    sealed = sealed_by_newest(secret)
    assert check_opens(sealed, row=ROW, sid=SID) is None  # type: ignore[func-returns-value]
    with pytest.raises(SecretUnavailable):
        check_opens(sealed, row=uuid4(), sid=SID)


def test_no_refusal_shows_key_plaintext_or_ciphertext(
    settings: Any, key_ring: list[str], secret: str
) -> None:
    sealed = sealed_by_newest(secret)
    errors = [refusal(sealed, row=uuid4()), refusal(Sealed(sealed.text + "="))]
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = lambda: [key_ring[0], "word"]
    errors.append(refusal(sealed))
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = other = [generate_key()]
    errors.append(refusal(sealed))
    for report in map(error_report, errors):
        shown = [secret, sealed.text, *forms_of(key_ring[0]), *forms_of(other[0])]
        assert [each for each in shown if each in report] == []


def test_sealing_does_not_raise_over_a_sid_that_is_none(secret: str) -> None:
    # It would raise with the plaintext among its variables.
    sealed = seal(secret, ring=load_key_ring(), row=ROW, sid="SK\ud800")
    assert unseal(sealed, row=ROW, sid="SK\ud800") == secret
