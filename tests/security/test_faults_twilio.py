"""A Twilio that is slow or lies, at each door that asks it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from tests.console import filled, url
from tests.rows import sid
from tests.twilio_server import Key, TwilioServer, error
from twilio_tokens import verification
from twilio_tokens.models import Account, APIKey, ChatService, Outcome

LISTS = ("applications", "services", "credentials", "workspaces")
GOOD: dict[str, Any] = {"sid": sid("IS"), "account_sid": sid("AC"), "friendly_name": "Support"}


def says(**item: Any) -> dict[str, Any]:
    """The same as an item, and in every list."""
    changed = {**GOOD, **item}
    return {"body": {**changed, **{name: [changed] for name in LISTS}, "meta": {"key": "x"}}}


def raw(head: bytes, body: bytes = b"{}") -> dict[str, bytes]:
    return {"raw": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + head + b"\r\n" + body}


SLOW: dict[str, dict[str, Any]] = {
    "hangs": {"hang": True},
    "drips its answer": {"endless": b" ", "pause": 0.05},
    "drips its head": {"endless": b"x", "pause": 0.05, "in_head": True},
}
LIES: dict[str, dict[str, Any]] = {
    "resets the connection": {"reset": True},
    "does not speak HTTP": {"raw": b"SSH-2.0-OpenSSH_9.2\r\n"},
    "promises more": raw(b"Content-Length: 1000\r\n"),
    "breaks off a chunk": raw(b"Transfer-Encoding: chunked\r\n", b"ff\r\n{"),
    "counts chunks in words": raw(b"Transfer-Encoding: chunked\r\n", b"many\r\n{}\r\n"),
    "says that it is gzip": raw(b"Content-Encoding: gzip\r\n"),
    "has a thousand headers": raw(b"X: x\r\n" * 1_000),
    "redirects": {"status": 302, "body": "", "headers": {"Location": "https://example.com/"}},
    "has no content": {"status": 204, "body": ""},
    "has a status of its own": {"status": 999, "body": "x"},
    "answers in HTML": {"body": "<!doctype html>"},
    "answers in an unknown charset": {
        "body": "x",
        "headers": {"Content-Type": "application/json; charset=no-such"},
    },
    "says 200 to an error": {"body": error(401)},
    "has an error of other types": {"status": 403, "body": {"code": [], "message": {}}},
    "is not a number": {"body": '{"applications": NaN, "services": Infinity}'},
    "has null for everything": {"body": dict.fromkeys((*GOOD, *LISTS, "meta"))},
    "has numbers for texts": says(sid=5, account_sid=5, friendly_name=5),
    "has objects for texts": says(sid={}, account_sid={"a": 1}, friendly_name=[{}]),
    "has lists of nonsense": {"body": {name: [None, 5, [], "x"] for name in LISTS}},
    "speaks of another account": says(account_sid=sid("AC", "9")),
    "has a SID of another kind": says(sid=sid("AP")),
}


@pytest.mark.parametrize("fault", [*SLOW.values(), *LIES.values()], ids=[*SLOW, *LIES])
def test_every_door_says_so_and_stays_open(
    fault: dict[str, Any],
    api_key: APIKey,
    secret: str,
    chat_service: ChatService,
    twilio: TwilioServer,
    admin_client: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if fault in SLOW.values():
        monkeypatch.setattr(verification, "CHECK_SECONDS", 0.2)
        monkeypatch.setattr(verification, "LISTING_SECONDS", 0.2)
    twilio.fail(**fault)
    for row in (api_key, chat_service):
        selected = {"action": "check_with_twilio", "_selected_action": str(row.pk)}
        assert told(admin_client.post(url(type(row), "changelist"), selected, follow=True))
        row.refresh_from_db()
        assert row.check_outcome in Outcome.values
    assert chat_service.check_outcome != Outcome.VERIFIED

    typed = {**filled(APIKey), "check_with_twilio": "on"}
    saved = admin_client.post(url(APIKey, "add"), typed, follow=True)
    assert told(saved) or saved.context["adminform"].form.errors
    offered = admin_client.get(url(Account, "import", api_key.account.pk), follow=True)
    assert told(offered) or chat_service.name in offered.content.decode()
    with suppress(CommandError):
        call_command("twilio_verify")

    monkeypatch.undo()
    twilio.recover()
    twilio.keys[api_key.sid] = Key(secret, sid("AC"))
    twilio.services[sid("IS")] = (sid("AC"), "Support")
    APIKey.objects.exclude(pk=api_key.pk).delete()
    call_command("twilio_verify")


def told(response: Any) -> list[str]:
    assert response.status_code == 200
    return [str(message) for message in response.context["messages"]]
