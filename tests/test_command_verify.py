from __future__ import annotations

import io
import json
import logging
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import InterfaceError, OperationalError, ProgrammingError, connection
from django.test import override_settings

from tests.site.models import Stage
from twilio_tokens.management.commands import twilio_verify
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
from .twilio_server import API, CONVERSATIONS, Key, TwilioServer

THREE = datetime(2026, 11, 29, 15, tzinfo=timezone.utc)


class Run(NamedTuple):
    output: str
    error: str
    status: int

    @property
    def report(self) -> dict[str, Any]:
        assert self.output.count("\n") == 1
        return json.loads(self.output)

    @property
    def results(self) -> list[dict[str, Any]]:
        return self.report["checked"]

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
    "Twilio accepts this key for its account in region US1. This does not prove that the "
    "key can sign Access Tokens: a Restricted key can pass the check, too."
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


@pytest.mark.parametrize("digit", "01")
def test_what_is_refused_counts_more_than_what_is_unreachable(
    digit: str, run: Callable[..., Run], rows: list[Any], twilio: TwilioServer, account: Account
) -> None:
    """Whichever is found first."""
    add_key(account, sid=sid("SK", "2"))
    twilio.fail(503, host=CONVERSATIONS if digit == "0" else API)
    if digit == "1":
        twilio.services.clear()
    result = run("--json")
    assert {"refused", "unreachable"} <= {*result.outcomes}
    assert (result.report["outcome"], result.report["status"], result.status) == ("refused", 1, 1)


@time_machine.travel(THREE.replace(microsecond=900_000), tick=False)
def test_a_report_says_when_and_how_it_went_on_the_whole(
    run: Callable[..., Run], rows: list[Any], twilio: TwilioServer
) -> None:
    def on_the_whole() -> dict[str, Any]:
        report = run("--json").report
        assert list(report) == ["time", "outcome", "status", "message", "checked"]
        del report["checked"]
        return report

    assert on_the_whole() == {
        "time": "2026-11-29T15:00:00Z",
        "outcome": "verified",
        "status": 0,
        "message": "Verified: 4 of 4.",
    }
    twilio.services.clear()
    assert on_the_whole() == {
        "time": "2026-11-29T15:00:00Z",
        "outcome": "refused",
        "status": 1,
        "message": "Not verified: 1 of 4.",
    }
    twilio.fail(503)
    Account.objects.update(is_default=False)
    assert on_the_whole() == {
        "time": "2026-11-29T15:00:00Z",
        "outcome": "refused",
        "status": 1,
        "message": "Not verified: 4 of 4. There is no default account. Choose one in the admin.",
    }


class Fails:
    """Lets the database fail, from the statement that has this text on."""

    def __init__(self, text: str, error: type[Exception] = OperationalError) -> None:
        self.text, self.error = text, error

    def __call__(self, execute: Any, sql: str, *args: Any) -> Any:
        if self.text in sql:
            raise self.error("It is gone.\nDETAIL: canary")
        return execute(sql, *args)


GONE = (
    "The database cannot be used: It is gone.\n"
    "If tables or columns are missing, run “manage.py migrate” first."
)


@pytest.mark.parametrize(
    ("error", "outcome", "status"),
    [
        (OperationalError, "unreachable", 3),
        (InterfaceError, "unreachable", 3),
        (ProgrammingError, "refused", 1),
    ],
)
def test_a_report_is_made_without_a_database_too(
    error: type[Exception], outcome: str, status: int, run: Callable[..., Run], rows: list[Any]
) -> None:
    with connection.execute_wrapper(Fails("SELECT", error)):
        result = run("--json")
    assert (result.error, result.status) == (GONE, status)
    assert (result.report["outcome"], result.report["message"]) == (outcome, GONE)
    assert result.results == []


def test_what_was_found_before_the_database_failed_is_told(
    run: Callable[..., Run], rows: list[Any], twilio: TwilioServer
) -> None:
    twilio.keys[sid("SK")].secret = new_secret()
    with connection.execute_wrapper(Fails("chatservice")):
        result = run("--json")
    assert result.outcomes == ["refused"]
    assert (result.error, result.status) == (f"Not verified: 1 of 1. {GONE}", 1)


def test_a_setting_that_cannot_be_used_is_a_report(
    run: Callable[..., Run], rows: list[Any], settings: Any
) -> None:
    settings.TWILIO_TOKENS_ACCOUNT = "nowhere.to_be_found"
    result = run("--json")
    assert result.error.startswith("not_configured: TWILIO_TOKENS_ACCOUNT should be")
    assert (result.report["outcome"], result.status) == ("refused", 1)


# --watch


@pytest.fixture
def during_the_sleeps(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """What happens in each sleep of a watch, after the last of which a signal comes."""

    def during(*happens: Callable[[], object]) -> list[float]:
        slept: list[float] = []
        steps = iter(happens)

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            next(steps, signal_it)()

        monkeypatch.setattr(twilio_verify, "time", SimpleNamespace(sleep=sleep))
        return slept

    return during


def signal_it() -> None:
    signal.raise_signal(signal.SIGTERM)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Connections are not really closed: they are in the test's transaction."""
    closed: list[str] = []
    close_all = lambda: closed.append("all")  # noqa: E731
    monkeypatch.setattr(twilio_verify, "connections", SimpleNamespace(close_all=close_all))
    return closed


@time_machine.travel(THREE, tick=False)
def test_a_watch_prints_a_line_each_time_and_one_for_each_that_is_not_verified(
    run: Callable[..., Run],
    rows: list[Any],
    twilio: TwilioServer,
    during_the_sleeps: Callable[..., list[float]],
    held: list[str],
) -> None:
    slept = during_the_sleeps(twilio.services.clear)
    result = run("--watch", "60")
    lines = result.output.splitlines()
    assert lines[:2] == [
        "2026-11-29T15:00:00Z  verified  Verified: 4 of 4.",
        "2026-11-29T15:00:00Z  refused  Not verified: 1 of 4.",
    ]
    assert [line.split("  ")[0] for line in lines[2:]] == ["refused"]
    assert (result.error, result.status) == ("Not verified: 1 of 4.", 1)
    assert (slept, held) == ([60, 60], ["all", "all"])


def test_a_watch_outlives_twilio_and_the_database_and_ends_as_its_last_check(
    run: Callable[..., Run],
    rows: list[Any],
    twilio: TwilioServer,
    during_the_sleeps: Callable[..., list[float]],
    held: list[str],
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with ExitStack() as without_database:
        gone = connection.execute_wrapper(Fails("SELECT"))
        during_the_sleeps(
            lambda: twilio.fail(503),
            lambda: without_database.enter_context(gone),
            lambda: (twilio.recover(), without_database.close()),
        )
        result = run("--json", "--watch=5")
    reports = [json.loads(line) for line in result.output.splitlines()]
    assert [each["outcome"] for each in reports] == [
        "verified",
        "unreachable",
        "unreachable",
        "verified",
    ]
    assert [len(each["checked"]) for each in reports] == [4, 4, 0, 4]
    assert (result.error, result.status) == ("", 0)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_watch_hands_each_report_on_at_once(
    during_the_sleeps: Callable[..., list[float]], rows: list[Any], held: list[str]
) -> None:
    class Pipe(io.StringIO):
        read = ""

        def flush(self) -> None:
            self.read = self.getvalue()

    pipe = Pipe()
    reports: list[int] = []
    during_the_sleeps(*[lambda: reports.append(pipe.read.count("\n"))] * 2)
    with suppress(CommandError):
        call_command("twilio_verify", "--json", watch=5, stdout=pipe)
    assert reports == [1, 2]


@time_machine.travel(THREE, tick=False)
def test_a_line_of_a_watch_is_one(
    run: Callable[..., Run],
    rows: list[Any],
    during_the_sleeps: Callable[..., list[float]],
    held: list[str],
) -> None:
    during_the_sleeps()
    with connection.execute_wrapper(Fails("SELECT")):
        result = run("--watch", "5")
    assert result.output == (
        "2026-11-29T15:00:00Z  unreachable  The database cannot be used: It is gone.\n"
    )
    assert (result.error, result.status) == (GONE, 3)


def test_a_signal_before_the_first_report_ends_a_watch_as_it_ends_any_command(
    rows: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(twilio_verify, "verify_key", lambda key: signal_it())
    # As manage.py does it, which would also close the connection of the tests.
    with pytest.raises(KeyboardInterrupt):
        call_command("twilio_verify", watch=5)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_check_of_which_the_database_makes_an_error_at_a_signal_does_not_count(
    number: signal.Signals,
    run: Callable[..., Run],
    rows: list[Any],
    during_the_sleeps: Callable[..., list[float]],
    held: list[str],
) -> None:
    class Interrupted(Fails):
        """As psycopg, while it waits for an answer."""

        def __call__(self, *args: Any) -> Any:
            with suppress(KeyboardInterrupt):
                signal.raise_signal(number)
            return super().__call__(*args)

    with ExitStack() as stack:
        interrupted = connection.execute_wrapper(Interrupted("SELECT"))
        during_the_sleeps(lambda: stack.enter_context(interrupted))
        result = run("--json", "--watch=5")
    assert [json.loads(line)["outcome"] for line in result.output.splitlines()] == ["verified"]
    assert (result.error, result.status) == ("", 0)


@pytest.mark.parametrize("seconds", ["0", "-1", "86401"])
def test_a_watch_has_a_pause_of_at_most_a_day(
    seconds: str, run: Callable[..., Run], db: None
) -> None:
    result = run("--watch", seconds)
    assert (result.error, result.status) == ("--watch must be from 1 to 86,400 seconds.", 1)


@pytest.mark.parametrize("seconds", ["1", "86400"])
def test_and_of_at_least_a_second(
    seconds: str,
    run: Callable[..., Run],
    rows: list[Any],
    during_the_sleeps: Callable[..., list[float]],
    held: list[str],
) -> None:
    slept = during_the_sleeps()
    assert run("--watch", seconds).status == 0
    assert slept == [int(seconds)]


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
    assert (result.error, result.status) == ("Not verified: 1 of 4.", 1)
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
    assert (result.error, result.status) == ("Not verified: 4 of 4.", 3)
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
    assert (result.error, result.status) == ("Not verified: 1 of 6.", 1)
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
    assert (result.error, result.status) == ("Not verified: 1 of 5.", 1)
    assert "cannot be decrypted" in next(
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
        "message": "The account has no active API key. Add one.",
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
        "There is no default account. Choose one in the admin.",
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
    result = run(*arguments)
    assert (result.error, result.status) == (
        "There is no active API key. Add or activate one in the admin.",
        1,
    )
    if arguments:
        assert (result.outcomes, result.report["outcome"]) == ([], "refused")
    else:
        assert result.output == ""


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
