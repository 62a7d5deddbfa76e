"""Who chooses the parameters that a TwiML app gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from rest_framework.test import APIClient

from tests.issued import decoded
from twilio_tokens.exceptions import NotConfigured, PermissionDenied
from twilio_tokens.grants import Voice
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import IssuedToken, TwiMLApp

URL = "/twilio/tokens/voice/"
PARAMS = {"To": "+15550100", "caller": "Anna Ö"}

pytestmark = pytest.mark.usefixtures("api_key", "twiml_app")


def test_the_client_chooses_the_parameters(api: APIClient, secret: str) -> None:
    token = api.post(URL, {"params": PARAMS}, format="json").json()["token"]
    assert decoded(token, secret)["grants"]["voice"]["outgoing"]["params"] == PARAMS


@pytest.mark.usefixtures("chat_service")
@pytest.mark.parametrize("address", [URL, "/twilio/tokens/"])
def test_a_site_may_take_no_parameters(api: APIClient, settings: Any, address: str) -> None:
    settings.TWILIO_TOKENS_PARAMS = False
    voice = {"params": PARAMS}
    body = voice if address == URL else {"voice": voice, "chat": {}}
    answer = api.post(address, body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert not IssuedToken.objects.exists()


@pytest.mark.parametrize("nothing", [{}, {"params": {}}])
@pytest.mark.parametrize("policy", [False, lambda user, app, params: False])
def test_without_parameters_there_is_nothing_to_refuse(
    api: APIClient, settings: Any, secret: str, policy: Any, nothing: dict[str, Any]
) -> None:
    settings.TWILIO_TOKENS_PARAMS = policy
    token = api.post(URL, nothing, format="json").json()["token"]
    assert "params" not in decoded(token, secret)["grants"]["voice"]["outgoing"]


def test_a_function_judges_user_app_and_parameters(
    user: User, twiml_app: TwiMLApp, secret: str, settings: Any
) -> None:
    asked: list[Any] = []
    settings.TWILIO_TOKENS_PARAMS = lambda *args: asked.append(args) or True
    issued = issue_access_token(user=user, grants=[Voice(params=PARAMS)])
    assert decoded(issued.token, secret)["grants"]["voice"]["outgoing"]["params"] == PARAMS
    assert asked == [(user, twiml_app, PARAMS)]


def test_what_the_function_does_to_the_parameters_is_not_signed(
    user: User, secret: str, settings: Any
) -> None:
    settings.TWILIO_TOKENS_PARAMS = lambda user, app, params: params.update(admin="1") or True
    issued = issue_access_token(user=user, grants=[Voice(params={**PARAMS})])
    assert decoded(issued.token, secret)["grants"]["voice"]["outgoing"]["params"] == PARAMS


async def later() -> bool:
    return True


# What an async function returns is dropped without having been awaited, and Python says so.
@pytest.mark.filterwarnings("ignore:coroutine 'later' was never awaited")
@pytest.mark.parametrize("answer", [lambda: False, lambda: None, lambda: 1, lambda: "yes", later])
def test_only_true_is_a_yes(user: User, settings: Any, answer: Callable[[], object]) -> None:
    settings.TWILIO_TOKENS_PARAMS = lambda user, app, params: answer()
    with pytest.raises(PermissionDenied):
        issue_access_token(user=user, grants=[Voice(params=PARAMS)])


def test_a_function_may_say_why_not(api: APIClient, settings: Any) -> None:
    def refuse(user: object, app: object, params: dict[str, str]) -> bool:
        raise DjangoPermissionDenied(f"Not to {params['To']}.")

    settings.TWILIO_TOKENS_PARAMS = refuse
    answer = api.post(URL, {"params": PARAMS}, format="json")
    assert answer.json() == {"detail": "Not to +15550100.", "code": "permission_denied"}


@pytest.mark.parametrize("setting", ["False", "no.such.function", 0, 1, None, "", lambda: True])
def test_what_is_no_answer_is_the_mistake_of_the_site(
    user: User, settings: Any, caplog: pytest.LogCaptureFixture, setting: object
) -> None:
    settings.TWILIO_TOKENS_PARAMS = setting
    with pytest.raises(NotConfigured):
        issue_access_token(user=user, grants=[Voice(params=PARAMS)])
    assert "TWILIO_TOKENS_PARAMS" in caplog.text
