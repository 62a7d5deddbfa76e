from __future__ import annotations

import io
import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey

from .rows import sid

HEADER = {"cty": "twilio-fpa;v=1"}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*arguments: str) -> str:
        call_command("twilio_decode", *arguments)
        output = capsys.readouterr()
        assert output.err == ""
        return output.out

    return run


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def type_in(data: bytes, *, by_hand: bool = False) -> None:
        stdin = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
        monkeypatch.setattr(stdin, "isatty", lambda: by_hand, raising=False)
        monkeypatch.setattr(sys, "stdin", stdin)

    return type_in


def token(secret: str, **changes: Any) -> str:
    now = int(time.time())
    grants = {"identity": "anna", "video": {"room": "Zoë"}}
    claims = {"iss": sid("SK"), "sub": sid("AC"), "exp": now + 3630, "iat": now, "grants": grants}
    return jwt.PyJWS().encode(json.dumps(claims | changes).encode(), secret, headers=HEADER)


def test_all_of_an_issued_token_is_shown(
    run: Callable[..., str], user: User, api_key: APIKey
) -> None:
    issued = issue_access_token(user=user, grants=[Video("Zoë")], ttl=3600)
    output = run(issued.token)
    header, rest = output.split("\nClaims     ")
    claims, end = json.JSONDecoder().raw_decode(rest)
    assert json.loads(header.removeprefix("Header     ")) == {
        "typ": "JWT",
        "alg": "HS256",
        "cty": "twilio-fpa;v=1",
    }
    assert (claims["iss"], claims["jti"]) == (api_key.sid, issued.jti)
    assert claims["grants"] == {"identity": "anna", "video": {"room": "Zoë"}}
    lines = rest[end:].strip().replace("\xa0", " ").split("\n")
    assert re.fullmatch(
        rf"Issued     {issued.issued_at:%Y-%m-%d %H:%M:%S} UTC \(0 minutes ago\)", lines[0]
    )
    assert re.fullmatch(
        rf"Expires    {issued.expires_at:%Y-%m-%d %H:%M:%S} UTC \(in (1 hour|59 minutes)\)",
        lines[1],
    )
    assert lines[2:] == [
        f"API key    Key ({sid('SK')})",
        "Signature  valid",
        "Audit      issued to anna",
        "Twilio     no problems found",
    ]


def test_the_identity_is_shown_of_a_token_whose_user_is_gone(
    run: Callable[..., str], user: User, api_key: APIKey
) -> None:
    issued = issue_access_token(user=user, grants=[Video()])
    user.delete()
    assert "Audit      issued to anna\n" in run(issued.token)


def test_an_expired_token_of_a_stranger_is_shown_with_its_problems(
    run: Callable[..., str], api_key: APIKey, secret: str
) -> None:
    now = int(time.time())
    output = run(token(secret, iss=sid("SK", "9"), iat=now - 7300, exp=now - 3630, jti="x"))
    assert "UTC (1\xa0hour ago)\n" in output
    assert output.endswith(
        "API key    not stored here\nSignature  cannot be checked: the secret of its API key is "
        "not available\nAudit      no record\nError      20103: The issuer (“iss”) is not an API "
        "key stored on this site, so the signature could not be checked. Twilio accepts the "
        "token only if it knows that key.\nError      20104: The token has expired.\n"
    )


def test_a_broken_signature_and_missing_times_are_shown(
    run: Callable[..., str], api_key: APIKey, secret: str
) -> None:
    output = run(token(secret, exp=None, iat="now")[:-8] + "AAAAAAAA")
    assert "\nIssued     not stated\nExpires    not stated\n" in output
    assert "\nSignature  not valid\n" in output
    assert re.findall(r"Error      (\d+):", output) == ["20107", "20101", "20104"]


@pytest.mark.parametrize("arguments", [(), ("-",)])
@pytest.mark.parametrize("frame", [b"%s", b"%s\n", b"\r\n  %s\r\n\r\n"])
def test_a_token_is_read_from_standard_input(
    frame: bytes,
    arguments: tuple[str, ...],
    run: Callable[..., str],
    type_in: Callable[..., None],
    api_key: APIKey,
    secret: str,
) -> None:
    type_in(frame % token(secret).encode())
    output = run(*arguments)
    assert "Signature  valid\n" in output
    assert "Twilio     no problems found\n" in output


def test_the_words_of_a_header_need_no_quotation_marks(
    run: Callable[..., str], api_key: APIKey, secret: str
) -> None:
    assert "Signature  valid\n" in run("Authorization:", "Bearer", token(secret))


def test_who_types_it_in_is_told_how(
    type_in: Callable[..., None],
    api_key: APIKey,
    secret: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    type_in(token(secret).encode(), by_hand=True)
    call_command("twilio_decode")
    output = capsys.readouterr()
    assert output.err == "Paste the token, press Enter, then Ctrl-D.\n"
    assert "Signature  valid\n" in output.out


TOO_LONG = "20101: This is much longer than any Access Token."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "20101: There is no token."),
        (b"\n", "20101: There is no token."),
        (b"\xff\xfe\x00" * 100, "20101: This is not an Access Token: it is binary data."),
        (b"a" * 10_000_000, TOO_LONG),
        (b"\x00" * 10_000_000, TOO_LONG),
    ],
)
def test_unusable_input_is_told_so(
    data: bytes, message: str, type_in: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(data)
    with pytest.raises(CommandError) as caught:
        call_command("twilio_decode")
    assert str(caught.value) == message
    assert caught.value.__suppress_context__
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("stdin", "message"),
    [
        (lambda: None, "There is no standard input. Pass the token as an argument."),
        (Path("/proc/self/mem").open, "Cannot read standard input: Input/output er"),
    ],
    ids=["none", "unreadable"],
)
def test_standard_input_that_cannot_be_read_is_told_so(
    stdin: Callable[[], Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = stdin()
    monkeypatch.setattr(sys, "stdin", stream)
    with pytest.raises(CommandError, match=message):
        call_command("twilio_decode")
    if stream is not None:
        stream.close()
        with pytest.raises(CommandError, match="There is no standard input"):
            call_command("twilio_decode")


def test_no_more_is_read_than_a_token_can_be_long(type_in: Callable[..., None]) -> None:
    type_in(b"a" * 10_000_000)
    with pytest.raises(CommandError):
        call_command("twilio_decode")
    assert sys.stdin.buffer.tell() < 100_000


def test_an_unusable_argument_is_told_so(db: None) -> None:
    with pytest.raises(CommandError, match="separated by periods, but this text has 1 part"):
        call_command("twilio_decode", "x")


STRANGE = [
    "\ud800",
    "\x00",
    "\x1b[31m",
    10**4000,
    -1e308,
    1e308,
    0,
    -62_135_500_000,
    253_402_300_799,
]


@pytest.mark.parametrize("value", STRANGE, ids=lambda value: ascii(value)[:20])
@pytest.mark.parametrize("name", ["iss", "sub", "iat", "exp", "nbf", "jti", "grants", "x"])
def test_strange_claims_are_shown_in_plain_characters(
    name: str, value: Any, run: Callable[..., str], api_key: APIKey, secret: str
) -> None:
    output = run(token(secret, **{name: value}))
    assert output.replace("\n", "").replace("\xa0", " ").isprintable()
