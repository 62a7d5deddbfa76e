"""Whatever is given: a token or a refusal, never anything else. All of Unicode, and any JSON.

The examples are the same at each run; ``--hypothesis-seed=1`` tries others.
"""

from __future__ import annotations

import io
import json
import re
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from rest_framework.exceptions import ValidationError as RefusedError
from rest_framework.test import APIClient

from tests.console import staff
from tests.issued import decoded, signed
from tests.rows import new_secret, sid
from twilio_tokens import sids
from twilio_tokens.characters import misleading, visible
from twilio_tokens.crypto import Sealed, load_key_ring, seal, unseal
from twilio_tokens.decoding import decode
from twilio_tokens.exceptions import (
    IdentityNotAllowed,
    InvalidGrant,
    InvalidToken,
    SecretUnavailable,
)
from twilio_tokens.fields import NameField
from twilio_tokens.grants import WorkerGrant, fields_of, registered
from twilio_tokens.identity import decode_identity, encoded_username, identity_for
from twilio_tokens.management.variables import PURPOSES, read_env_file, twilio_variables
from twilio_tokens.models import Account, APIKey
from twilio_tokens.serializers import reader

#: Characters that are likely to be taken wrongly, among all that there are.
ODD = (
    "\x00\x1b\x7f\x85\xa0\xad\u200b\u200d\u200f\u202e\u2028\u2066\u3000\ufeff\uffff\ud800\U000e0041"
)
CHARACTERS = st.characters(exclude_categories=()) | st.sampled_from(ODD + "_.@+-=%{}<>'\"\\ aA0é😀")
TEXT = st.text(CHARACTERS, max_size=40)
LONG_TEXT = st.builds(str.__mul__, TEXT, st.sampled_from([1, 1, 1, 5, 100]))
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(2**63), 1e308, True])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | LONG_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
PRODUCTS = ("video", "chat", "voice", "sync", "taskrouter")

REFUSALS = (
    CommandError,
    IdentityNotAllowed,
    InvalidGrant,
    InvalidToken,
    RefusedError,
    ValidationError,
)


def one_of(*values: Any) -> st.SearchStrategy[Any]:
    """What is right, mostly, and anything else."""
    return st.sampled_from(values) | VALUES


def tried(function: Any, *arguments: Any, **options: Any) -> Any:
    """What it answers, or else the refusal that it raises: nothing else may be raised."""
    try:
        return function(*arguments, **options)
    except REFUSALS as refusal:
        return refusal


def is_plain(text: object) -> bool:
    """Nothing in it misleads who reads it."""
    return visible(str(text), has_lines=True) == str(text)


# The identity


@settings(max_examples=1_000)
@given(TEXT)
@example("_40")
@example("@\ud800")
def test_an_encoded_username_is_legal_everywhere_and_gives_the_username_back(name: str) -> None:
    identity = encoded_username(User(username=name))
    assert re.fullmatch(r"[A-Za-z0-9_]*", identity)
    assert decode_identity(identity) == name  # so no two names have one identity


@settings(max_examples=500)
@given(LONG_TEXT)
@example("_4")
@example("_4_40")
@example("_41")
@example("_4A")
@example("_ff")
def test_only_what_was_encoded_is_decoded(identity: str) -> None:
    try:
        name = decode_identity(identity)
    except ValueError:
        return
    assert encoded_username(User(username=name)) == identity


@pytest.mark.parametrize(
    "function", ["twilio_tokens.identity.username", "twilio_tokens.identity.encoded_username"]
)
@given(name=LONG_TEXT, product=st.sampled_from(PRODUCTS))
@settings(max_examples=500)
def test_an_identity_is_legal_or_refused(
    function: str, settings: Any, name: str, product: str
) -> None:
    settings.TWILIO_TOKENS_IDENTITY = function
    grant = registered()[product]
    identity = tried(identity_for, User(username=name), [grant])
    if isinstance(identity, REFUSALS):
        assert is_plain(identity)
        # What is encoded is refused only where there is nothing, or too much.
        assert "encoded" not in function or not name or len(name) > 10
    else:
        assert identity.strip()
        assert misleading(identity) is None
        assert len(identity) <= grant.identity_rule.max_length


# SIDs, secrets, names


@settings(max_examples=1_000)
@given(
    st.sampled_from(sids.KINDS),
    LONG_TEXT | st.builds("{}{}".format, st.sampled_from(["AC", "SK", "IS", "ac"]), TEXT),
)
@example(sids.ACCOUNT, "AC" + "0" * 32 + "\n")
@example(sids.ACCOUNT, "AC" + "\uff10" * 32)
def test_a_sid_is_its_prefix_and_32_hex_digits_and_nothing_else(
    kind: sids.SIDKind, text: str
) -> None:
    is_sid = re.fullmatch(rf"{kind.prefix}[0-9A-Fa-f]{{32}}", text) is not None
    problem = kind.problem(text)
    assert (problem is None) is is_sid
    assert is_plain(problem)
    assert isinstance(sids.is_shown(text), bool)


PRINTABLE = st.characters(min_codepoint=33, max_codepoint=126)


@settings(max_examples=1_000)
@given(LONG_TEXT | st.text(PRINTABLE, max_size=40) | st.text(PRINTABLE, min_size=120, max_size=140))
def test_a_secret_is_16_to_128_printable_characters_or_refused_unsaid(text: str) -> None:
    problem = sids.secret_problem(text)
    if problem is None:
        assert re.fullmatch(r"[!-~]{16,128}", text)
    else:
        assert len(text) < 16 or text not in str(problem)


@settings(max_examples=1_000)
@given(TEXT)
def test_no_name_of_the_console_misleads(name: str) -> None:
    cleaned = tried(NameField(max_length=100).clean, name, None)
    if isinstance(cleaned, REFUSALS):
        assert is_plain("\n".join(cleaned.messages))
    else:
        assert misleading(name) is None
        assert not sids.holds_secret(name)


# The sealed format

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16, max_size=128)


@settings(max_examples=300)
@given(
    SECRETS, st.uuids(), st.integers(min_value=0), st.sampled_from("!-_A0ü\n\x00"), st.booleans()
)
def test_a_sealed_secret_opens_as_it_was_and_in_no_other_form(
    secret: str, row: UUID, at: int, char: str, is_added: bool
) -> None:
    sealed = seal(secret, ring=load_key_ring(), row=row, sid=sid("SK"))
    assert sealed.is_well_formed
    assert unseal(sealed, row=row, sid=sid("SK")) == secret
    at %= len(sealed.text) + is_added
    changed = sealed.text[:at] + char + sealed.text[at + (not is_added) :]
    assume(changed != sealed.text)
    for text, where in ((changed, row), (sealed.text, uuid4())):
        with pytest.raises(SecretUnavailable):
            unseal(Sealed(text), row=where, sid=sid("SK"))
        assert secret not in repr(Sealed(text)) + str(Sealed(text))


@settings(max_examples=500)
@given(
    LONG_TEXT | st.builds("tt1:{}:{}".format, st.from_regex(r"[0-9a-f]{12}", fullmatch=True), TEXT)
)
def test_any_text_in_the_place_of_a_sealed_one_is_damaged_and_no_error(text: str) -> None:
    with pytest.raises(SecretUnavailable):
        unseal(Sealed(text), row=uuid4(), sid=sid("SK"))
    assert text in ("", "hidden", "<", ">", ":", " ", "•") or text not in repr(Sealed(text))


# Files of variables

NAMES = st.sampled_from(
    [f"{prefix}{name}" for each in PURPOSES for name in each.names for prefix in ("", "TWILIO_")]
)
LINES = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "export ", " ", "#"]),
    NAMES | TEXT,
    st.sampled_from(["=", " = ", ": ", "='", '="', '="""']),
    TEXT | st.sampled_from([sid("AC"), sid("SK"), sid("IS"), "x" * 32 + "'", '${HOME}"']),
)


@settings(max_examples=300)
@given(st.lists(LINES, max_size=12).map("\n".join), st.sampled_from(["utf-8", "utf-16", "latin-1"]))
def test_any_file_of_variables_is_read_or_refused(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / ".env"
    path.write_bytes(text.encode(encoding, "replace" if encoding == "latin-1" else "surrogatepass"))
    variables = tried(read_env_file, path)
    if isinstance(variables, REFUSALS):
        assert str(path) in str(variables)
    else:
        told = twilio_variables(variables)
        assert told.problems or {*PURPOSES[:3]} <= told.found.keys()


@settings(max_examples=300)
@given(st.dictionaries(NAMES, st.integers(min_value=0, max_value=3), max_size=8))
def test_no_problem_with_a_variable_tells_its_value(chosen: dict[str, int]) -> None:
    secrets = [new_secret(), f"{new_secret()};", f'"{new_secret()}"', f"AC{new_secret()}"]
    told = twilio_variables({name: secrets[number] for name, number in chosen.items()})
    text = "\n".join([*told.problems, *told.left_alone, repr(told)])
    assert not any(each.strip('";').removeprefix("AC") in text for each in secrets)


IMPORTED = st.fixed_dictionaries(
    {},
    optional={
        "TWILIO_ACCOUNT_SID": st.just(sid("AC")) | TEXT,
        "TWILIO_API_KEY": st.just(sid("SK")) | TEXT,
        "TWILIO_API_SECRET": st.just("y" * 31 + "Zx") | TEXT,
        "TWILIO_CHAT_SERVICE_SID": st.just(sid("IS")) | TEXT,
        "APP_SID": st.just(sid("AP")) | TEXT,
    },
)


@settings(max_examples=40)
@given(values=IMPORTED)
@example(values={"TWILIO_ACCOUNT_SID": sid("AC")})
def test_an_import_stores_all_or_nothing(db: None, tmp_path: Path, values: dict[str, str]) -> None:
    path = tmp_path / ".env"
    lines = (f"{name}='{value}'" for name, value in values.items())
    path.write_text("\n".join(lines), errors="replace", encoding="utf-8")
    output = io.StringIO()
    options = {"env_file": str(path), "stdout": output, "stderr": output}
    done = tried(call_command, "twilio_import_env", **options)
    assert Account.objects.exists() is not isinstance(done, REFUSALS)
    Account.objects.all().delete()
    assert is_plain(output.getvalue())


# The decoder


def unsigned(*parts: Any) -> str:
    return ".".join(
        urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
    )


CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "iss": one_of(sid("SK")),
        "sub": one_of(sid("AC")),
        "jti": one_of("jti-0"),
        **{name: one_of(0, 1_700_000_000, 10**12, -1, 1e15) for name in ("iat", "exp", "nbf")},
        "scope": one_of("scope:client:outgoing"),
        "grants": st.dictionaries(
            st.sampled_from(["identity", "video", "chat", "voice", "data_sync", "task_router"])
            | TEXT,
            one_of({}, {"service_sid": "\u202e"}, {"outgoing": {"application_sid": "\x1b[31m"}}),
            max_size=4,
        )
        | VALUES,
    },
)
TOKENS = (
    st.builds(signed, CLAIMS)
    | st.builds(unsigned, VALUES, VALUES, VALUES)
    | LONG_TEXT
    | st.builds("{}{}{}".format, TEXT, st.builds(signed, CLAIMS), TEXT)
)


@settings(max_examples=300)
@given(TOKENS)
def test_any_text_is_decoded_or_no_token(db: None, api_key: APIKey, text: str) -> None:
    token = tried(decode, text)
    if isinstance(token, REFUSALS):
        assert is_plain(token)
        return
    assert token.signature_holds is not True
    for moment in (token.issued_at, token.expires_at, token.not_before):
        assert moment is None or moment.utcoffset() is not None


@settings(max_examples=60)
@given(TOKENS)
def test_page_and_command_show_any_token_in_plain_characters(
    reader_of_tokens: Client, api_key: APIKey, text: str
) -> None:
    sent = text.encode("utf-8", "replace").decode()  # no form holds lone surrogates
    response = reader_of_tokens.post(
        reverse("admin:twilio_tokens_issuedtoken_decode"), {"token": sent}
    )
    assert response.status_code == 200
    assert is_plain(response.content.decode())
    output = io.StringIO()
    tried(call_command, "twilio_decode", text or "x", stdout=output)
    assert is_plain(output.getvalue())


@pytest.fixture
def reader_of_tokens(db: None) -> Client:
    return staff("view_issuedtoken")


# Requests


VALUES_OF = {
    "room": one_of("Daily", "Zoë 👩‍👧", "a\u202eb", "\u200b", " a "),
    "service": one_of("support", "row-0"),
    "app": one_of("phone"),
    "workspace": one_of("row-0"),
    "push_credential": one_of("ios"),
    "platform": one_of("ios", "fcm"),
    "sandbox": one_of(True, "true"),
    "incoming": one_of(True, False, "no"),
    "params": one_of({"a": "b"}, {"\u202e": "\x00"}, {"a": "x" * 2_000}),
}
TTL = {"ttl": one_of(60, "60", 86_401)}


def asked_of(product: str, more: dict[str, Any]) -> st.SearchStrategy[Any]:
    known = {each.name: VALUES_OF[each.name] for each in fields_of(registered()[product])}
    return st.fixed_dictionaries({}, optional={**known, **more})


def bodies(product: str | None) -> st.SearchStrategy[Any]:
    if product is None:
        each = {name: asked_of(name, {}) | VALUES for name in PRODUCTS}
        asked = st.fixed_dictionaries({}, optional={**each, **TTL})
    else:
        asked = asked_of(product, TTL)
    with_unknown = st.builds(dict.__or__, asked, st.dictionaries(TEXT, VALUES, max_size=2))
    return asked | asked | with_unknown | VALUES


REQUESTS = st.sampled_from([None, *PRODUCTS]).flatmap(
    lambda product: st.tuples(st.just(product), bodies(product))
)


@settings(max_examples=500)
@given(REQUESTS)
@example(("video", {"room": "A\u202e"}))
def test_any_body_is_read_or_refused(request_: tuple[str | None, Any]) -> None:
    product, body = request_
    asked_for = tried(reader(product).read, body)
    if isinstance(asked_for, REFUSALS):
        return
    grants, ttl = asked_for
    assert ttl is None or type(ttl) is int
    for grant in grants:
        refusal = tried(grant.clean)
        assert is_plain(refusal)
        assert refusal or misleading(getattr(grant, "room", None) or "") is None


@pytest.fixture
def everything(settings: Any, every_row: None) -> None:
    """The user may ask for all products, as often as there are examples."""
    settings.TWILIO_TOKENS_THROTTLE_RATE = None
    settings.TWILIO_TOKENS_WORKER = lambda user, workspace: WorkerGrant(sid("WK"), role="worker")


def answer_of(response: Any) -> dict[str, Any]:
    """Every answer is one of the documented ones, and is JSON."""
    assert response.status_code in {201, 400, 403, 415}, response.content
    assert response["Cache-Control"] == "no-store"
    answer: dict[str, Any] = json.loads(response.content.decode())
    assert response.status_code == 201 or isinstance(answer["code"], str)
    return answer


@settings(max_examples=150)
@given(request_=REQUESTS)
@example(request_=(None, {"\ud800": 1}))
@pytest.mark.usefixtures("everything")
def test_any_json_is_answered_as_documented(
    api: APIClient, secret: str, request_: tuple[str | None, Any]
) -> None:
    product, body = request_
    url = "/twilio/tokens/" if product is None else f"/twilio/tokens/{product}/"
    response = api.post(url, json.dumps(body), content_type="application/json")
    answer = answer_of(response)
    if response.status_code == 201:
        granted = decoded(answer["token"], secret)["grants"]
        assert granted["identity"] == "anna"
        video = (body.get("video", {}) if product is None else body) if body else {}
        assert granted.get("video", {}).get("room") == (video or {}).get("room")


CONTENT_TYPES = st.sampled_from(
    [
        "application/json",
        "application/json; charset=utf-16",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "text/plain",
        "",
    ]
) | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
FORM = b"--x\r\nContent-Disposition: form-data; name=room\r\n\r\nA\r\n--x--\r\n"
BYTES = st.binary(max_size=200) | st.sampled_from(
    [b"room=%00", b"room=%ff", b"room=%ED%A0%80", b"a=1&" * 2_000, b"[" * 5_000, FORM, FORM[:-9]]
)


@settings(max_examples=200)
@given(
    CONTENT_TYPES, BYTES, st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
)
@pytest.mark.usefixtures("everything")
def test_any_bytes_are_answered_as_documented(
    api: APIClient, content_type: str, body: bytes, query: str
) -> None:
    url = f"/twilio/tokens/video/?{query}"
    answer_of(api.generic("POST", url, body, content_type=content_type))
