from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.models import Case, When
from django.db.models.signals import pre_save
from django.test import override_settings

from tests.site.models import Stage
from twilio_tokens.crypto import generate_key, matches
from twilio_tokens.grants import Chat, Video, Voice
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.management.variables import PREFIX, PURPOSES, read_env_file, twilio_variables
from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    PushCredential,
    SyncService,
    TwiMLApp,
    Workspace,
)

from . import twilio_server
from .databases import NoReplica
from .issued import decoded
from .reports import error_report
from .rows import add_key, new_secret, sid
from .twilio_server import Key, TwilioServer

pytestmark = pytest.mark.django_db

ROWS = (Account, APIKey, ChatService, TwiMLApp, PushCredential)
FIRST_NAMES = [
    "TWILIO_ACCOUNT_SID",
    "TWILIO_API_KEY",
    "TWILIO_API_SECRET",
    "TWILIO_CHAT_SERVICE_SID",
    "TWILIO_TWIML_APP_SID",
]
ALIASES = ["ACCOUNT_SID", "API_KEY_SID", "API_KEY_SECRET", "SERVICE_SID", "OUTGOING_SID"]


def counts() -> list[int]:
    return [model.objects.count() for model in ROWS]


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {name for purpose in PURPOSES for name in purpose.names}
    for name in list(os.environ):
        if name.startswith(PREFIX) or name in ours:
            monkeypatch.delenv(name)


@pytest.fixture
def values(secret: str) -> list[str]:
    """In the order of ``FIRST_NAMES``."""
    return [sid("AC"), sid("SK"), secret, sid("IS"), sid("AP")]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command in this environment, and returns what it printed."""

    def run(*arguments: str, **environment: str) -> str:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            call_command("twilio_import_env", *arguments)
        output = capsys.readouterr()
        run.errors.append(output.err)
        return output.out

    run.errors = []
    return run


@pytest.fixture
def environment(values: list[str]) -> dict[str, str]:
    return dict(zip(FIRST_NAMES, values, strict=True))


@pytest.fixture
def refused(run: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    """The message of a refusal, which leaves everything as it was, and shows no value."""

    def refused(*arguments: str, **environment: str) -> str:
        before = [list(model.objects.order_by("pk").values()) for model in ROWS]
        with pytest.raises(CommandError) as caught:
            run(*arguments, **environment)
        assert [list(model.objects.order_by("pk").values()) for model in ROWS] == before
        output = capsys.readouterr()
        assert output.out == ""
        said = str(caught.value) + output.err
        report = error_report(caught.value)
        secrets = [value for name, value in environment.items() if "SECRET" in name]
        assert not [value for value in secrets if value.strip() and value in report]
        assert not [value for value in environment.values() if len(value) > 8 and value in said]
        return said

    return refused


# From the environment


@pytest.mark.parametrize("names", [FIRST_NAMES, ALIASES], ids=["first", "alias"])
def test_after_an_import_tokens_of_every_product_verify_with_the_secret(
    names: list[str], run: Any, values: list[str], secret: str, user: User
) -> None:
    printed = run(**dict(zip(names, values, strict=True)))
    assert printed.splitlines() == [
        "created: account default",
        f"created: API key Imported …000000 ({sid('SK')})",
        "created: Chat service default",
        "created: TwiML App default",
    ]
    claims = decoded(issue_access_token(user=user, grants=[Video(), Chat(), Voice()]).token, secret)
    assert (claims["sub"], claims["iss"]) == (sid("AC"), sid("SK"))
    assert claims["grants"]["chat"]["service_sid"] == sid("IS")
    assert claims["grants"]["voice"]["outgoing"]["application_sid"] == sid("AP")


def test_services_and_apps_may_be_left_out(run: Any, environment: dict[str, str]) -> None:
    run(**dict(list(environment.items())[:3]))
    assert counts() == [1, 1, 0, 0, 0]


def test_white_space_around_a_value_is_dropped(run: Any, environment: dict[str, str]) -> None:
    run(**{name: f" {value}\t" for name, value in environment.items()})
    assert [model.objects.get().sid for model in ROWS[:4]] == [
        value for name, value in environment.items() if name.endswith(("SID", "KEY"))
    ]


def test_the_second_import_changes_nothing(run: Any, environment: dict[str, str]) -> None:
    run(**environment)
    before = [list(model.objects.values()) for model in ROWS]
    printed = run(**environment).splitlines()
    assert [line.split(":")[0] for line in printed] == ["unchanged"] * 4
    assert [list(model.objects.values()) for model in ROWS] == before


def test_a_changed_secret_updates_the_key_alone(
    run: Any, environment: dict[str, str], user: User
) -> None:
    run(**environment)
    environment["TWILIO_API_SECRET"] = new_secret()
    outcomes = [line.split(":")[0] for line in run(**environment).splitlines()]
    assert outcomes == ["unchanged", "updated", "unchanged", "unchanged"]
    token = issue_access_token(user=user, grants=[Video()]).token
    assert decoded(token, environment["TWILIO_API_SECRET"])


@pytest.mark.parametrize("harm", ["another key ring", "damaged", "of another row"])
def test_a_stored_secret_that_does_not_open_is_healed(
    harm: str, run: Any, environment: dict[str, str], settings: Any, user: User, secret: str
) -> None:
    run(**environment)
    if harm == "another key ring":
        settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key()]
    else:
        other = APIKey.objects.create(
            account=Account.objects.get(),
            name="Other",
            sid=sid("SK", "1"),
            region="us1",
            secret=new_secret(),
            is_active=False,
        )
        text = other.secret.text if harm == "of another row" else other.secret.text[:60]
        APIKey.objects.filter(sid=sid("SK")).update(secret=type(other.secret)(text))
    assert "updated: API key" in run(**environment)
    assert decoded(issue_access_token(user=user, grants=[Video()]).token, secret)
    assert "unchanged: API key" in run(**environment)


def test_what_admins_decided_stays_when_a_container_starts_again(
    run: Any, environment: dict[str, str], secret: str
) -> None:
    environment |= {"APN_PUSH_CREDENTIAL_SID": sid("CR")}
    run(**environment)
    Account.objects.create(name="Chosen", sid=sid("AC", "1"), is_default=True)
    account = Account.objects.get(sid=sid("AC"))
    agents = Group.objects.create(name="agents")
    service = ChatService.objects.get()
    service.groups.add(agents)
    ChatService.objects.create(account=account, name="chosen", sid=sid("IS", "1"), is_default=True)
    ChatService.objects.filter(pk=service.pk).update(name="support")
    TwiMLApp.objects.update(is_default=False, allow_incoming=True)
    APIKey.objects.update(name="Signing", is_active=False)
    PushCredential.objects.update(name="ios")
    before = [list(model.objects.order_by("pk").values()) for model in ROWS]
    assert run(**environment).splitlines() == [
        "unchanged: account default",
        f"unchanged: API key Signing ({sid('SK')})",
        "unchanged: Chat service support",
        "unchanged: TwiML App default",
        "unchanged: push credential ios",
    ]
    assert [list(model.objects.order_by("pk").values()) for model in ROWS] == before
    assert list(service.groups.all()) == [agents]


def test_what_is_new_becomes_the_default(
    run: Any, environment: dict[str, str], account: Account
) -> None:
    run(**environment | {"TWILIO_ACCOUNT_SID": sid("AC", "1")})
    assert Account.objects.get(is_default=True).sid == sid("AC", "1")


def test_a_changed_sid_of_a_service_is_taken_over_and_what_twilio_said_of_the_old_one_forgotten(
    run: Any, environment: dict[str, str]
) -> None:
    run(**environment)
    service = ChatService.objects.get()
    service.record_check("verified", "Twilio knows it as “Old”.")
    ChatService.objects.update(friendly_name="Old", is_default=False)
    environment["TWILIO_CHAT_SERVICE_SID"] = sid("IS", "1")
    assert "updated: Chat service default" in run(**environment)
    service.refresh_from_db()
    assert (service.sid, service.is_default) == (sid("IS", "1"), False)
    assert (service.checked_at, service.check_outcome, service.friendly_name) == (None, "", "")


def test_a_service_that_two_accounts_have_is_that_of_the_account(
    run: Any, environment: dict[str, str], account: Account, other: Account
) -> None:
    for each in (other, account):
        ChatService.objects.create(account=each, name=f"at-{each.pk}", sid=sid("IS"))
    assert f"unchanged: Chat service at-{account.pk}\n" in run(**environment)


@pytest.mark.parametrize(
    ("name", "stored_sid"),
    [("default", sid("IS", "1")), ("support", sid("IS"))],
    ids=["name taken", "SID stored"],
)
def test_a_service_of_another_account_is_not_taken_away(
    name: str, stored_sid: str, refused: Any, environment: dict[str, str], account: Account
) -> None:
    ChatService.objects.create(account=account, name=name, sid=stored_sid, is_default=True)
    assert refused(**environment | {"TWILIO_ACCOUNT_SID": sid("AC", "1")}) == (
        "Nothing was imported.\n"
        f"TWILIO_CHAT_SERVICE_SID: the Chat service “{name}” on this site belongs to another "
        "account. Rename or delete it in the admin, or unset TWILIO_CHAT_SERVICE_SID."
    )


def test_a_new_key_signs_from_then_on(run: Any, environment: dict[str, str], user: User) -> None:
    run(**environment)
    environment |= {"TWILIO_API_KEY": sid("SK", "1"), "TWILIO_API_SECRET": new_secret()}
    assert "created: API key" in run(**environment)
    token = issue_access_token(user=user, grants=[Video()]).token
    assert decoded(token, environment["TWILIO_API_SECRET"])["iss"] == sid("SK", "1")


def test_a_key_that_is_not_active_stays_so_and_is_told_of(
    run: Any, environment: dict[str, str], api_key: APIKey, monkeypatch: Any, capsys: Any
) -> None:
    APIKey.objects.update(is_active=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    call_command("twilio_import_env")
    assert f"API key Key ({sid('SK')}) is not active. Activate it" in capsys.readouterr().err
    assert not APIKey.objects.get().is_active


# The names that Twilio's samples use, and what else bears such names

ACCOUNT, KEY, SECRET = sid("AC"), sid("SK"), new_secret()
SERVICE, APP = {"chat": sid("IS")}, {"app": sid("AP")}
SYNC, WORKSPACE = {"sync": sid("IS", "3")}, {"workspace": sid("WS")}
APN, FCM = {"apn": sid("CR")}, {"fcm": sid("CR", "1")}
TWILIO_KEY = {
    "TWILIO_ACCOUNT_SID": ACCOUNT,
    "TWILIO_API_KEY": KEY,
    "TWILIO_API_SECRET": SECRET,
}
BARE_KEY = {"TWILIO_ACCOUNT_SID": ACCOUNT, "API_KEY": KEY, "API_SECRET": SECRET}
BARE_KEY_SID = {"ACCOUNT_SID": ACCOUNT, "API_KEY_SID": KEY, "API_KEY_SECRET": SECRET}
SAMPLES: dict[str, tuple[dict[str, str], dict[str, str], list[str]]] = {
    "video app": (
        {
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_API_KEY_SID": KEY,
            "TWILIO_API_KEY_SECRET": SECRET,
            "TWILIO_CONVERSATIONS_SERVICE_SID": sid("IS"),
            "REACT_APP_SET_AUTH": "firebase",
        },
        SERVICE,
        [],
    ),
    "video quickstart": (TWILIO_KEY, {}, []),
    "SDK starter": (
        TWILIO_KEY
        | {"TWILIO_CHAT_SERVICE_SID": sid("IS"), "TWILIO_SYNC_SERVICE_SID": "default"}
        | {"TWILIO_NOTIFICATION_SERVICE_SID": sid("IS", "2")},
        SERVICE,
        ["TWILIO_NOTIFICATION_SERVICE_SID", "TWILIO_SYNC_SERVICE_SID"],
    ),
    "voice quickstart, Node": (
        TWILIO_KEY
        | {"TWILIO_TWIML_APP_SID": sid("AP"), "TWILIO_CALLER_ID": "+15550100", "NGROK": "x"},
        APP,
        ["TWILIO_CALLER_ID"],
    ),
    "voice quickstart, Python": (BARE_KEY | {"TWILIO_TWIML_APP_SID": sid("AP")}, APP, []),
    "browser calls": (BARE_KEY | {"TWILIO_APP_SID": sid("AP")}, APP, []),
    "browser calls, Django": (BARE_KEY | {"TWIML_APPLICATION_SID": sid("AP")}, APP, []),
    "browser calls, Laravel": (BARE_KEY | {"TWILIO_TWIML_APPLICATION_SID": sid("AP")}, APP, []),
    "voice functions": (
        {"ACCOUNT_SID": ACCOUNT, "API_KEY": KEY, "API_SECRET": SECRET, "APP_SID": sid("AP")},
        APP,
        [],
    ),
    "voice server for phones": (
        BARE_KEY_SID | {"OUTGOING_SID": sid("AP"), "PUSH_CREDENTIAL_SID": sid("CR")},
        APP,
        ["PUSH_CREDENTIAL_SID"],
    ),
    "voice app, React Native": (
        BARE_KEY_SID
        | {"TWIML_APP_SID": sid("AP"), "AUTH_TOKEN": "f" * 32, "CALLER_ID": "+15550100"}
        | {"APN_PUSH_CREDENTIAL_SID": sid("CR"), "FCM_PUSH_CREDENTIAL_SID": sid("CR", "1")},
        APP | APN | FCM,
        [],
    ),
    "conversations demo": (BARE_KEY | {"SERVICE_SID": sid("IS")}, SERVICE, []),
    "conversations functions": (BARE_KEY_SID | {"TWILIO_SERVICE_SID": sid("IS")}, SERVICE, []),
    "TaskRouter": (
        TWILIO_KEY | {"TWILIO_WORKSPACE_SID": sid("WS"), "TWILIO_AUTH_TOKEN": "f" * 32},
        WORKSPACE,
        ["TWILIO_AUTH_TOKEN"],
    ),
    "TaskRouter functions": (
        BARE_KEY_SID | {"TWILIO_TASKROUTER_WORKSPACE_SID": sid("WS")},
        WORKSPACE,
        [],
    ),
    "TaskRouter without prefix": (BARE_KEY_SID | {"WORKSPACE_SID": sid("WS")}, WORKSPACE, []),
    "Sync": (TWILIO_KEY | {"TWILIO_SYNC_SERVICE_SID": sid("IS", "3")}, SYNC, []),
    "Sync without prefix": (
        BARE_KEY | {"SYNC_SERVICE_SID": sid("IS", "3"), "SERVICE_SID": sid("IS")},
        SYNC | SERVICE,
        [],
    ),
    "a product of the site's own": (
        TWILIO_KEY | {"TWILIO_STAGE_SID": sid("VL")},
        {"stage": sid("VL")},
        [],
    ),
    "another service's key": (
        TWILIO_KEY | {"API_KEY": "sk-abc", "API_SECRET": new_secret(), "APP_SID": "shop"},
        {},
        ["API_KEY", "API_SECRET", "APP_SID"],
    ),
    "another service's key and secret beside a pair of Twilio's without prefix": (
        BARE_KEY_SID | {"API_KEY": "sk-abc", "API_SECRET": new_secret()},
        {},
        ["API_KEY", "API_SECRET"],
    ),
    "another Twilio account's": (
        TWILIO_KEY | {"ACCOUNT_SID": sid("AC", "1"), "API_KEY": sid("SK", "1")},
        {},
        ["ACCOUNT_SID", "API_KEY"],
    ),
    "the same twice": (TWILIO_KEY | {"ACCOUNT_SID": ACCOUNT, "API_SECRET": SECRET}, {}, []),
    "a Verify service": (
        TWILIO_KEY | {"TWILIO_SERVICE_SID": sid("VA"), "TWILIO_TOKENS_AUDIT": "1"},
        {},
        ["TWILIO_SERVICE_SID"],
    ),
    "the one name beside a Sync service": (
        TWILIO_KEY
        | {"TWILIO_CHAT_SERVICE_SID": sid("IS"), "TWILIO_SERVICE_SID": sid("IS", "2")}
        | {"TWILIO_REGION": "us1", "TWILIO_EDGE": "ashburn"},
        SERVICE,
        ["TWILIO_EDGE", "TWILIO_SERVICE_SID"],
    ),
}


KINDS: dict[Any, str] = {
    ChatService: "chat",
    TwiMLApp: "app",
    SyncService: "sync",
    Workspace: "workspace",
    Stage: "stage",
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_environments_of_twilios_samples_are_imported(name: str, run: Any) -> None:
    environment, resources, left_alone = SAMPLES[name]
    printed = run(**environment).splitlines()
    key = APIKey.objects.get()
    assert (key.account.sid, key.sid) == (ACCOUNT, KEY)
    assert matches(key.secret, SECRET, row=key.id, sid=key.sid)
    stored = {
        name: row.sid
        for model, name in KINDS.items()
        for row in model.objects.filter(name="default", is_default=True)
    }
    stored |= {row.name: row.sid for row in PushCredential.objects.filter(is_default=True)}
    assert stored == resources
    assert all(each.name == each.platform for each in PushCredential.objects.all())
    told = [line.removeprefix("left alone: ") for line in printed if "left alone: " in line]
    assert told == ([", ".join(left_alone)] if left_alone else [])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"TWILIO_ACCOUNT_SID": ACCOUNT, "API_KEY": "sk-abc", "API_SECRET": new_secret()},
            "Not set: TWILIO_API_KEY, TWILIO_API_SECRET.\n"
            "API_KEY was ignored. Expected an API key SID: SK and 32 digits (0–9, a–f).\n"
            "API_SECRET was ignored. It belongs to API_KEY.",
        ),
        (
            {"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_API_KEY": KEY, "API_SECRET": new_secret()},
            "Not set: TWILIO_API_SECRET.\nAPI_SECRET was ignored. It belongs to API_KEY.",
        ),
        (
            BARE_KEY | {"API_KEY_SID": sid("SK", "1")},
            "API_KEY and API_KEY_SID have different values. Unset all but one.\n"
            "Not set: TWILIO_API_SECRET.\nAPI_SECRET was ignored. It belongs to API_KEY.",
        ),
        (BARE_KEY | {"API_SECRET": "short"}, "API_SECRET: A secret has 16 to 128 letters, digits"),
    ],
)
def test_what_was_passed_over_is_explained_where_it_is_missed(
    given: dict[str, str], says: str, refused: Any
) -> None:
    assert refused(**given).startswith(f"Nothing was imported.\n{says}")


# Rotation


@pytest.fixture
def twilio(settings: Any, api_key: APIKey, environment: dict[str, str]) -> Iterator[TwilioServer]:
    """It knows the key of the environment, which is newer than ``api_key``."""
    environment |= {"TWILIO_API_KEY": sid("SK", "1")}
    with twilio_server.running(settings) as server:
        server.keys[sid("SK", "1")] = Key(environment["TWILIO_API_SECRET"], sid("AC"))
        yield server


RETIRE = "--retire-others"


def active() -> set[str]:
    return set(APIKey.objects.filter(is_active=True).values_list("sid", flat=True))


def test_the_key_that_twilio_accepts_retires_the_others(
    run: Any, twilio: TwilioServer, environment: dict[str, str], other: Account, api_key: APIKey
) -> None:
    theirs = add_key(other, sid=sid("SK", "e"))
    printed = run(RETIRE, **environment)
    assert f"retired: API key Key ({sid('SK')})" in printed
    assert active() == {sid("SK", "1"), theirs.sid}
    api_key.refresh_from_db()
    assert api_key.retired_at is not None
    assert APIKey.objects.get(sid=sid("SK", "1")).check_outcome == "verified"


def test_once_it_is_done_twilio_is_not_asked_again(
    run: Any, twilio: TwilioServer, environment: dict[str, str]
) -> None:
    run(RETIRE, **environment)
    twilio.requests.clear()
    twilio.fail(503)
    assert "unchanged: API key" in run(RETIRE, **environment)
    assert twilio.requests == []


@pytest.mark.parametrize(("failures", "waits"), [(4, [0.1, 0.2, 0.3, 0.4]), (5, None)])
def test_what_somebody_else_was_in_the_way_of_is_tried_five_times(
    run: Any,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    failures: int,
    waits: list[float] | None,
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    left = [OperationalError("database is locked")] * failures

    def fail(execute: Any, sql: str, *args: Any) -> Any:
        if left and sql.startswith("INSERT INTO"):
            raise left.pop()
        return execute(sql, *args)

    with connection.execute_wrapper(fail):
        if waits is None:
            with pytest.raises(CommandError):
                run(**environment)
        else:
            run(**environment)
            assert waited == pytest.approx(waits)


@pytest.mark.parametrize("is_stored", [False, True])
@pytest.mark.parametrize("fault", ["refused", "unreachable"])
def test_a_key_that_twilio_does_not_accept_retires_none_and_is_not_imported(
    fault: str,
    is_stored: bool,
    run: Any,
    refused: Any,
    twilio: TwilioServer,
    environment: dict[str, str],
) -> None:
    if is_stored:
        run(**environment)
    if fault == "refused":
        twilio.keys.clear()
    else:
        twilio.fail(503, headers={"Retry-After": "99"})
    said = refused(RETIRE, **environment)
    reasons = {"refused": "Twilio rejects this SID with this", "unreachable": "Twilio cannot answ"}
    assert said.startswith(f"Nothing was imported.\nTWILIO_API_KEY: {reasons[fault]}")


@pytest.mark.parametrize(
    ("fault", "service", "status"),
    [("refused", "IS", 1), ("unreachable", "IS", 3), ("unreachable", "XX", 1)],
)
def test_the_exit_status_tells_whether_to_try_again_later_is_enough(
    fault: str,
    service: str,
    status: int,
    run: Any,
    twilio: TwilioServer,
    environment: dict[str, str],
) -> None:
    if fault == "refused":
        twilio.keys.clear()
    else:
        twilio.fail(503, headers={"Retry-After": "99"})
    with pytest.raises(CommandError) as caught:
        run(RETIRE, **{**environment, "TWILIO_CHAT_SERVICE_SID": sid(service)})
    assert caught.value.returncode == status


def test_a_key_that_an_admin_retired_retires_no_other(
    run: Any, twilio: TwilioServer, environment: dict[str, str], capsys: Any
) -> None:
    run(RETIRE, **environment)
    APIKey.objects.update(is_active=Case(When(sid=sid("SK"), then=True), default=False))
    run(RETIRE, **environment)
    assert active() == {sid("SK")}
    assert "No other API key was retired.\n" in run.errors[-1]


def test_a_newer_key_that_an_admin_added_signs_on(
    run: Any, twilio: TwilioServer, environment: dict[str, str], account: Account
) -> None:
    run(**environment)
    newer = add_key(account)
    run(RETIRE, **environment)
    assert active() == {sid("SK", "1"), newer.sid}
    assert (
        f"API key {newer} is newer, so it was not retired and continues to sign.\n"
        in run.errors[-1]
    )


def test_a_key_that_cannot_be_stored_retires_none(
    refused: Any, twilio: TwilioServer, environment: dict[str, str], settings: Any
) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = []
    assert "TWILIO_API_SECRET: The secret cannot be stored" in refused(RETIRE, **environment)


def test_with_bad_variables_twilio_is_not_asked(
    refused: Any, twilio: TwilioServer, environment: dict[str, str]
) -> None:
    refused(RETIRE, **environment | {"TWILIO_TWIML_APP_SID": "x"})
    assert twilio.requests == []


# What is refused


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ([], ["TWILIO_ACCOUNT_SID", "TWILIO_API_KEY", "TWILIO_API_SECRET"]),
        (["TWILIO_ACCOUNT_SID", "TWILIO_API_SECRET"], ["TWILIO_API_KEY"]),
        (["TWILIO_API_KEY"], ["TWILIO_ACCOUNT_SID", "TWILIO_API_SECRET"]),
        (FIRST_NAMES[3:], ["TWILIO_ACCOUNT_SID", "TWILIO_API_KEY", "TWILIO_API_SECRET"]),
    ],
    ids=lambda names: "-".join(names) or "nothing",
)
@pytest.mark.parametrize("rest", [None, " "], ids=["unset", "blank"])
def test_a_half_set_environment_names_what_is_missing(
    given: list[str],
    missing: list[str],
    rest: str | None,
    refused: Any,
    environment: dict[str, str],
) -> None:
    half = {name: environment[name] for name in given}
    if rest is not None:
        half = dict.fromkeys(environment, rest) | half
    assert refused(**half).splitlines() == [
        "Nothing was imported.",
        f"Not set: {', '.join(missing)}.",
    ]


BAD = [
    ("TWILIO_ACCOUNT_SID", sid("SK"), "This is an API key SID (SK…). Expected an Acc"),
    ("TWILIO_ACCOUNT_SID", sid("AC")[:-1], "This has 33 characters"),
    ("TWILIO_API_KEY", sid("AC"), "This is an Account SID (AC…)"),
    ("TWILIO_API_KEY", "f" * 32, "This looks like an auth token"),
    ("TWILIO_API_KEY", new_secret() + "!", "This looks like a secret, not a SID"),
    ("TWILIO_API_SECRET", sid("SK"), "This is a SID."),
    ("TWILIO_API_SECRET", "f" * 32, "This looks like the account's auth token."),
    ("TWILIO_API_SECRET", new_secret()[:15], "A secret has 16 to 128 letters"),
    ("TWILIO_CHAT_SERVICE_SID", sid("AP"), "This is a TwiML App SID (AP…)"),
    ("TWILIO_TWIML_APP_SID", sid("AP", "g"), "After AP, only the digits 0–9"),
    ("TWILIO_FCM_PUSH_CREDENTIAL_SID", sid("AP"), "This is a TwiML App SID (AP…)"),
    ("TWILIO_ACCOUNT_SID", f'"{sid("AC")}"', "The value includes quotation marks. Remove them"),
    ("TWILIO_API_SECRET", f"'{new_secret()}'", "The value includes quotation marks. Remove them"),
]


@pytest.mark.parametrize(
    ("name", "value", "says"), BAD, ids=[f"{name}-{says}" for name, _, says in BAD]
)
def test_a_bad_value_is_told_by_its_variable_and_takes_everything_back(
    name: str, value: str, says: str, refused: Any, environment: dict[str, str]
) -> None:
    said = refused(**environment | {name: value})
    assert said.startswith(f"Nothing was imported.\n{name}: {says}")
    assert counts() == [0, 0, 0, 0, 0]


def test_a_bad_value_at_the_end_takes_the_changes_back_as_well(
    run: Any, refused: Any, environment: dict[str, str], user: User, secret: str
) -> None:
    run(**environment)
    changed = {"TWILIO_API_SECRET": new_secret(), "TWILIO_TWIML_APP_SID": sid("AC")}
    assert "TWILIO_TWIML_APP_SID: This is an Account SID" in refused(**environment | changed)
    assert decoded(issue_access_token(user=user, grants=[Video()]).token, secret)


def test_all_that_is_wrong_is_told_at_once(
    refused: Any, environment: dict[str, str], account: Account, settings: Any
) -> None:
    other = Account.objects.create(name="Other", sid=sid("AC", "1"))
    TwiMLApp.objects.create(account=other, name="default", sid=sid("AP", "1"))
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = []
    said = refused(
        **environment
        | {"TWILIO_CHAT_SERVICE_SID": "x", "FCM_PUSH_CREDENTIAL_SID": sid("CR")}
        | {"TWILIO_FCM_PUSH_CREDENTIAL_SID": "y", "TWILIO_REGION": "ie1"}
    )
    assert [line.split(": ")[0] for line in said.splitlines()] == [
        "Nothing was imported.",
        "TWILIO_REGION",
        "TWILIO_CHAT_SERVICE_SID",
        "TWILIO_FCM_PUSH_CREDENTIAL_SID",
        "TWILIO_API_SECRET",
        "TWILIO_TWIML_APP_SID",
    ]


@pytest.mark.parametrize(
    ("name", "alias", "other"),
    [
        ("TWILIO_API_KEY", "TWILIO_API_KEY_SID", sid("SK", "1")),
        ("TWILIO_API_SECRET", "TWILIO_API_KEY_SECRET", new_secret()),
        ("TWILIO_CHAT_SERVICE_SID", "TWILIO_CONVERSATIONS_SERVICE_SID", sid("IS", "1")),
        ("TWILIO_TWIML_APP_SID", "TWILIO_APP_SID", "default"),
    ],
    ids=["key", "secret", "service", "app"],
)
def test_two_prefixed_names_of_one_value_may_agree_but_not_differ(
    name: str, alias: str, other: str, run: Any, refused: Any, environment: dict[str, str]
) -> None:
    said = refused(**environment, **{alias: other})
    assert (
        said
        == f"Nothing was imported.\n{name} and {alias} have different values. Unset all but one."
    )
    assert "created" in run(**environment, **{alias: environment[name]})


@pytest.mark.parametrize("region", ["ie1", " IE1 ", "au1"])
def test_a_region_other_than_us1_is_refused(
    region: str, refused: Any, environment: dict[str, str]
) -> None:
    said = refused(**environment, TWILIO_REGION=region)
    needed = "Access Tokens need an API key of region US1"
    assert f"TWILIO_REGION: {needed}, not {region.strip().lower()}." in said
    assert "Create one in the Twilio Console, and unset TWILIO_REGION." in said


@pytest.mark.parametrize("region", ["", "us1", "US1"])
def test_us1_and_no_region_are_imported(region: str, run: Any, environment: dict[str, str]) -> None:
    run(**environment, TWILIO_REGION=region)
    assert counts() == [1, 1, 1, 1, 0]


def test_a_key_that_is_stored_with_another_account_is_refused(
    refused: Any, environment: dict[str, str], api_key: APIKey
) -> None:
    said = refused(**environment | {"TWILIO_ACCOUNT_SID": sid("AC", "1")})
    assert said == (
        "Nothing was imported.\nTWILIO_API_KEY: this API key is stored with a different account "
        "from TWILIO_ACCOUNT_SID."
    )


@pytest.mark.parametrize(
    ("ring", "problem"), [(None, "is not set"), (["nonsense"], "Key 1 of")], ids=["none", "bad"]
)
@pytest.mark.parametrize("is_known", [False, True])
def test_without_a_usable_key_ring_nothing_is_imported(
    ring: Any,
    problem: str,
    is_known: bool,
    run: Any,
    refused: Any,
    environment: dict[str, str],
    settings: Any,
) -> None:
    if is_known:
        run(**environment)
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = ring
    said = refused(**environment)
    assert said.startswith("Nothing was imported.\nTWILIO_API_SECRET: The secret cannot be stored")
    assert problem in said


# From a file


def import_file(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    call_command("twilio_import_env", env_file=path)


@pytest.mark.parametrize(
    "line",
    [
        "{name}={value}",
        "export {name}={value}",
        "\t{name} = '{value}'  ",
        'export   {name}="{value}"',
        "{name}={value} # it's from the Console",
        "# don't commit this\n#it's secret\n\n{name}={value}",
        "\ufeff{name}={value}",
        "{name}=nonsense\r\n{name}={value}\r",
        "GREETING=it's\nPATHS=C:\\new\\\nOPEN='it\n= \nNO_VALUE\n1 2 3\n{name}={value}",
        'KEY="-----BEGIN-----\nabc=\n-----END-----"\n{name}={value}',
        "HOME=${{HOME}}\n{name}={value}",
    ],
)
def test_a_file_is_read_as_its_programs_read_it(
    line: str, tmp_path: Path, environment: dict[str, str], secret: str, user: User
) -> None:
    first, *rest = environment.items()
    lines = [line.format(name=first[0], value=first[1]), *map("=".join, rest)]
    import_file(tmp_path / ".env", "\n".join(lines))
    assert counts() == [1, 1, 1, 1, 0]
    token = issue_access_token(user=user, grants=[Video()]).token
    assert decoded(token, secret)["sub"] == sid("AC")


def test_nothing_is_put_into_a_secret(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its dollar sign may be its own."""
    monkeypatch.setenv("HOME_SECRET", new_secret())
    environment["TWILIO_API_SECRET"] = whole = f"{new_secret()}$HOME_SECRET"
    lines = "\n".join(map("=".join, environment.items()))
    import_file(tmp_path / ".env", lines)
    key = APIKey.objects.get()
    assert matches(key.secret, whole, row=key.id, sid=key.sid)


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_secret_keeps_its_number_sign(
    quote: str, tmp_path: Path, environment: dict[str, str], secret: str, user: User
) -> None:
    environment["TWILIO_API_SECRET"] = whole = f"{secret}#{secret}"
    import_file(
        tmp_path / ".env",
        "\n".join(f"{name}={quote}{value}{quote}" for name, value in environment.items()),
    )
    assert decoded(issue_access_token(user=user, grants=[Video()]).token, whole)


def test_a_file_replaces_the_environment(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CommandError, match="Not set: TWILIO_API_KEY, TWILIO_API_SECRET"):
        import_file(tmp_path / ".env", f"TWILIO_ACCOUNT_SID={sid('AC')}")
    assert counts() == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("before", ["", "OPEN='it\n"], ids=["its own", "of a line before"])
def test_a_quotation_mark_that_is_not_closed_is_told_by_its_line(
    before: str, tmp_path: Path, secret: str
) -> None:
    line = "line 2: a quotation mark on or near this line is not closed"
    with pytest.raises(CommandError, match=line) as caught:
        import_file(tmp_path / ".env", f"{before or chr(10)}TWILIO_API_SECRET='{secret}\n")
    assert secret not in str(caught.value)


UNREADABLE = {
    "UTF-16": "TWILIO_API_KEY=x".encode("utf-16"),
    "UTF-16 without its mark": "TWILIO_API_KEY=x".encode("utf-16-le"),
    "Latin-1": "NAME=Zoë".encode("latin-1"),
    "endless": b"#" * 2_000_000,
    "missing": None,
    "folder": None,
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_that_cannot_be_read_is_told(case: str, tmp_path: Path) -> None:
    path = tmp_path if case == "folder" else tmp_path / ".env"
    data = UNREADABLE[case]
    if data is not None:
        path.write_bytes(data)
    reasons = {"endless": "is too large", "missing": "No such file", "folder": "Is a directory"}
    with pytest.raises(CommandError, match=reasons.get(case, "it is not UTF-8 text")):
        call_command("twilio_import_env", env_file=path)


def test_without_python_dotenv_a_file_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dotenv.parser", None)
    with pytest.raises(CommandError, match=r"pip install 'django-twilio-tokens\[env\]'"):
        import_file(tmp_path / ".env", "")


# Several at once

IMPORT_AT_ONCE = """
import sys, threading
from io import StringIO
import django
django.setup()
from django.core.management import call_command
from django.db import connection
from twilio_tokens.models import Account, APIKey, ChatService, TwiMLApp

def run():
    start.wait()
    try:
        call_command("twilio_import_env", stdout=StringIO())
    except BaseException as error:
        errors.append(repr(error))
    finally:
        connection.close()

if connection.vendor == "sqlite":
    call_command("migrate", verbosity=0)
start, errors = threading.Barrier(6), []
threads = [threading.Thread(target=run) for _ in range(6)]
[each.start() for each in threads]
[each.join() for each in threads]
print(errors, [model.objects.count() for model in (Account, APIKey, ChatService, TwiMLApp)])
"""


@pytest.mark.django_db(transaction=True)
def test_six_imports_at_once_import_everything_once(
    environment: dict[str, str], key_ring: list[str], tmp_path: Path
) -> None:
    database = connection.settings_dict
    url = f"sqlite:///{tmp_path / 'db.sqlite3'}"
    if connection.vendor != "sqlite":
        url = os.environ["DATABASE_URL"].rpartition("/")[0] + "/" + database["NAME"]
    (tmp_path / "at_once_settings.py").write_text(
        f"from tests.settings import *\nTWILIO_TOKENS_ENCRYPTION_KEYS = {key_ring!r}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_AT_ONCE],
        env={
            **os.environ,
            **environment,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "at_once_settings",
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).resolve().parent.parent}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[] [1, 1, 1, 1]\n", "")


def test_what_keeps_failing_is_told_after_a_few_attempts(
    refused: Any, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)

    def fail(**kwargs: Any) -> None:
        raise OperationalError("database is locked")

    pre_save.connect(fail, sender=APIKey)
    try:
        assert "The database cannot be used: database is locked" in refused(**environment)
    finally:
        pre_save.disconnect(fail, sender=APIKey)


def test_nothing_is_read_from_a_replica_that_lags_behind(
    run: Any, environment: dict[str, str], twilio: TwilioServer, settings: Any
) -> None:
    with override_settings(DATABASE_ROUTERS=[NoReplica()]):
        assert "created: API key" in run(RETIRE, **environment)
        assert "unchanged: API key" in run(RETIRE, **environment)
        environment["TWILIO_API_SECRET"] = new_secret()
        assert "updated: API key" in run(**environment)
    assert active() == {sid("SK", "1")}


@pytest.mark.parametrize(("size", "is_read"), [(1_048_576, True), (1_048_577, False)])
def test_a_file_of_up_to_a_mebibyte_is_read(
    size: int, is_read: bool, tmp_path: Path, environment: dict[str, str]
) -> None:
    file = tmp_path / ".env"
    lines = "".join(f"{name}={value}\n" for name, value in environment.items())
    file.write_text(lines.ljust(size, "#"))
    if is_read:
        assert read_env_file(file).keys() >= environment.keys()
    else:
        with pytest.raises(CommandError, match="is too large"):
            read_env_file(file)


@pytest.mark.parametrize("value", [f'"{sid("AC")}', f'{sid("AC")}"'])
def test_a_quotation_mark_on_one_side_is_not_said_to_be_around(value: str) -> None:
    (problem,) = [
        each
        for each in twilio_variables({"TWILIO_ACCOUNT_SID": value}).problems
        if each.startswith("TWILIO_ACCOUNT_SID")
    ]
    assert "quotation" not in problem


def test_of_several_names_the_first_is_told(environment: dict[str, str]) -> None:
    both = environment | {"TWILIO_API_KEY_SID": environment["TWILIO_API_KEY"]}
    given = twilio_variables(both)
    assert [each.name for each in given.found.values()] == FIRST_NAMES
    both |= {"TWILIO_API_KEY": sid("AC"), "TWILIO_API_KEY_SID": sid("AC")}
    assert [each.split(":")[0] for each in twilio_variables(both).problems][:1] == [
        "TWILIO_API_KEY"
    ]
