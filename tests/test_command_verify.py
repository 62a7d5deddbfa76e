from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from tests.site.models import Stage
from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    PushCredential,
    SyncService,
    TwiMLApp,
    Workspace,
)

from .databases import NoReplica
from .rows import add_key, new_secret, sid
from .twilio_server import Key, TwilioServer


class Run(NamedTuple):
    output: str
    error: str
    status: int

    @property
    def results(self) -> list[dict[str, Any]]:
        return json.loads(self.output)

    @property
    def outcomes(self) -> list[str]:
        return [each["outcome"] for each in self.results]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    def run(*arguments: str) -> Run:
        error, status = "", 0
        try:
            call_command("twilio_verify", *arguments)
        except CommandError as failure:
            error, status = str(failure), failure.returncode
        output = capsys.readouterr()
        return Run(output.out, output.err + error, status)

    return run


@pytest.fixture
def rows(
    twilio: TwilioServer,
    api_key: APIKey,
    secret: str,
    chat_service: ChatService,
    twiml_app: TwiMLApp,
    push_credential: PushCredential,
) -> list[Any]:
    """One of each, and Twilio has them."""
    twilio.keys[sid("SK")] = Key(secret, sid("AC"))
    twilio.services[sid("IS")] = (sid("AC"), "Support")
    twilio.apps[sid("AP")] = (sid("AC"), "Phone")
    twilio.credentials[sid("CR")] = (sid("AC"), "Push", "apn")
    return [api_key, chat_service, twiml_app, push_credential]


def recorded(rows: list[Any]) -> list[tuple[str, str, int | None]]:
    for row in rows:
        row.refresh_from_db()
    return [(row.check_outcome, row.check_message, row.check_code) for row in rows]


ACCEPTED = (
    "Twilio accepts this key for its account, in US1. It does not tell whether this is a "
    "Restricted key, which cannot sign Access Tokens."
)


def test_a_table_shows_that_everything_is_fine(run: Callable[..., Run], rows: list[Any]) -> None:
    assert run() == Run(
        f"verified  APIKey          Key      {sid('SK')}  {ACCEPTED}\n"
        f"verified  ChatService     support  {sid('IS')}  Twilio knows it as “Support”.\n"
        f"verified  TwiMLApp        phone    {sid('AP')}  Twilio knows it as “Phone”.\n"
        f"verified  PushCredential  ios      {sid('CR')}  Twilio knows it as “Push”.\n",
        "",
        0,
    )


def test_the_same_as_json(run: Callable[..., Run], rows: list[Any]) -> None:
    result = run("--json")
    assert (result.error, result.status) == ("", 0)
    assert result.results[0] == {
        "outcome": "verified",
        "kind": "APIKey",
        "name": "Key",
        "sid": sid("SK"),
        "account": sid("AC"),
        "code": None,
        "message": ACCEPTED,
    }
    assert [each["kind"] for each in result.results] == [
        "APIKey",
        "ChatService",
        "TwiMLApp",
        "PushCredential",
    ]


def test_results_are_stored_with_the_rows(run: Callable[..., Run], rows: list[Any]) -> None:
    run()
    assert recorded(rows) == [
        ("verified", ACCEPTED, None),
        ("verified", "Twilio knows it as “Support”.", None),
        ("verified", "Twilio knows it as “Phone”.", None),
        ("verified", "Twilio knows it as “Push”.", None),
    ]
    assert all(row.checked_at is not None for row in rows)


def test_a_refusal_is_shown_and_stored_and_fails(
    run: Callable[..., Run], rows: list[Any], twilio: TwilioServer
) -> None:
    twilio.services.clear()
    result = run("--json")
    assert result.outcomes == ["verified", "refused", "verified", "verified"]
    assert result.results[1]["code"] == 20404
    assert (result.error, result.status) == ("1 of 4 are not verified.", 1)
    assert [outcome for outcome, *_ in recorded(rows)] == result.outcomes
    table = run()
    assert f"refused   ChatService     support  {sid('IS')}  Account {sid('AC')}" in table.output
    assert (table.error, table.status) == (result.error, 1)


def test_an_unreachable_twilio_fails(
    run: Callable[..., Run], rows: list[Any], twilio: TwilioServer
) -> None:
    twilio.fail(503)
    result = run("--json")
    assert result.outcomes == ["unreachable"] * 4
    assert (result.error, result.status) == ("4 of 4 are not verified.", 1)
    assert {code for _outcome, _message, code in recorded(rows)} == {20503}


def test_sync_services_and_workspaces_are_checked_and_what_twilio_cannot_be_asked_about_is_not(
    run: Callable[..., Run], rows: list[Any], twilio: TwilioServer, account: Account
) -> None:
    twilio.sync_services[sid("IS", "1")] = (sid("AC"), "Documents")
    service = SyncService.objects.create(account=account, name="docs", sid=sid("IS", "1"))
    workspace = Workspace.objects.create(account=account, name="support", sid=sid("WS"))
    stage = Stage.objects.create(account=account, name="main", sid=sid("VL"))
    result = run("--json")
    assert [(each["kind"], each["outcome"]) for each in result.results[4:]] == [
        ("SyncService", "verified"),
        ("Workspace", "refused"),
    ]
    assert (result.error, result.status) == ("1 of 6 are not verified.", 1)
    assert [outcome for outcome, *_ in recorded([service, workspace, stage])] == [
        "verified",
        "refused",
        "",
    ]


def test_retired_keys_are_left_out(
    run: Callable[..., Run], rows: list[Any], twilio: TwilioServer, account: Account
) -> None:
    retired = add_key(account, is_active=False)
    result = run("--json")
    assert result.status == 0
    assert retired.sid not in result.output
    assert recorded([retired]) == [("", "", None)]


def test_every_active_key_is_checked(
    run: Callable[..., Run], rows: list[Any], twilio: TwilioServer, account: Account
) -> None:
    """The one on standby too, to which an admin may roll back."""
    secret = new_secret()
    newest = add_key(account, secret=secret)
    twilio.keys[newest.sid] = Key(secret, sid("AC"))
    twilio.keys[sid("SK")].secret = new_secret()
    result = run("--json")
    assert {each["sid"]: each["outcome"] for each in result.results} == {
        newest.sid: "verified",
        sid("SK"): "refused",
        sid("IS"): "verified",
        sid("AP"): "verified",
        sid("CR"): "verified",
    }
    assert result.status == 1


def test_an_unreadable_secret_does_not_stop_the_rest(
    run: Callable[..., Run], rows: list[Any], twilio: TwilioServer, account: Account
) -> None:
    secret = new_secret()
    newest = add_key(account, secret=secret)
    twilio.keys[newest.sid] = Key(secret, sid("AC"))
    APIKey.objects.filter(pk=rows[0].pk).update(secret=newest.secret)
    rows[0].record_check("verified", "of old")
    result = run("--json")
    outcomes = {each["sid"]: each["outcome"] for each in result.results}
    assert outcomes.pop(sid("SK")) == "secret_unavailable"
    assert set(outcomes.values()) == {"verified"}
    assert (result.error, result.status) == ("1 of 5 are not verified.", 1)
    assert "does not open" in next(
        each["message"] for each in result.results if each["sid"] == sid("SK")
    )
    assert recorded(rows[:1]) == [("verified", "of old", None)]


def test_without_a_key_ring_every_row_says_so(
    run: Callable[..., Run], rows: list[Any], twilio: TwilioServer, settings: Any
) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = []
    result = run("--json")
    assert result.outcomes == ["secret_unavailable"] * 4
    assert result.status == 1
    assert twilio.requests == []


def test_an_account_without_key_does_not_stop_the_rest(
    run: Callable[..., Run], rows: list[Any], other: Account
) -> None:
    result = run("--json")
    outcomes = {each["sid"]: each["outcome"] for each in result.results}
    assert outcomes == {
        **{sid(prefix): "verified" for prefix in ("SK", "IS", "AP", "CR")},
        **{sid(prefix, "1"): "not_configured" for prefix in ("IS", "AP", "CR")},
    }
    assert result.status == 1


def test_a_default_account_without_key_fails(
    run: Callable[..., Run], rows: list[Any], settings: Any
) -> None:
    empty = Account.objects.create(name="New", sid=sid("AC", "e"), is_default=True)
    result = run("--json")
    assert result.results[0] == {
        "outcome": "not_configured",
        "kind": "Account",
        "name": "New",
        "sid": empty.sid,
        "account": empty.sid,
        "code": None,
        "message": "It has no active API key.",
    }
    assert result.outcomes[1:] == ["verified"] * 4
    assert result.status == 1
    # Where users are bound to accounts, none falls back to the default.
    settings.TWILIO_TOKENS_ACCOUNT = lambda user: None
    assert run("--json").status == 0


def test_without_a_default_account_nothing_is_fine(
    run: Callable[..., Run], rows: list[Any], settings: Any
) -> None:
    Account.objects.update(is_default=False)
    result = run("--json")
    assert result.outcomes == ["verified"] * 4
    assert (result.error, result.status) == (
        "No account is the default. Choose one in the admin.",
        1,
    )
    settings.TWILIO_TOKENS_ACCOUNT = lambda user: None
    assert run().status == 0


def test_a_replica_is_not_asked(run: Callable[..., Run], rows: list[Any]) -> None:
    with override_settings(DATABASE_ROUTERS=[NoReplica()]):
        assert run().status == 0


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_without_any_key_nothing_is_fine(
    arguments: tuple[str, ...], run: Callable[..., Run], db: None
) -> None:
    expected = "[]\n" if arguments else ""
    assert run(*arguments) == Run(expected, "There is no active API key.", 1)


def test_the_secret_is_nowhere_in_what_it_says(
    run: Callable[..., Run],
    rows: list[Any],
    twilio: TwilioServer,
    secret: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("", *logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, name)
    texts = [str(run(*arguments)) for arguments in ((), ("--json",))]
    twilio.keys[sid("SK")].secret = new_secret()
    texts += [str(run()), str(recorded(rows)), caplog.text]
    assert not any(secret in text for text in texts)
