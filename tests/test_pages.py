"""The shorter blocks of the pages in ``docs``, run as they stand there."""

from __future__ import annotations

import ast
import json
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import get_commands
from rest_framework.test import APIClient

from tests.site.models import Webhook
from twilio_tokens.checks.error_reports import REPORTERS
from twilio_tokens.grants import WorkerGrant
from twilio_tokens.models import APIKey, ChatService, PushCredential

from .issued import decoded
from .prose import blocks
from .rows import sid


def block(page: str, start: str, language: str = "python") -> str:
    """The one that begins like this."""
    [found] = [each for each in blocks(page, language) if each.startswith(start)]
    return found


def run(text: str, **names: Any) -> dict[str, Any]:
    exec(text, names)  # noqa: S102 - our own documentation
    return names


def test_an_identity_may_be_whatever_a_function_returns(
    api: APIClient, api_key: APIKey, user: User, settings: Any
) -> None:
    names = run(block("docs/identity.md", "TWILIO_TOKENS_IDENTITY"))
    identity = settings.TWILIO_TOKENS_IDENTITY = names["TWILIO_TOKENS_IDENTITY"]
    assert identity(SimpleNamespace(employee_number="E17")) == "E17"
    assert api.post("/twilio/tokens/video/").data["code"] == "not_configured"  # no such attribute


def test_the_model_with_a_secret_is_the_one_that_is_tested() -> None:
    shown = ast.parse(block("docs/secrets.md", "class Webhook")).body[0]
    assert isinstance(shown, ast.ClassDef)
    fields = {ast.unparse(each.targets[0]) for each in shown.body if isinstance(each, ast.Assign)}
    assert fields <= {each.name for each in Webhook._meta.get_fields()}


def test_the_classes_for_error_reports_are_those_that_the_check_asks_for() -> None:
    names = run(block("docs/secrets.md", "DEFAULT_EXCEPTION_REPORTER"))
    for name, ours in REPORTERS.items():
        assert names[name] == f"{ours.__module__}.{ours.__name__}"


def test_the_crontab_of_the_console_has_five_times_and_a_command() -> None:
    *times, _manage, name, option, _zero = block("docs/console.md", "15 ", "text").split()
    assert len(times) == 5
    assert get_commands()[name] == "twilio_tokens"
    assert option == "--verbosity"


@pytest.mark.parametrize("body", blocks("docs/products.md", "json"))
def test_a_phone_names_its_platform(
    body: str, api: APIClient, api_key: APIKey, chat_service: ChatService, secret: str
) -> None:
    account = chat_service.account
    for digit, sandbox in (("1", False), ("2", True)):
        PushCredential.objects.create(
            account=account,
            name=f"ios-{digit}",
            sid=sid("CR", digit),
            platform="apn",
            sandbox=sandbox,
            is_default=True,
        )
    asked = json.loads(body)
    token = api.post("/twilio/tokens/chat/", asked, "json").data["token"]
    granted = decoded(token, secret)["grants"]["chat"]["push_credential_sid"]
    assert granted == sid("CR", "2" if asked.get("sandbox") else "1")


class Rows(list[Any]):
    """As much of a manager as the functions of the page use."""

    def filter(self, **lookups: Any) -> Rows:
        return self

    def first(self) -> Any:
        return self[0] if self else None


@pytest.mark.parametrize(("leads", "role"), [(True, "supervisor"), (False, "worker")])
def test_a_worker_is_who_the_function_says(leads: bool, role: str) -> None:
    worker = run(block("docs/products.md", "from twilio_tokens.grants import WorkerGrant"))[
        "worker"
    ]
    workspace = SimpleNamespace(sid=sid("WS"))
    agent = SimpleNamespace(worker_sid=sid("WK"), leads_a_team=leads)
    agents = SimpleNamespace(agents=Rows([agent]))
    assert worker(agents, workspace) == WorkerGrant(sid("WK"), role=role)
    assert worker(SimpleNamespace(agents=Rows()), workspace) is None


def test_the_receivers_of_the_page_take_what_the_signals_send(
    api: APIClient, api_key: APIKey, caplog: pytest.LogCaptureFixture
) -> None:
    names = run(block("docs/observability.md", "from django.dispatch"))
    try:
        assert api.post("/twilio/tokens/video/").status_code == 201
        assert api.post("/twilio/tokens/video/", {"rooom": "x"}, "json").status_code == 400
    finally:
        assert names["access_token_issued"].disconnect(names["issued"])
        assert names["access_token_refused"].disconnect(names["refused"])
    assert [each for each in caplog.records if each.name == "django.dispatch"] == []
