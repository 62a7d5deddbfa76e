"""Users who are no people, as ``docs/how-to/issue-tokens-to-machines.md`` has them."""

from __future__ import annotations

import shlex

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client

from tests.how_to.sites import curl, on_site
from tests.issued import decoded
from tests.prose import section
from tests.rows import sid
from twilio_tokens.exceptions import PermissionDenied
from twilio_tokens.grants import TaskRouter
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey, ChatService, IssuedToken, Workspace

PAGE = "docs/how-to/issue-tokens-to-machines.md"


def run(title: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command of this section prints."""
    [line] = section(PAGE, title, "console")
    call_command(*shlex.split(line.removeprefix("$ manage.py ")))
    return capsys.readouterr().out.strip()


@on_site(PAGE)
def test_a_device_and_a_script_and_a_job_get_tokens_of_their_own(
    api_key: APIKey, chat_service: ChatService, secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from mysite.jobs import bot_token  # noqa: PLC0415 - only this site has it
    from mysite.machines import machine  # noqa: PLC0415 - likewise

    kiosk = machine("kiosk_3")
    assert (machine("kiosk_3"), kiosk.has_usable_password()) == (kiosk, False)
    token = run("A device that asks over HTTP", capsys).split()[2]
    [ask] = section(PAGE, "A device that asks over HTTP", "sh")
    claims = decoded(curl(ask, TOKEN=token).json()["token"], secret)
    assert claims["grants"] == {"identity": "kiosk_3", "video": {"room": "Lobby"}}
    assert claims["exp"] - claims["iat"] == 3600
    User.objects.filter(pk=kiosk.pk).update(is_active=False)
    assert curl(ask, TOKEN=token).status_code == 401

    machine("recorder")
    claims = decoded(run("A script on the server", capsys), secret)
    assert claims["grants"] == {"identity": "recorder", "video": {"room": "Lobby"}}
    assert claims["exp"] - claims["iat"] == 600

    chat_service.groups.add(Group.objects.get(name="Machines"))
    grants = decoded(bot_token(), secret)["grants"]
    assert grants == {"identity": "helper_bot", "chat": {"service_sid": sid("IS")}}
    identities = IssuedToken.objects.values_list("identity", flat=True)
    assert {*identities} == {"kiosk_3", "recorder", "helper_bot"}
    assert not Client().login(username="recorder", password="")


@on_site(PAGE)
def test_a_machine_is_a_worker_where_it_is_an_agent(api_key: APIKey, secret: str) -> None:
    from mysite.machines import machine  # noqa: PLC0415 - only this site has it
    from mysite.models import Agent  # noqa: PLC0415 - likewise

    user = machine("robot")
    Workspace.objects.create(
        account=api_key.account, name="support", sid=sid("WS"), is_default=True
    )
    with pytest.raises(PermissionDenied):
        issue_access_token(user=user, grants=[TaskRouter()])
    Agent.objects.create(user=user, workspace_sid=sid("WS"), worker_sid=sid("WK"))
    grants = decoded(issue_access_token(user=user, grants=[TaskRouter()]).token, secret)["grants"]
    assert grants["task_router"] == {
        "workspace_sid": sid("WS"),
        "worker_sid": sid("WK"),
        "role": "worker",
    }
