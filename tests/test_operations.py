"""What ``docs/operations.md`` has people schedule and install, and what it promises them."""

from __future__ import annotations

from io import StringIO
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client
from django.urls import path
from rest_framework.test import APIClient

from twilio_tokens.crypto import generate_key
from twilio_tokens.models import APIKey, ChatService, IssuedToken

from .issued import decoded
from .prose import blocks

PAGE = "docs/operations.md"
VIDEO, CHAT = "/twilio/tokens/video/", "/twilio/tokens/chat/"

pytestmark = pytest.mark.django_db


def test_the_check_before_going_live_runs() -> None:
    [block] = blocks(PAGE, "sh")
    _manage, command, *options = block.split()
    call_command(command, *options, fail_level="ERROR", stdout=StringIO(), stderr=StringIO())


def test_a_load_balancer_is_told_whether_a_token_could_be_issued(
    client: Client, api_key: APIKey, settings: Any
) -> None:
    site, urls = blocks(PAGE)[0].split("# urls.py\n")
    names: dict[str, Any] = {"INSTALLED_APPS": [], "urlpatterns": [], "path": path}
    exec(site + urls, names)  # noqa: S102 - the page's own
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, *names["INSTALLED_APPS"]]
    module = ModuleType("urls")
    vars(module)["urlpatterns"] = names["urlpatterns"]
    settings.ROOT_URLCONF = module
    assert client.get("/health/").status_code == 200
    APIKey.objects.update(is_active=False)
    assert client.get("/health/").status_code == 500


def test_a_restored_backup_opens_with_the_keys_of_then_and_newer_ones_before_them(
    api: APIClient, api_key: APIKey, secret: str, settings: Any
) -> None:
    [then] = settings.TWILIO_TOKENS_ENCRYPTION_KEYS
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key(), then]
    call_command("twilio_reencrypt", "--dry-run", stdout=StringIO(), stderr=StringIO())
    assert decoded(api.post(VIDEO).data["token"], secret)["iss"] == api_key.sid


# When users change


def test_a_deactivated_user_gets_no_token(api: APIClient, api_key: APIKey, user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)
    user.refresh_from_db()
    api.force_authenticate(user)
    assert api.post(VIDEO).status_code in (401, 403)


def test_the_records_of_a_deleted_user_stay_with_the_identity(
    api: APIClient, api_key: APIKey, user: User
) -> None:
    api.post(VIDEO)
    user.delete()
    record = IssuedToken.objects.get()
    assert (record.user, record.identity) == (None, "anna")


@pytest.mark.parametrize(("function", "stays"), [("username", False), ("primary_key", True)])
def test_a_renamed_user_has_another_identity_unless_it_is_the_primary_key(
    api: APIClient, api_key: APIKey, user: User, settings: Any, function: str, stays: bool
) -> None:
    settings.TWILIO_TOKENS_IDENTITY = f"twilio_tokens.identity.{function}"
    before = api.post(VIDEO).data["identity"]
    user.username = "anne"
    user.save()
    assert (api.post(VIDEO).data["identity"] == before) is stays


def test_who_leaves_a_group_gets_no_more_tokens_for_its_services(
    api: APIClient, api_key: APIKey, chat_service: ChatService, user: User
) -> None:
    group = Group.objects.create(name="support")
    chat_service.groups.add(group)
    user.groups.add(group)
    assert api.post(CHAT).status_code == 201
    user.groups.remove(group)
    assert api.post(CHAT).data["code"] == "does_not_exist"
