from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import User

from twilio_tokens.decoding import DecodedToken, Problem, decode
from twilio_tokens.exceptions import InvalidToken
from twilio_tokens.grants import Chat, Video, Voice
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, APIKey, ChatService, PushCredential, TwiMLApp

from .reports import error_report
from .rows import add_key, new_secret, sid

HEADER = {"cty": "twilio-fpa;v=1"}
ABSENT = object()


def claims(**changes: Any) -> dict[str, Any]:
    """What Twilio likes, but for ``changes``."""
    now = int(time.time())
    good = {
        "iss": sid("SK"),
        "sub": sid("AC"),
        "iat": now,
        "exp": now + 3600,
        "jti": "some-id",
        "grants": {"identity": "anna", "video": {}},
    }
    return {name: value for name, value in (good | changes).items() if value is not ABSENT}


@pytest.fixture
def token(api_key: APIKey, secret: str) -> Callable[..., str]:
    """Makes a token with PyJWT, signed with the secret that the test typed in."""

    def token(header: dict[str, Any] = HEADER, **changes: Any) -> str:
        return jwt.encode(claims(**changes), secret, headers=header)

    return token


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(payload: str | bytes, secret: str) -> str:
    """A token with exactly this payload."""
    data = payload if isinstance(payload, bytes) else payload.encode()
    return jwt.PyJWS().encode(data, secret, headers=HEADER)


def codes(decoded: DecodedToken) -> list[int]:
    return [problem.code for problem in decoded.problems]


# Tokens without a problem


def test_a_good_token_has_no_problem(token: Callable[..., str], api_key: APIKey) -> None:
    decoded = decode(token())
    assert decoded.header == {"typ": "JWT", "alg": "HS256", "cty": "twilio-fpa;v=1"}
    assert decoded.claims["grants"] == {"identity": "anna", "video": {}}
    assert decoded.api_key == api_key
    assert decoded.signature_holds is True
    assert decoded.record is None
    assert decoded.problems == []


def test_an_issued_token_has_no_problem_and_is_found_in_the_audit(
    user: User,
    api_key: APIKey,
    chat_service: ChatService,
    twiml_app: TwiMLApp,
    push_credential: PushCredential,
) -> None:
    grants = [
        Video("Room"),
        Chat(push_credential="ios"),
        Voice(push_credential="ios", params={"a": "b"}),
    ]
    issued = issue_access_token(user=user, grants=grants)
    decoded = decode(issued.token)
    assert decoded.problems == []
    assert (decoded.api_key, decoded.signature_holds) == (api_key, True)
    assert decoded.record is not None
    assert (decoded.record.jti, decoded.record.user) == (issued.jti, user)
    assert (decoded.issued_at, decoded.expires_at) == (issued.issued_at, issued.expires_at)
    assert decoded.not_before is None


def test_a_token_of_twilios_own_library_has_no_problem(api_key: APIKey, secret: str) -> None:
    """It has nbf, and no iat."""
    now = int(time.time())
    decoded = decode(jwt.encode(claims(iat=ABSENT, nbf=now), secret, headers=HEADER))
    assert decoded.problems == []
    assert decoded.issued_at is None
    assert decoded.not_before == datetime.fromtimestamp(now, timezone.utc)


def test_a_token_is_read_from_wrapped_lines(token: Callable[..., str]) -> None:
    text = token()
    wrapped = "\r\n  ".join(text[start : start + 64] for start in range(0, len(text), 64))
    assert decode(f"\n\t{wrapped} \n").signature_holds is True


def test_grants_of_other_products_are_not_judged(token: Callable[..., str]) -> None:
    grants = {
        "identity": "anna",
        "data_sync": {"service_sid": sid("IS")},
        "ip_messaging": {"service_sid": "x"},
    }
    assert decode(token(grants=grants)).problems == []


@pytest.mark.parametrize(
    "wrapping",
    [
        "Bearer {}",
        "bearer\t{}\n",
        "Authorization: Bearer {}",
        "authorization: Token {}",
        "'{}'",
        "“{}”,",
        "`{}`;",
        "<{}>",
        "\ufeff{}\r\n",
        'token = "{}"',
        '{{"token": "{}"}}',
        '{{"token": "{}", "identity": "anna", "grants": {{"video": {{}}}}}}',
        "{{'identity': 'anna', 'token': '{}'}}",
        "https://example.com/call?token={}&room=a.b.c",
        "https://example.com/#access_token={}",
        "https://example.com/login?next=%2Fcall%3Ftoken%3D{}%26room%3Da",
        "Authorization=Bearer%20{}",
        "curl -H 'Authorization: Bearer {0}' -d token={0} https://api.example.com/",
        "my token is {} and it fails",
        "2026-11-25T09:00:00.123Z INFO issued {} to anna.b.c",
    ],
)
def test_a_token_is_found_in_what_it_was_copied_with(
    wrapping: str, token: Callable[..., str]
) -> None:
    assert decode(wrapping.format(token())).signature_holds is True


def test_wrapped_lines_may_follow_a_header(token: Callable[..., str]) -> None:
    text = token()
    assert decode(f"Authorization: Bearer {text[:-20]}\n  {text[-20:]}'").signature_holds is True


SCOPES = "scope:client:outgoing?appSid=AP scope:client:incoming?clientName=anna"
CAPABILITY = "This is a Capability Token, which only Voice SDKs before 2.0 accept."
TASKROUTER = "This is a TaskRouter Capability Token, which only version 1 of TaskRouter.js accepts."
PROVIDER = "This is a token from an identity provider (OpenID Connect or OAuth)"
OTHER = "This is a JWT, but not a Twilio Access Token"
POLICY = {"url": "https://taskrouter.twilio.com/v1/Workspaces", "method": "GET", "allow": True}
OTHER_TOKENS: dict[str, tuple[dict[str, Any], str]] = {
    "Capability Token": ({"iss": sid("AC"), "exp": 1, "scope": SCOPES}, CAPABILITY),
    "Capability Token without scopes": ({"iss": sid("AC"), "exp": 1, "scope": ""}, CAPABILITY),
    "worker's token": (
        {"iss": sid("AC"), "version": "v1", "policies": [POLICY], "channel": sid("WK")},
        TASKROUTER,
    ),
    "Simple JWT": (
        {"token_type": "access", "exp": 1, "jti": "x", "user_id": "1"},
        "This is a Simple JWT token, which signs users in to a site.",
    ),
    "ID token": ({"iss": "https://login.example.com", "aud": "x", "nonce": "y"}, PROVIDER),
    "OAuth token": ({"iss": "https://login.example.com", "scope": "openid profile"}, PROVIDER),
    "any other": ({"sub": "1234567890", "name": "John", "iat": 1}, OTHER),
    "strange claims": ({"scope": 5, "policies": "x", "token_type": {}}, OTHER),
}


@pytest.mark.parametrize("name", OTHER_TOKENS)
def test_another_token_has_one_problem_which_is_its_name(name: str, db: None) -> None:
    payload, message = OTHER_TOKENS[name]
    [problem] = decode(jwt.encode(payload, new_secret())).problems
    assert problem.code == 20101
    assert problem.message.startswith(message)


def test_a_token_that_another_algorithm_signed_is_named_too(db: None) -> None:
    header, payload = b'{"alg": "RS256", "kid": "1"}', b'{"iss": "https://login.example.com"}'
    decoded = decode(f"{base64url(header)}.{base64url(payload)}.{base64url(b'x' * 256)}")
    assert [problem.message.partition(",")[0] for problem in decoded.problems] == [PROVIDER]


@pytest.mark.parametrize("outgoing", [None, 5, "x", [], {}, {"application_sid": None}])
def test_a_voice_grant_may_be_for_incoming_calls_only(
    outgoing: Any, token: Callable[..., str]
) -> None:
    voice = {"incoming": {"allow": True}, "outgoing": outgoing}
    assert decode(token(grants={"identity": "anna", "voice": voice})).problems == []


@pytest.mark.parametrize("region", ["us1", ABSENT])
def test_region_us1_may_be_named(region: Any, token: Callable[..., str]) -> None:
    header = HEADER if region is ABSENT else {**HEADER, "twr": region}
    assert decode(token(header)).problems == []


def test_a_token_of_a_retired_key_stays_valid(token: Callable[..., str], api_key: APIKey) -> None:
    api_key.is_active = False
    api_key.save()
    decoded = decode(token())
    assert (decoded.api_key, decoded.problems) == (api_key, [])


# Problems

ISSUER_KEY = "Issuer (“iss”): Expected an API key SID: SK and 32 digits (0–9, a–f)."
ISSUER_SWAPPED = (
    "Issuer (“iss”): This is an Account SID (AC…). Expected an API key SID, which starts with SK."
)
SUBJECT_SWAPPED = (
    "Subject (“sub”): This is an API key SID (SK…). Expected an Account SID, which starts with AC."
)
SUBJECT_MISSING = "Subject (“sub”): Expected an Account SID: AC and 32 digits (0–9, a–f)."
UNKNOWN_KEY = (
    "The issuer (“iss”) is not an API key stored on this site, so the signature could not be "
    "checked. Twilio accepts the token only if it knows that key."
)
NOTHING_GRANTED = "The token grants nothing: it contains no grant for a product."
NO_EXPIRY = "The token does not say when it expires (“exp”)."
ROLE = "TaskRouter grant, “role”: Expected one of worker, supervisor."
NOT_YET = "The token is not valid yet. Is the clock of the server that issued it fast?"


def no_time(name: str) -> str:
    return f"“{name}” is not a time. Expected a number of seconds since 1970."


def with_header(**changes: Any) -> dict[str, Any]:
    return {"header": {**HEADER, **changes}}


def grants(**grants: Any) -> dict[str, Any]:
    return {"grants": {"identity": "anna", **grants}}


WORKER = {"task_router": {"workspace_sid": sid("WS"), "worker_sid": sid("WK"), "role": "worker"}}

NOW = int(time.time())
DAY = 86_400
PROBLEMS: dict[str, tuple[dict[str, Any], list[tuple[int, str]]]] = {
    "no content type": (
        {"header": {}},
        [(20102, "In the header, “cty” is not “twilio-fpa;v=1”.")],
    ),
    "a type of its own": (with_header(typ="jwt"), [(20102, "In the header, “typ” is not “JWT”.")]),
    "another region": (
        with_header(twr="ie1"),
        [(51007, "The header names a region other than US1 (“twr”).")],
    ),
    "no issuer": ({"iss": ABSENT}, [(20103, ISSUER_KEY)]),
    "issuer and subject swapped": (
        {"iss": sid("AC"), "sub": sid("SK")},
        [(20103, ISSUER_SWAPPED), (20103, SUBJECT_SWAPPED)],
    ),
    "no subject": ({"sub": ABSENT}, [(20103, SUBJECT_MISSING)]),
    "unknown key": ({"iss": sid("SK", "9")}, [(20103, UNKNOWN_KEY)]),
    "wrong account": (
        {"sub": sid("AC", "b")},
        [
            (
                20103,
                f"The token is for a different account, but its API key belongs to {sid('AC')}.",
            )
        ],
    ),
    "expired": ({"iat": NOW - 20, "exp": NOW - 10}, [(20104, "The token has expired.")]),
    "no expiry": ({"exp": ABSENT}, [(20104, NO_EXPIRY)]),
    "a day and a second": (
        {"iat": NOW, "exp": NOW + DAY + 1},
        [(20157, "The token is valid for more than 24 hours.")],
    ),
    "a day and a second since nbf": (
        {"iat": ABSENT, "nbf": NOW, "exp": NOW + DAY + 1},
        [(20157, "The token is valid for more than 24 hours.")],
    ),
    "ten days from now": (
        {"iat": ABSENT, "exp": NOW + 10 * DAY},
        [(20157, "The token is valid for more than 24 hours.")],
    ),
    "milliseconds": (
        {"exp": (NOW + 60) * 1000},
        [(20157, "The token is valid for more than 24 hours.")],
    ),
    "expired, and lived too long": (
        {"iat": NOW - 3 * DAY, "exp": NOW - 10},
        [(20104, "The token has expired."), (20157, "The token is valid for more than 24 hours.")],
    ),
    "issued in the future": (
        {"iat": NOW + 10 * DAY, "exp": NOW + 11 * DAY},
        [(20105, NOT_YET)],
    ),
    "valid in the future": ({"nbf": NOW + 10 * DAY}, [(20105, NOT_YET)]),
    "no grants": ({"grants": ABSENT}, [(20106, NOTHING_GRANTED)]),
    "grants that are none": ({"grants": ["video"]}, [(20106, NOTHING_GRANTED)]),
    "an identity only": (grants(), [(20106, NOTHING_GRANTED)]),
    "a grant that is none": (grants(video=True), [(20106, "The grant 'video' is not an object.")]),
    "a grant of an unprintable name": (
        grants(**{"\ud800": None}),
        [(20106, "The grant '\\ud800' is not an object.")],
    ),
    "Chat without service": (
        grants(chat={}),
        [
            (
                20106,
                "Chat grant, “service_sid”: Expected a Chat service SID: IS and 32 "
                "digits (0–9, a–f).",
            )
        ],
    ),
    "Sync without service": (
        grants(data_sync={"service_sid": None}),
        [
            (
                20106,
                "Sync grant, “service_sid”: Expected a Sync service SID: IS and "
                "32 digits (0–9, a–f).",
            )
        ],
    ),
    "a service for an app": (
        grants(voice={"outgoing": {"application_sid": sid("IS")}}),
        [
            (
                20106,
                "Voice grant, “outgoing.application_sid”: This is a Chat or Sync service SID "
                "(IS…). Expected a TwiML App SID, which starts with AP.",
            )
        ],
    ),
    "half a push credential": (
        grants(voice={"push_credential_sid": sid("CR")[:20]}),
        [
            (
                20106,
                "Voice grant, “push_credential_sid”: This has 20 characters, but a push "
                "credential SID has 34: CR and 32 digits. Copy the whole SID from the Twilio "
                "Console again.",
            )
        ],
    ),
    "TaskRouter with nothing in it": (
        grants(task_router={}),
        [
            (
                20106,
                "TaskRouter grant, “workspace_sid”: Expected a TaskRouter workspace "
                "SID: WS and 32 digits (0–9, a–f).",
            ),
            (
                20106,
                "TaskRouter grant, “worker_sid”: Expected a TaskRouter worker SID: "
                "WK and 32 digits (0–9, a–f).",
            ),
            (20106, ROLE),
        ],
    ),
    "TaskRouter's SIDs mixed up": (
        grants(
            task_router={"workspace_sid": sid("WK"), "worker_sid": sid("WK"), "role": "supervisor"}
        ),
        [
            (
                20106,
                "TaskRouter grant, “workspace_sid”: This is a TaskRouter worker SID (WK…). "
                "Expected a TaskRouter workspace SID, which starts with WS.",
            )
        ],
    ),
    "a role that TaskRouter does not have": (
        grants(task_router={"workspace_sid": sid("WS"), "worker_sid": sid("WK"), "role": ["x"]}),
        [(20106, ROLE)],
    ),
    "an identity of which TaskRouter knows no rule": (
        {"grants": {"identity": "x" * 300, **WORKER}},
        [],
    ),
    "no identity, which TaskRouter does not need": ({"grants": WORKER}, []),
    "no identity": (
        {"grants": {"video": {}, "voice": {}}},
        [
            (53200, "The token has no identity, which Video requires."),
            (51007, "The token has no identity, which Voice requires."),
        ],
    ),
    "an identity that is no text": (
        {"grants": {"identity": 5, "data_sync": {"service_sid": sid("IS")}}},
        [(51007, "The token has no identity, which Sync requires.")],
    ),
    "an identity that is illegal for Voice": (
        grants(voice={}) | {"grants": {"identity": "anna@home", "voice": {}, "video": {}}},
        [
            (
                31105,
                "This user's identity is not allowed for Voice: it may contain only the "
                "letters A–Z and a–z, digits and _, but it contains “@” (U+0040). The setting "
                "TWILIO_TOKENS_IDENTITY can choose another form of identity.",
            )
        ],
    ),
}
for _product, _longest, _code, _grant in (
    ("Video", 128, 53200, {"video": {}}),
    ("Chat", 256, 51003, {"chat": {"service_sid": sid("IS")}}),
    ("Sync", 256, 54351, {"data_sync": {"service_sid": sid("IS")}}),
):
    _rule = ", counting each non-ASCII character as two" if _product == "Video" else ""
    PROBLEMS[f"an identity too long for {_product}"] = (
        {"grants": {"identity": "a" * _longest + "b", **_grant}},
        [
            (
                _code,
                f"This user's identity is too long for {_product}: it has {_longest + 1} "
                f"characters{_rule}, but the limit is {_longest}. The first character beyond the "
                "limit is “b” (U+0062).",
            )
        ],
    )


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_has_twilios_number_and_says_why(name: str, token: Callable[..., str]) -> None:
    changes, problems = PROBLEMS[name]
    expected = [Problem(code, message) for code, message in problems]
    assert decode(token(**changes)).problems == expected


@pytest.mark.parametrize(
    "value", ["1700000000", True, None, [], {}, 10**15, -(10**15), 10**400, "", "soon"]
)
@pytest.mark.parametrize(("name", "code"), [("iat", 20101), ("nbf", 20101), ("exp", 20104)])
def test_a_time_that_is_no_number_is_a_problem(
    name: str, code: int, value: Any, api_key: APIKey, secret: str
) -> None:
    decoded = decode(signed(json.dumps(claims(**{name: value})), secret))
    assert decoded.problems == [Problem(code, no_time(name))]
    moments = {"iat": decoded.issued_at, "nbf": decoded.not_before, "exp": decoded.expires_at}
    assert moments[name] is None


@pytest.mark.parametrize("value", ["1e999", "-1e999"])
def test_a_number_beyond_all_numbers_is_a_problem(value: str, api_key: APIKey, secret: str) -> None:
    payload = json.dumps(claims(exp="EXP")).replace('"EXP"', value)
    decoded = decode(signed(payload, secret))
    assert decoded.problems == [Problem(20104, no_time("exp"))]


def test_a_time_may_be_a_fraction(token: Callable[..., str]) -> None:
    now = int(time.time())
    decoded = decode(token(iat=now - 0.5, exp=now + 59.5))
    assert decoded.problems == []
    assert decoded.expires_at == datetime.fromtimestamp(now + 59.5, timezone.utc)


def test_a_token_is_valid_from_its_very_moment_on_until_that_of_its_end(
    token: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = int(time.time())
    monkeypatch.setattr(time, "time", lambda: float(now))
    assert codes(decode(token(iat=now, nbf=now, exp=now + 1))) == []
    assert codes(decode(token(iat=now - 1, exp=now))) == [20104]


@pytest.mark.parametrize("expiry", [10**12, 10**15 - 1, -(10**14)])
def test_a_time_outside_the_calendar_is_not_shown(expiry: int, token: Callable[..., str]) -> None:
    decoded = decode(token(exp=expiry))
    assert decoded.expires_at is None
    assert codes(decoded) == [20157 if expiry > 0 else 20104]


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_a_problem(algorithm: str, api_key: APIKey, secret: str) -> None:
    decoded = decode(jwt.encode(claims(), secret * 2, algorithm, HEADER))
    assert (codes(decoded), decoded.signature_holds) == ([20102, 20107], False)


def test_no_algorithm_is_a_problem(api_key: APIKey) -> None:
    decoded = decode(jwt.encode(claims(), None, "none", HEADER))
    assert (codes(decoded), decoded.signature_holds) == ([20102, 20107], False)


BROKEN = Problem(
    20107,
    (
        "The signature is not valid: the token was signed with another secret, or changed "
        "afterwards."
    ),
)


def test_another_secret_is_a_problem(api_key: APIKey) -> None:
    decoded = decode(jwt.encode(claims(), new_secret(), headers=HEADER))
    assert (decoded.problems, decoded.signature_holds) == ([BROKEN], False)


def test_a_changed_claim_is_a_problem(token: Callable[..., str]) -> None:
    header, _payload, signature = token().split(".")
    payload = base64url(json.dumps(claims(jti="other")).encode())
    decoded = decode(f"{header}.{payload}.{signature}")
    assert (decoded.problems, decoded.signature_holds) == ([BROKEN], False)


def test_the_secret_of_another_stored_key_does_not_do(api_key: APIKey) -> None:
    secret = new_secret()
    add_key(api_key.account, secret=secret)
    assert decode(jwt.encode(claims(), secret, headers=HEADER)).problems == [BROKEN]


def test_a_key_that_twilio_refuses_is_a_problem(token: Callable[..., str], api_key: APIKey) -> None:
    api_key.record_check("refused", "The key was deleted.", 20003)
    message = "Twilio refused the token's API key in the last check: The key was deleted."
    assert decode(token()).problems == [Problem(20103, message)]


def test_without_the_secret_nothing_is_said_of_the_signature(
    token: Callable[..., str], api_key: APIKey, settings: Any
) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = []
    decoded = decode(token())
    assert (decoded.api_key, decoded.signature_holds) == (api_key, None)
    assert decoded.problems == []


def test_without_the_key_nothing_is_said_of_the_signature(db: None) -> None:
    decoded = decode(jwt.encode(claims(), new_secret(), headers=HEADER))
    assert (decoded.api_key, decoded.signature_holds, codes(decoded)) == (None, None, [20103])


@pytest.mark.parametrize("jti", ["a\x00b", "\ud800", "", "ä", 5, None, [], {}, True])
def test_what_cannot_be_a_jti_is_not_looked_up(jti: Any, api_key: APIKey, secret: str) -> None:
    decoded = decode(signed(json.dumps(claims(jti=jti)), secret))
    assert (decoded.record, decoded.problems) == (None, [])


@pytest.mark.parametrize("issuer", ["SK\x00", "\ud800" * 34, "", 5, [], {}, "SK" + "g" * 32])
def test_what_cannot_be_a_key_is_not_looked_up(issuer: Any, api_key: APIKey, secret: str) -> None:
    decoded = decode(signed(json.dumps(claims(iss=issuer)), secret))
    assert (decoded.api_key, codes(decoded)) == (None, [20103])


def test_many_problems_are_all_told(api_key: APIKey) -> None:
    assert codes(decode(f"{base64url(b'{}')}.{base64url(b'{}')}.")) == [
        *(20102, 20102, 20102),
        *(20103, 20103),
        20104,
        20106,
    ]


# What is no token

CUT_OFF = (
    "This is not an Access Token: its parts are not base64-encoded JSON objects. Was it cut "
    "off or changed?"
)
EMPTY_OBJECT = base64url(b"{}")


def character(char: str) -> str:
    return f"This is not an Access Token: tokens never contain {char}. Paste only the token."


def parts(count: int) -> str:
    part = "part" if count == 1 else "parts"
    return (
        "This is not an Access Token: a token has three parts, separated by periods, but this text "
        f"has {count} {part}. Was it cut off?"
    )


ENCRYPTED = (
    "This is an encrypted token (JWE), such as those that Flex gives to its users. An Access "
    "Token is signed, not encrypted."
)
JWE = base64url(b'{"alg": "dir", "enc": "A256GCM", "cty": "twilio-fpa;v=1"}') + "..iv.text.tag"
TWO = " ".join(jwt.encode({"jti": jti}, new_secret(), headers=HEADER) for jti in "ab")

UNUSABLE = {
    "": "There is no token.",
    " \n\t": "There is no token.",
    "x": parts(1),
    "eyJhbGciOiJIUzI1NiJ9": parts(1),
    "a.b": parts(2),
    "a.b.c.d.e": parts(5),
    "..": CUT_OFF,
    "a.b.c": CUT_OFF,
    "ab.cd.ef": CUT_OFF,
    f"{EMPTY_OBJECT}.{EMPTY_OBJECT}.abcde": CUT_OFF,
    f"{EMPTY_OBJECT}.{EMPTY_OBJECT[:-1]}.": CUT_OFF,
    "Bearer a.b.c": CUT_OFF,
    '"a.b.c"': CUT_OFF,
    "ey.are.cut off": CUT_OFF,
    JWE: ENCRYPTED,
    f'{{"access_token": "{JWE}"}}': ENCRYPTED,
    TWO: "This text contains 2 tokens. Paste only one.",
    '{"token": "a.b.c"}': character("'{'"),
    "token=a.b.c": character("'='"),
    "a.b.c\x00": character("'\\x00'"),
    "a.b.\ud800": character("'\\ud800'"),
    "ä.b.c": character("'\\xe4'"),
    "a.b.😀": character("'\\U0001f600'"),
    "x" * 16_384: parts(1),
    "x" * 16_385: "This is much longer than any Access Token.",
    "x" + " " * 32_767: parts(1),
    "x" + " " * 32_768: "This is much longer than any Access Token.",
    "a.b.c" * 1_000_000: "This is much longer than any Access Token.",
}


@pytest.mark.parametrize("text", UNUSABLE, ids=lambda text: ascii(text[:20]))
def test_what_is_no_token_is_told_so(text: str, db: None) -> None:
    with pytest.raises(InvalidToken) as caught:
        decode(text)
    assert caught.value.message == UNUSABLE[text]


PAYLOADS = {
    "an array": "[]",
    "a text": '"x"',
    "null": "null",
    "NaN": '{"exp": NaN}',
    "infinity": '{"exp": -Infinity}',
    "a number too long to read": '{"exp": ' + "9" * 5000 + "}",
    "half an object": '{"exp": 1',
    "Latin-1": '{"jti": "ä"}'.encode("latin-1"),
    "UTF-16": '{"exp": 1}'.encode("utf-16"),
    "binary": bytes(range(256)),
    "nested deeper than a token is": '{"a":' * 21 + "1" + "}" * 21,
    "nested deep": '{"a":' * 1800 + "1" + "}" * 1800,
    "nested in arrays": '{"a":' + "[" * 5000 + "]" * 5000 + "}",
}


@pytest.mark.parametrize("name", PAYLOADS)
@pytest.mark.parametrize("part", ["header", "claims"])
def test_a_part_that_is_no_json_object_is_told_so(part: str, name: str, db: None) -> None:
    payload = PAYLOADS[name]
    data = base64url(payload if isinstance(payload, bytes) else payload.encode())
    token = f"{data}.{EMPTY_OBJECT}." if part == "header" else f"{EMPTY_OBJECT}.{data}."
    with pytest.raises(InvalidToken) as caught:
        decode(token)
    assert caught.value.message == CUT_OFF


def test_twenty_objects_within_each_other_are_read(db: None) -> None:
    claims = base64url(('{"a":' * 20 + "1" + "}" * 20).encode())
    assert codes(decode(f"{EMPTY_OBJECT}.{claims}.")) == [20101]


def test_a_secret_pasted_in_place_of_a_token_is_not_repeated(db: None) -> None:
    for text in (secret := new_secret(), f"{secret}=", f'"{secret}"'):
        with pytest.raises(InvalidToken) as caught:
            decode(text)
        assert secret not in caught.value.message


def test_no_frame_shows_the_secret_of_the_key(
    token: Callable[..., str], secret: str, account: Account, monkeypatch: Any
) -> None:
    """Its own frames are gone before anything that can fail is done."""
    text = token(exp=NOW - 10)

    def fail(*args: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("twilio_tokens.decoding._problems", fail)
    with pytest.raises(RuntimeError) as caught:
        decode(text)
    assert secret not in error_report(caught.value)


def test_expiry_is_told_to_the_second(token: Callable[..., str]) -> None:
    expiry = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(minutes=5)
    assert decode(token(exp=int(expiry.timestamp()))).expires_at == expiry
