"""TaskRouter: the site says which worker a user is, never the request."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from rest_framework.test import APIClient

from tests.issued import decoded
from tests.rows import sid
from twilio_tokens.grants import TaskRouter, WorkerGrant
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, IssuedToken, Workspace

URL = "/twilio/tokens/taskrouter/"


@pytest.fixture
def workspace(account: Account) -> Workspace:
    return Workspace.objects.create(account=account, name="support", sid=sid("WS"), is_default=True)


def worker_of(user: User, workspace: Workspace) -> WorkerGrant:
    return WorkerGrant(sid("WK"), "supervisor" if user.is_staff else "worker")


@pytest.mark.usefixtures("api_key", "workspace")
@pytest.mark.parametrize("is_staff", [False, True])
def test_the_token_is_for_the_worker_that_the_site_names(
    api: APIClient, user: User, secret: str, settings: Any, is_staff: bool
) -> None:
    settings.TWILIO_TOKENS_WORKER = worker_of
    user.is_staff = is_staff
    user.save()
    payload = {
        "workspace_sid": sid("WS"),
        "worker_sid": sid("WK"),
        "role": "supervisor" if is_staff else "worker",
    }
    for body in ({}, {"workspace": "support"}):
        response = api.post(URL, body, format="json")
        assert response.status_code == 201, response.data
        claims = decoded(response.data["token"], secret)
        assert claims["grants"] == {"identity": "anna", "task_router": payload}
        assert claims["exp"] - claims["iat"] == 3_600
        assert response.data["grants"] == {"task_router": payload}
    assert IssuedToken.objects.first().grants == {"taskrouter": payload}  # type: ignore[union-attr]


@pytest.mark.usefixtures("api_key", "workspace")
@pytest.mark.parametrize("name", ["worker_sid", "worker", "role", "sid"])
def test_the_request_cannot_name_the_worker(api: APIClient, settings: Any, name: str) -> None:
    settings.TWILIO_TOKENS_WORKER = worker_of
    response = api.post(URL, {name: "supervisor"}, format="json")
    assert (response.status_code, response.data["code"]) == (400, "unknown_field")


def refuse(user: User, workspace: Workspace) -> None:
    raise PermissionDenied("Your shift is over.")


def fail(user: User, workspace: Workspace) -> None:
    raise LookupError


async def later() -> WorkerGrant:
    return WorkerGrant(sid("WK"))


def without_await(user: User, workspace: Workspace) -> object:
    """What an async function returns, which nobody awaits here."""
    coroutine = later()
    coroutine.close()
    return coroutine


UNUSABLE = {
    "no function": (
        None,
        503,
        "not_configured",
        "TWILIO_TOKENS_WORKER is not set",
    ),
    "nobody": (lambda *_: None, 403, "permission_denied", ""),
    "a refusal": (refuse, 403, "permission_denied", ""),
    "a fault": (fail, 503, "not_configured", "raised LookupError"),
    "no WorkerGrant": (lambda *_: sid("WK"), 503, "not_configured", "should return a WorkerGrant"),
    "a SID of another kind": (
        lambda *_: WorkerGrant(sid("WS")),
        503,
        "not_configured",
        "worker_sid: This is a TaskRouter workspace SID",
    ),
    "no SID": (lambda *_: WorkerGrant(None), 503, "not_configured", "worker_sid: "),  # type: ignore[arg-type]
    "an unknown role": (
        lambda *_: WorkerGrant(sid("WK"), "admin"),
        503,
        "not_configured",
        "role: Expected one of worker, supervisor",
    ),
    "no role": (
        lambda *_: SimpleNamespace(sid=sid("WK")),
        503,
        "not_configured",
        "should return a WorkerGrant",
    ),
    "an async function": (without_await, 503, "not_configured", "should return a WorkerGrant"),
}


@pytest.mark.usefixtures("api_key", "workspace")
@pytest.mark.parametrize("case", UNUSABLE)
def test_what_the_function_may_not_return_is_no_token_and_get_says_so(
    api: APIClient, settings: Any, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    settings.TWILIO_TOKENS_WORKER, status, code, logged = UNUSABLE[case]
    response = api.post(URL, {}, format="json")
    assert (response.status_code, response.data["code"]) == (status, code)
    assert logged in caplog.text
    assert not IssuedToken.objects.exists()
    assert api.get(URL).data["problem"]["code"] == code
    assert api.get("/twilio/tokens/").data["taskrouter"]["problem"]["code"] == code


@pytest.mark.usefixtures("api_key")
def test_the_function_is_asked_for_a_workspace_that_the_user_may_use(
    api: APIClient, user: User, workspace: Workspace, settings: Any
) -> None:
    asked = []

    def worker(*arguments: Any) -> WorkerGrant:
        asked.append(arguments)
        return WorkerGrant(sid("WK"))

    settings.TWILIO_TOKENS_WORKER = worker
    workspace.groups.add(Group.objects.create(name="agents"))
    response = api.post(URL, {"workspace": "support"}, format="json")
    assert (response.status_code, response.data["code"]) == (400, "does_not_exist")
    assert asked == []
    user.groups.set(workspace.groups.all())
    assert api.post(URL, {}, format="json").status_code == 201
    assert asked == [(user, workspace)]


@pytest.mark.usefixtures("api_key", "workspace")
def test_get_tells_the_workspaces(api: APIClient, settings: Any) -> None:
    settings.TWILIO_TOKENS_WORKER = worker_of
    answer = api.get(URL).data
    assert answer == {
        "identity": "anna",
        "ttl": {"max": 86_400, "default": {"taskrouter": 3_600}},
        "workspaces": ["support"],
        "default": "support",
    }


@pytest.mark.usefixtures("api_key", "workspace")
def test_python_code_gets_one_too(user: User, settings: Any) -> None:
    settings.TWILIO_TOKENS_WORKER = worker_of
    issued = issue_access_token(user=user, grants=[TaskRouter("support")], ttl=60)
    assert issued.grants["task_router"]["worker_sid"] == sid("WK")
