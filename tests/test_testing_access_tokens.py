"""The verifier of tokens for the tests of sites."""

from __future__ import annotations

import json
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import User

from tests.prose import REPOSITORY
from twilio_tokens.grants import Chat, Sync, TaskRouter, Video, Voice, WorkerGrant
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.testing import (
    assert_access_token,
    make_api_key,
    make_chat_service,
    make_push_credential,
    make_sync_service,
    make_twiml_app,
    make_workspace,
    new_secret,
    new_sid,
)

HEADER = {"typ": "JWT", "alg": "HS256", "cty": "twilio-fpa;v=1"}
SECRET = new_secret()
KEY, ACCOUNT = new_sid("SK"), new_sid("AC")


def now() -> int:
    return int(time.time())


def lasting(seconds: float) -> dict[str, float]:
    """From ten seconds ago."""
    start = now() - 10
    return {"iat": start, "exp": start + seconds}


def claims(**changed: Any) -> dict[str, Any]:
    grants = {"identity": "anna", "video": {"room": "DailyStandup"}}
    sound = {"iss": KEY, "sub": ACCOUNT, **lasting(3600), "jti": "1"}
    together = sound | {"grants": grants} | changed
    return {name: each for name, each in together.items() if each is not ...}


def token(secret: str = SECRET, header: dict[str, Any] | None = None, **changed: Any) -> str:
    payload = json.dumps(claims(**changed)).encode()
    headers = HEADER | (header or {})
    return jwt.PyJWS().encode(payload, secret, algorithm=headers["alg"], headers=headers)


def granting(**grants: Any) -> str:
    return token(grants={"identity": "anna", **grants})


def identified(identity: object, **grants: Any) -> str:
    return token(grants={"identity": identity, **grants})


def refused(of: str, secret: str = SECRET, **expected: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_access_token(of, secret, **expected)
    message = str(caught.value)
    assert secret not in message
    assert of not in message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


def test_a_sound_token_is_accepted_and_its_claims_are_returned() -> None:
    sound = token()
    answer = assert_access_token(
        sound,
        SECRET,
        identity="anna",
        room="DailyStandup",
        grants={"video": {"room": "DailyStandup"}},
        account_sid=ACCOUNT,
        key_sid=KEY,
        ttl=3600,
    )
    assert answer == jwt.decode(sound, SECRET, algorithms=["HS256"])


CHAT = {"service_sid": new_sid("IS")}
VOICE = {"outgoing": {"application_sid": new_sid("AP")}, "incoming": {"allow": True}}
TASKS = {"workspace_sid": new_sid("WS"), "worker_sid": new_sid("WK"), "role": "worker"}
# Made when they are used: they would expire while other tests run.
REFUSED: list[tuple[Callable[[], str], int]] = [
    (lambda: token(header={"typ": "jwt"}), 20102),
    (lambda: token(header={"alg": "HS512"}, secret="x" * 64), 20102),
    (lambda: token(header={"cty": None}), 20102),
    (lambda: token(header={"twr": "ie1"}), 51007),
    (lambda: token(iss=ACCOUNT), 20103),
    (lambda: token(iss=KEY[:-1]), 20103),
    (lambda: token(iss=...), 20103),
    (lambda: token(sub=KEY), 20103),
    (lambda: token(sub=7), 20103),
    (lambda: token(sub="AC" + "g" * 32), 20103),
    (lambda: token(secret=new_secret()), 20107),
    (lambda: token(exp=now() - 1, iat=now() - 100), 20104),
    (lambda: token(exp=...), 20104),
    (lambda: token(exp=True), 20104),
    (lambda: token(exp="tomorrow"), 20104),
    (lambda: token(iat="now"), 20101),
    (lambda: token(nbf=[]), 20101),
    (lambda: token(iat=now() + 1000), 20105),
    (lambda: token(nbf=now() + 1000), 20105),
    (lambda: token(**lasting(86_401)), 20157),
    (lambda: token(iat=..., nbf=now() - 10, exp=now() + 86_391), 20157),
    (lambda: token(iat=..., exp=now() + 90_000), 20157),
    (lambda: token(grants=...), 20106),
    (lambda: token(grants=["video"]), 20106),
    (lambda: granting(), 20106),
    (lambda: granting(video=True), 20106),
    (lambda: granting(video={"room": ""}), 20106),
    (lambda: granting(video={"room": 7}), 20106),
    (lambda: granting(chat={}), 20106),
    (lambda: granting(chat={"service_sid": "support"}), 20106),
    (lambda: granting(chat=CHAT | {"push_credential_sid": new_sid("IS")}), 20106),
    (lambda: granting(voice={"outgoing": {"application_sid": new_sid("IS")}}), 20106),
    (lambda: granting(voice=VOICE | {"push_credential_sid": ""}), 20106),
    (lambda: granting(voice=VOICE | {"incoming": {"allow": "true"}}), 20106),
    (lambda: granting(data_sync={"service_sid": "default"}), 20106),
    (lambda: granting(task_router=TASKS | {"workspace_sid": None}), 20106),
    (lambda: granting(task_router=TASKS | {"worker_sid": new_sid("WS")}), 20106),
    (lambda: granting(task_router=TASKS | {"role": "admin"}), 20106),
    (lambda: identified("", video={}), 53200),
    (lambda: identified(None, video={}), 53200),
    (lambda: identified("x" * 129, video={}), 53200),
    (lambda: identified("é" * 65, video={}), 53200),
    (lambda: identified(7, chat=CHAT), 51007),
    (lambda: identified("x" * 257, chat=CHAT), 51003),
    (lambda: identified("", voice=VOICE), 51007),
    (lambda: identified("anna@example.com", voice=VOICE), 31105),
    (lambda: identified("x" * 122, voice=VOICE), 31105),
    (lambda: identified(None, data_sync=CHAT), 51007),
    (lambda: identified("x" * 257, data_sync=CHAT), 54351),
]


@pytest.mark.parametrize(
    ("made", "code"), REFUSED, ids=[f"{at}-{code}" for at, (_, code) in enumerate(REFUSED)]
)
def test_a_token_that_twilio_would_refuse_fails_with_twilios_error(
    made: Callable[[], str], code: int
) -> None:
    refusable = made()
    secret = "x" * 64 if "HS512" in str(jwt.get_unverified_header(refusable)) else SECRET
    message = refused(refusable, secret)
    assert re.findall(r"^Twilio error (\d+): .+\.$", message, re.MULTILINE) == [str(code)], message
    assert "\n" not in message


def test_the_page_lists_these_errors() -> None:
    page = (REPOSITORY / "docs/reference/testing.md").read_text()
    codes = {str(code) for _, code in REFUSED}
    assert set(re.findall(r"^\| (\d+) \|", page, re.MULTILINE)) == codes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "token",
        "a.b.c",
        "ey.ey.ey.ey.ey",
        *(
            ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
            for parts in ((b"{}", b"[]", b""), (b"[]", b"{}", b""), (b"{", b"{", b"{"))
        ),
    ],
)
def test_what_is_not_a_jwt_fails_with_20101(text: str) -> None:
    with pytest.raises(AssertionError, match=r"^Twilio error 20101: this is not a JWT\. .+"):
        assert_access_token(text, SECRET)


@pytest.mark.parametrize(
    "made",
    [
        lambda: granting(video={}),
        lambda: granting(chat=CHAT | {"push_credential_sid": new_sid("CR")}),
        lambda: granting(voice=VOICE),
        lambda: granting(voice={}),
        lambda: granting(data_sync={"service_sid": new_sid("IS")}),
        lambda: identified(None, task_router=TASKS | {"role": "supervisor"}),
        lambda: granting(whiteboard={"board": "a"}),
        lambda: identified("é" * 64, video={}),
        lambda: identified("x" * 256, chat=CHAT, data_sync=CHAT),
        lambda: identified("A_z0" * 30 + "x", voice=VOICE),
        lambda: token(**lasting(86_400)),
        lambda: token(nbf=now() - 10),
        lambda: token(iat=..., exp=now() + 80_000.5),
        lambda: token(header={"twr": "us1"}),
        lambda: token(sub="AC" + "AF" * 16),
    ],
)
def test_what_twilio_accepts_is_accepted(made: Callable[[], str]) -> None:
    assert_access_token(made(), SECRET)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"identity": "bob"}, "Expected the identity 'bob', not 'anna'."),
        ({"room": "Other"}, "Expected the room 'Other', not 'DailyStandup'."),
        ({"grants": ["chat"]}, "Expected grants for chat, not for video."),
        ({"grants": []}, "Expected grants for nothing, not for video."),
        ({"grants": {"video", "sync"}}, "Expected grants for data_sync, video, not for video."),
        (
            {"grants": {"video": {}}},
            "Expected the grant video to be {}, not {'room': 'DailyStandup'}.",
        ),
        (
            {"grants": {"taskrouter": {}}},
            "Expected grants for task_router, not for video.",
        ),
        ({"account_sid": KEY}, f"Expected sub '{KEY}', not '{ACCOUNT}'."),
        ({"key_sid": ACCOUNT}, f"Expected iss '{ACCOUNT}', not '{KEY}'."),
        ({"ttl": 60}, "Expected a lifetime of 60 seconds from iat to exp, not 3600."),
    ],
    # Not of the SIDs, which differ from process to process.
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_sound_token_that_is_not_the_expected_one_fails_without_an_error_of_twilio(
    expected: dict[str, Any], message: str
) -> None:
    assert refused(token(), **expected) == message


def test_a_token_for_every_room_is_not_one_for_the_expected_room() -> None:
    message = refused(granting(video={}), room="DailyStandup")
    assert message == "Expected the room 'DailyStandup', but the token opens any room."
    message = refused(granting(chat=CHAT), room="DailyStandup")
    assert message == "Expected the room 'DailyStandup', but the token opens no room."


def test_products_may_have_the_names_of_the_api_or_of_the_token() -> None:
    both = granting(data_sync=CHAT, task_router=TASKS)
    assert_access_token(both, SECRET, grants={"sync": CHAT, "task_router": TASKS})
    assert_access_token(both, SECRET, grants={"data_sync", "taskrouter"})
    message = refused(both, grants={"sync": {}, "taskrouter": TASKS})
    assert message == f"Expected the grant data_sync to be {{}}, not {CHAT!r}."


def test_a_message_lists_everything_that_is_wrong() -> None:
    wrong = token(secret=new_secret(), iss=ACCOUNT, exp=..., header={"typ": "jwt"})
    assert refused(wrong, identity="bob", ttl=60).splitlines() == [
        "Twilio error 20102: the header has typ 'jwt', not 'JWT'.",
        f"Twilio error 20103: iss '{ACCOUNT}' is not the SID of an API key (SK…).",
        "Twilio error 20107: this secret did not make the signature, or the token was changed "
        "since.",
        "Twilio error 20104: exp None is not a time in seconds since 1970.",
        "Expected the identity 'bob', not 'anna'.",
        "Expected a lifetime of 60 seconds from iat to exp, not None.",
    ]


def test_a_public_key_is_not_taken_for_a_secret() -> None:
    """PyJWT refuses it, as the signature could be anybody's."""
    public_key = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"
    assert refused(token(), public_key).startswith("Twilio error 20107")


def test_a_secret_may_be_shorter_than_twilios(user: User) -> None:
    secret = new_secret()[:16]
    make_api_key(secret=secret)
    assert_access_token(issue_access_token(user=user, grants=[Video()]).token, secret)


def test_a_token_for_every_product_is_verified(user: User, settings: Any) -> None:
    settings.TWILIO_TOKENS_WORKER = lambda user, workspace: WorkerGrant(new_sid("WK"))
    secret = new_secret()
    key = make_api_key(secret=secret)
    service, app = make_chat_service(), make_twiml_app(allow_incoming=True)
    make_push_credential(), make_sync_service(), make_workspace()
    grants = [Video("DailyStandup"), Chat(platform="ios"), Voice(), Sync(), TaskRouter()]
    issued = issue_access_token(user=user, grants=grants, ttl=600)
    says = assert_access_token(
        issued.token,
        secret,
        identity="anna",
        room="DailyStandup",
        grants=issued.grants,
        account_sid=key.account.sid,
        key_sid=key.sid,
        ttl=600,
    )
    assert says["jti"] == issued.jti
    assert says["grants"]["chat"]["service_sid"] == service.sid
    outgoing = {"application_sid": app.sid}
    assert says["grants"]["voice"] == {"incoming": {"allow": True}, "outgoing": outgoing}
