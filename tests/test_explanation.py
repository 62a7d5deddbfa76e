"""What the pages under ``docs/explanation`` show, run as it stands there."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import jwt
import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import RequestFactory
from rest_framework.test import APIClient
from twilio.http.response import Response
from twilio.rest import Client

from twilio_tokens.grants import Video, registered
from twilio_tokens.issuing import REFRESH_MARGIN, issue_access_token
from twilio_tokens.models import APIKey

from .issued import decoded
from .prose import REPOSITORY, blocks
from .rows import new_secret, sid

PAGES = REPOSITORY / "docs" / "explanation"


def as_code(page: str) -> dict[str, Any]:
    """The names that the Python of a page defines."""
    names: dict[str, Any] = {}
    for block in blocks(f"docs/explanation/{page}"):
        exec(compile(block, page, "exec"), names)  # noqa: S102 - our own documentation
    return names


# How a token works


def test_the_claims_of_the_page_are_those_of_a_token(
    user: User, api_key: APIKey, secret: str
) -> None:
    [shown] = map(json.loads, blocks("docs/explanation/how-a-token-works.md", "json"))
    with time_machine.travel(shown["iat"], tick=False):
        issued = issue_access_token(user=user, grants=[Video(room="DailyStandup")])
        claims = decoded(issued.token, secret)
    assert re.fullmatch(r"[0-9a-f]{32}", claims["jti"])
    assert {**claims, "jti": shown["jti"]} == shown
    assert "nbf" not in claims


def test_the_lifetimes_and_the_margin_are_those_of_the_app() -> None:
    page = (PAGES / "how-a-token-works.md").read_text()
    stated = dict(re.findall(r"^\| (\w+)[^|]* \| (\d+) hours? \|", page, re.MULTILINE))
    hours = {str(each.label): each.default_ttl // 3600 for each in registered().values()}
    hours["Conversations"] = hours.pop("Chat")
    assert {name: int(text) for name, text in stated.items()} == {
        name: hours[name] for name in ("Video", "Voice", "Conversations", "Sync", "TaskRouter")
    }
    assert f"{REFRESH_MARGIN.seconds} seconds before the token expires" in page


# Blocking a user


@dataclass
class Twilio:
    """As much of Twilio's REST API as the page asks for, in Twilio's own client."""

    in_room: dict[str, str]
    calls: dict[str, dict[str, str]]
    devices: dict[str, str]
    in_chat: dict[str, str]
    users: set[str]
    changed: list[tuple[str, Any]] = field(default_factory=list)

    def request(self, method: str, url: str, **options: Any) -> Response:
        path, asked = unquote(url.partition(".com")[2]), options.get("params") or {}
        if method == "GET" and path == f"/v1/Services/{sid('IS')}/Users/anna":
            if "anna" not in self.users:
                return Response(404, '{"code": 20404, "message": "Not found", "status": 404}')
            known = {"sid": sid("US"), "identity": "anna", "chat_service_sid": sid("IS")}
            return Response(200, json.dumps(known))
        if method == "GET":
            name, items = self.listed(path, asked)
            return Response(200, json.dumps({name: items, "meta": {"key": name}}))
        self.changed.append((path.removesuffix(".json").rpartition("/")[2], options.get("data")))
        return Response(204, "") if method == "DELETE" else Response(200, "{}")

    def listed(self, path: str, asked: dict[str, Any]) -> tuple[str, list[dict[str, str]]]:
        if path == "/v1/Rooms":
            assert asked["Status"] == "in-progress"
            return "rooms", [{"sid": sid("RM")}]
        if path == f"/v1/Rooms/{sid('RM')}/Participants":
            assert asked["Status"] == "connected"
            who = asked["Identity"]
            return "participants", [{"sid": at} for at, one in self.in_room.items() if one == who]
        if path.endswith("/Calls.json"):
            assert asked["Status"] == "in-progress"
            of = {"to": asked.get("To"), "from": asked.get("From")}
            wanted = {end: address for end, address in of.items() if address}
            found = [at for at, ends in self.calls.items() if wanted.items() <= ends.items()]
            return "calls", [{"sid": each} for each in found]
        if path.endswith("/Bindings"):
            [who] = asked["Identity"]
            return "bindings", [{"sid": at} for at, one in self.devices.items() if one == who]
        assert path in {
            f"/v1/Services/{sid('IS')}/Users/{each}/Conversations" for each in ("anna", sid("US"))
        }
        taking_part = [at for at, one in self.in_chat.items() if one == "anna"]
        return "conversations", [
            {"conversation_sid": sid("CH"), "participant_sid": each} for each in taking_part
        ]


def test_a_blocked_user_is_put_out_of_rooms_calls_and_chats_and_nobody_else_is(
    user: User, api_key: APIKey, api: APIClient
) -> None:
    twilio = Twilio(
        in_room={sid("PA", "1"): "anna", sid("PA", "2"): "bert"},
        calls={
            sid("CA", "1"): {"to": "client:anna", "from": "+15005550006"},
            sid("CA", "2"): {"to": "+15005550006", "from": "client:anna"},
            sid("CA", "3"): {"to": "client:bert", "from": "+15005550006"},
        },
        devices={sid("BS", "1"): "anna", sid("BS", "2"): "bert"},
        in_chat={sid("MB", "1"): "anna", sid("MB", "2"): "bert"},
        users={"anna", "bert"},
    )
    assert api.post("/twilio/tokens/video/").status_code == 201
    client = Client(sid("SK"), "secret", sid("AC"), http_client=twilio)
    as_code("blocking-a-user.md")["block"](user, client, sid("IS"))
    assert twilio.changed == [
        (sid("PA", "1"), {"Status": "disconnected"}),
        (sid("CA", "1"), {"Status": "completed"}),
        (sid("CA", "2"), {"Status": "completed"}),
        (sid("BS", "1"), None),
        (sid("MB", "1"), None),
        ("anna", None),
    ]
    assert api.post("/twilio/tokens/video/").status_code in (401, 403)


def test_who_never_used_conversations_is_blocked_too(user: User) -> None:
    twilio = Twilio(in_room={}, calls={}, devices={}, in_chat={}, users=set())
    client = Client(sid("SK"), "secret", sid("AC"), http_client=twilio)
    as_code("blocking-a-user.md")["block"](user, client, sid("IS"))
    assert (twilio.changed, user.is_active) == ([], False)


def test_a_token_of_a_blocked_user_is_still_good(user: User, api_key: APIKey, secret: str) -> None:
    token = issue_access_token(user=user, grants=[Video()]).token
    user.is_active = False
    user.save()
    assert decoded(token, secret)["grants"]["identity"] == "anna"


# Why this package


@pytest.fixture
def twenty_lines(settings: Any, user: User) -> Any:
    """What the view of the page grants."""
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_API_KEY = sid("AC"), sid("SK")
    settings.TWILIO_API_SECRET, settings.TWILIO_APP_SID = new_secret(), sid("AP")
    view = as_code("why-this-package.md")["token"]

    def token(query: str = "", who: User = user) -> dict[str, Any]:
        request = RequestFactory().get(f"/token{query}")
        request.user = who
        answer = view(request)
        assert not answer.has_header("Cache-Control")
        claims = jwt.decode(
            json.loads(answer.content)["token"],
            settings.TWILIO_API_SECRET,
            algorithms=["HS256"],
            options={"verify_nbf": False},
        )
        assert isinstance(claims, dict)
        return claims

    return token


def test_twenty_lines_are_twenty_lines() -> None:
    [block] = blocks("docs/explanation/why-this-package.md")
    assert 18 <= len([line for line in block.splitlines() if line]) <= 22


def test_the_twenty_lines_do_what_the_table_says(twenty_lines: Any, user: User) -> None:
    with time_machine.travel("2026-11-29T12:00:00+00:00", tick=False):
        one, other = twenty_lines("?room=a"), twenty_lines(who=User(username="bert"))
    assert one["grants"]["video"] == {"room": "a"}
    assert "nbf" in one
    assert one["jti"] == other["jti"]
    assert twenty_lines("?rooom=x")["grants"]["video"] == {}
    assert twenty_lines(who=User(username="anna@example.com"))["grants"]["voice"]


def test_this_app_does_what_the_table_says(api: APIClient, user: User, api_key: APIKey) -> None:
    misspelt = api.post("/twilio/tokens/video/", {"rooom": "x"}, "json")
    assert misspelt.data["code"] == "unknown_field"
    one, other = (api.post("/twilio/tokens/video/") for _ in range(2))
    assert one.data["jti"] != other.data["jti"]
    assert one["Cache-Control"] == "no-store"
