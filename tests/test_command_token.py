from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command, load_command_class
from rest_framework.test import APIClient
from twilio.jwt.access_token.grants import PlaybackGrant

from tests.site.models import Stage
from twilio_tokens.grants import Grant, WorkerGrant, base
from twilio_tokens.management.commands import twilio_token
from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    IssuedToken,
    SyncService,
    TwiMLApp,
    Workspace,
)

from .issued import decoded
from .rows import sid


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str) -> Any:
        call_command("twilio_token", *arguments)
        return capsys.readouterr()

    return run


def test_the_bare_token_is_on_standard_output_and_all_else_on_standard_error(
    run: Any, api_key: APIKey, user: User, secret: str
) -> None:
    output = run("anna", "--video", "DailyStandup")
    claims = decoded(output.out.removesuffix("\n"), secret)
    assert claims["grants"] == {"identity": "anna", "video": {"room": "DailyStandup"}}
    assert claims["exp"] - claims["iat"] == 86_400
    assert output.err.startswith(f"Identity anna, account {sid('AC')}, grants video, expires ")
    assert claims["jti"] == IssuedToken.objects.get().jti


def test_one_token_for_several_products_by_name(
    run: Any,
    api_key: APIKey,
    chat_service: ChatService,
    twiml_app: TwiMLApp,
    user: User,
    secret: str,
) -> None:
    output = run("anna", "--video", "--chat", "support", "--voice", "phone", "--ttl", "60")
    claims = decoded(output.out.strip(), secret)
    assert claims["grants"] == {
        "identity": "anna",
        "video": {},
        "chat": {"service_sid": sid("IS")},
        "voice": {"incoming": {"allow": True}, "outgoing": {"application_sid": sid("AP")}},
    }
    assert claims["exp"] - claims["iat"] == 60


def test_a_product_without_a_name_takes_the_default(
    run: Any,
    api_key: APIKey,
    chat_service: ChatService,
    twiml_app: TwiMLApp,
    user: User,
    secret: str,
) -> None:
    grants = decoded(run("anna", "--chat", "--voice").out.strip(), secret)["grants"]
    assert grants["chat"]["service_sid"] == sid("IS")
    assert grants["voice"]["outgoing"]["application_sid"] == sid("AP")


def test_every_product_is_an_option_also_one_of_the_sites_own(
    run: Any, api_key: APIKey, account: Account, user: User, secret: str, settings: Any
) -> None:
    settings.TWILIO_TOKENS_WORKER = lambda user, workspace: WorkerGrant(sid("WK"))
    for model, prefix in ((SyncService, "IS"), (Workspace, "WS"), (Stage, "VL")):
        model.objects.create(account=account, name="main", sid=sid(prefix), is_default=True)
    expected = {
        "identity": "anna",
        "data_sync": {"service_sid": sid("IS")},
        "task_router": {
            "workspace_sid": sid("WS"),
            "worker_sid": sid("WK"),
            "role": "worker",
        },
        "player": {"stage": sid("VL")},
    }
    for arguments in (
        ["--sync", "--taskrouter", "--live"],
        ["--sync", "main", "--taskrouter", "main", "--live", "main"],
    ):
        assert decoded(run("anna", *arguments).out.strip(), secret)["grants"] == expected


@dataclass(frozen=True)
class WhiteBoard(Grant):
    product = "white_board"

    def to_twilio(self, user: Any, resources: Any) -> PlaybackGrant:
        return PlaybackGrant({})


@dataclass(frozen=True)
class CountedBoard(WhiteBoard):
    product = "counted_board"

    seats: int | None = None


def test_the_help_says_what_each_product_asks_for() -> None:
    command = load_command_class("twilio_tokens", "twilio_token")
    text = command.create_parser("manage.py", "twilio_token").format_help()
    assert "--video [ROOM]" in text
    assert "--chat [NAME]" in text


def test_a_product_without_a_text_to_ask_for_is_a_switch(
    run: Any, api_key: APIKey, user: User, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        base, "_registry", {each.product: each for each in (WhiteBoard, CountedBoard)}
    )
    for option in ("--white-board", "--counted-board"):
        grants = decoded(run("anna", option).out.strip(), secret)["grants"]
        assert grants == {"identity": "anna", "player": {}}


def test_json_is_what_the_http_api_answers(
    run: Any, api_key: APIKey, user: User, secret: str, api: APIClient
) -> None:
    printed = json.loads(run("anna", "--video", "--json").out)
    answered = api.post("/twilio/tokens/video/").json()
    assert printed.keys() == answered.keys()
    assert printed["grants"] == answered["grants"]
    claims = decoded(printed["token"], secret)
    assert claims["jti"] == printed["jti"]
    assert (
        claims["exp"]
        == datetime.fromisoformat(printed["expires_at"].replace("Z", "+00:00")).timestamp()
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("berta", "--video"), r"^There is no user named berta\.$"),
        (("\udcff", "--video"), r"^There is no user named \\udcff\.$"),
        (("anna", "--video", "\udcff"), "^surrogate_characters_not_allowed: "),
        (("anna", "--video", "a\x00b"), "^null_characters_not_allowed: "),
        (("anna", "--chat", "\udcff"), "^does_not_exist: "),
        (("anna", "--video", "--ttl", "9" * 4000), "^max_value: "),
        (("anna", "--video", "--ttl", "9" * 5000), "invalid int value"),
        (("anna",), r"^Name at least one product: --video, --chat, .*--live"),
        (("anna", "--video", ""), "^blank: "),
        (("anna", "--video", "--ttl", "86401"), "^max_value: .*86400"),
        (("anna", "--video", "--ttl", "0"), "^min_value: "),
        (("anna", "--chat", "other"), "^does_not_exist: "),
        (("anna", "--chat", ""), "^does_not_exist: "),
        (("anna", "--voice"), r"^not_configured: Account AC0+ has no default TwiML App"),
    ],
    ids=lambda value: ascii(" ".join(value))[:40] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_issued_is_told_and_nothing_printed(
    arguments: tuple[str, ...],
    says: str,
    api_key: APIKey,
    user: User,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(CommandError, match=says):
        call_command("twilio_token", *arguments)
    assert capsys.readouterr().out == ""
    assert not IssuedToken.objects.exists()


def test_the_user_has_no_more_rights_than_over_http(
    run: Any, api_key: APIKey, chat_service: ChatService, user: User
) -> None:
    group = Group.objects.create(name="agents")
    chat_service.groups.add(group)
    with pytest.raises(CommandError, match=r"^does_not_exist: "):
        run("anna", "--chat", "support")
    user.groups.add(group)
    assert run("anna", "--chat", "support").out


def test_a_name_that_fits_several_users_is_refused_with_theirs(
    run: Any, api_key: APIKey, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = User(username="Anna")
    monkeypatch.setattr(twilio_token, "users_named", lambda name: [user, twin])
    with pytest.raises(CommandError, match=r"^Several users match ANNA: anna, Anna\. Use the e"):
        run("ANNA", "--video")


def test_an_inactive_user_gets_no_token(run: Any, api_key: APIKey, user: User) -> None:
    User.objects.update(is_active=False)
    with pytest.raises(CommandError, match=r"^not_authenticated: "):
        run("anna", "--video")


def test_the_room_policy_holds_here_too(
    run: Any, api_key: APIKey, user: User, settings: Any
) -> None:
    settings.TWILIO_TOKENS_ROOM_POLICY = lambda user, room: False
    with pytest.raises(CommandError, match=r"^permission_denied: "):
        run("anna", "--video", "DailyStandup")


def test_the_operator_is_told_the_reason_that_http_keeps_to_the_log(
    run: Any, account: Account, user: User, settings: Any, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(CommandError, match=r"^not_configured: Account AC0+ has no active API key"):
        run("anna", "--video")
    request.getfixturevalue("api_key")
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = ["nonsense"]
    with pytest.raises(CommandError, match=r"^secret_unavailable: Key 1 of TWILIO_TOKENS"):
        run("anna", "--video")
