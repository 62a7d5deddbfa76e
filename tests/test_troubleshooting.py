"""What ``docs/troubleshooting.md`` says of each code is held against what names it."""

from __future__ import annotations

import ast
import io
import json
import re
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command, get_commands, load_command_class
from rest_framework.test import APIClient

from twilio_tokens import decoding
from twilio_tokens.codes import CODES, OTHER
from twilio_tokens.grants import Video, registered
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey

from .prose import REPOSITORY, blocks
from .rows import new_secret, sid
from .twilio_server import Key, TwilioServer

PAGE = "docs/troubleshooting.md"
TEXT = (REPOSITORY / PAGE).read_text()
CLIENT = "twilio_tokens/static/twilio_tokens/twilio-tokens.js"


def first_cells(table: str) -> list[str]:
    """Of each row between the two comments."""
    part = TEXT.partition(f"<!-- {table} -->\n")[2].partition("<!-- end of codes -->")[0]
    return [line.split(" | ")[0] for line in part.splitlines() if line.startswith("| ")]


ROWS = [each for each in first_cells("codes of Twilio") if re.search(r"\d{5}", each)]
OF_TWILIO = [int(code) for row in ROWS for code in re.findall(r"\d{5}", row)[:1]]
#: Those that the decoder can name are printed in bold.
BOLD = {int(code) for row in ROWS for code in re.findall(r"\*\*\[(\d{5})\]", row)}


# Codes of the API


def test_every_code_of_the_api_and_of_its_client_has_one_row() -> None:
    cells = " ".join(first_cells("codes of the API"))
    named = [each for each in re.findall(r"`(\w+)`", cells) if each != "code"]  # the tables' heads
    of_client = {"network", "unexpected_answer", "identity_changed"}
    assert sorted(named) == sorted({*CODES, OTHER, *of_client})
    client = (REPOSITORY / CLIENT).read_text()
    assert all(f'"{each}"' in client for each in of_client)


def test_a_missing_csrf_token_is_permission_denied(user: User, api_key: APIKey) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(user)
    answer = client.post("/twilio/tokens/video/")
    assert (answer.status_code, answer.data["code"]) == (403, "permission_denied")
    assert answer.data["detail"].startswith("CSRF Failed")


# Codes of Twilio


def test_every_code_that_users_meet_has_one_row() -> None:
    assert sorted(OF_TWILIO) == [
        *range(20101, 20108),
        *range(20151, 20161),
        31105,
        *range(31201, 31208),
        51003,
        51007,
        *range(53200, 53206),
        54351,
    ]


def test_the_codes_in_bold_are_those_that_the_decoder_can_name() -> None:
    tree = ast.parse(Path(decoding.__file__).read_text())
    numbers = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    named = {each for each in numbers if isinstance(each, int) and 10_000 <= each < 100_000}
    for product in registered().values():
        rule = product.identity_rule
        named |= {each for each in (rule.error_if_illegal, rule.error_if_missing) if each}
    assert named == BOLD


def test_a_row_links_to_the_page_of_its_code() -> None:
    links = re.findall(r"\[(\d{5})\]\(https://www\.twilio\.com/docs/api/errors/(\d+)\)", TEXT)
    assert {int(code) for code, _ in links} >= {*OF_TWILIO} - {20158}
    assert all(code == page for code, page in links)


NOW = int(time.time())
CHAT, SYNC = {"chat": {"service_sid": sid("IS")}}, {"data_sync": {"service_sid": sid("IS")}}
#: How a token comes to meet each code: its header, its claims.
FAULTY: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {
    20101: ({}, {"iat": "yesterday"}),
    20102: ({"cty": "JWT"}, {}),
    20103: ({}, {"iss": sid("AC"), "sub": sid("SK")}),
    20104: ({}, {"iat": NOW - 3600, "exp": NOW - 60}),
    20105: ({}, {"nbf": NOW + 3600, "exp": NOW + 7200}),
    20106: ({}, {"grants": {"identity": "anna", "chat": {"service_sid": sid("AP")}}}),
    20107: ({}, {}),  # with another secret
    20157: ({}, {"exp": (NOW + 3600) * 1000}),
    31105: ({}, {"grants": {"identity": "anna@example.com", "voice": {}}}),
    51003: ({}, {"grants": {"identity": "a" * 257, **CHAT}}),
    51007: ({}, {"grants": {**SYNC}}),
    53200: ({}, {"grants": {"identity": "ä" * 65, "video": {}}}),
    54351: ({}, {"grants": {"identity": "a" * 257, **SYNC}}),
}


def test_each_code_in_bold_has_a_faulty_token() -> None:
    assert FAULTY.keys() == BOLD


@pytest.mark.parametrize("code", FAULTY)
def test_the_decoder_names_the_code_of_a_faulty_token(
    code: int, api_key: APIKey, secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    header, changes = FAULTY[code]
    good = {"iss": sid("SK"), "sub": sid("AC"), "iat": NOW, "exp": NOW + 3600, "jti": "x"}
    claims = {**good, "grants": {"identity": "anna", "video": {}}, **changes}
    signer = new_secret() if code == 20107 else secret
    # PyJWT's own encode() would refuse some of these claims.
    payload = json.dumps(claims).encode()
    token = jwt.PyJWS().encode(payload, signer, headers={"cty": "twilio-fpa;v=1", **header})
    call_command("twilio_decode", token)
    shown = capsys.readouterr().out
    assert {*re.findall(r"^Error +(\d+):", shown, re.MULTILINE)} == {str(code)}


@pytest.mark.parametrize("text", ['{"detail": "Not found."}', "undefined", "a.b.c"])
def test_what_is_no_token_is_20101(text: str, db: None) -> None:
    with pytest.raises(Exception, match=r"^20101: "):
        call_command("twilio_decode", text)


# Commands


def test_every_command_that_is_named_is_there() -> None:
    named = set(re.findall(r"\btwilio_(?!tokens)[a-z_]+", TEXT))
    assert named <= {name for name, app in get_commands().items() if app == "twilio_tokens"}
    assert {"twilio_decode", "twilio_verify"} <= named


LINES = "\n".join(blocks(PAGE, "sh")) + "\n".join(re.findall(r"`(manage\.py [^`]+)`", TEXT))
COMMANDS = sorted({each.strip() for each in re.findall(r"manage\.py ([^#\n]+)", LINES)})


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_runs(
    command: str,
    twilio: TwilioServer,
    monkeypatch: pytest.MonkeyPatch,
    user: User,
    api_key: APIKey,
    secret: str,
) -> None:
    twilio.keys[api_key.sid] = Key(secret, sid("AC"))
    token = issue_access_token(user=user, grants=[Video()]).token
    monkeypatch.setattr(sys, "stdin", io.StringIO(token))
    name, *arguments = shlex.split(command)
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    known = re.findall(r"--[\w-]+", parser.format_help())
    assert {each for each in arguments if each.startswith("--")} <= {*known}
    call_command(name, *arguments)
