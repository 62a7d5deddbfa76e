"""Rights to one row, as django-guardian gives them, open nothing: the console asks for rights to
all rows of a model, and services are restricted by groups."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse
from guardian.shortcuts import assign_perm

from tests.console import filled, url
from tests.rows import add_key, sid
from twilio_tokens.models import Account, APIKey, ChatService

pytestmark = pytest.mark.django_db


def test_rights_to_one_row_open_neither_the_console_nor_a_restricted_service() -> None:
    account = Account.objects.create(name="Main", sid=sid("AC"))
    rows: list[Any] = [account, add_key(account)]
    rows.append(ChatService.objects.create(account=account, name="closed", sid=sid("IS")))
    rows[-1].groups.add(Group.objects.create(name="members"))
    user = User.objects.create_user("anna", is_staff=True)
    client = Client()
    client.force_login(user)

    def statuses() -> list[int]:
        pages = [
            url(type(row), page, *([] if page == "changelist" else [row.pk]))
            for row in rows
            for page in ("changelist", "change", "delete", "history")
        ]
        pages += [url(Account, "import", account.pk), url(APIKey, "replace", rows[1].pk)]
        found = [client.get(page).status_code for page in pages]
        return found + [client.post(page, filled(APIKey)).status_code for page in pages]

    before = statuses()
    assert set(before) == {403}
    for row in rows:
        for permission in Permission.objects.filter(
            content_type__app_label="twilio_tokens", content_type__model=row._meta.model_name
        ):
            assign_perm(permission, user, row)
    assert user.has_perm("twilio_tokens.change_account", account)
    assert statuses() == before
    overview = client.get(reverse("admin:index")).content.decode()
    assert "twilio_tokens" not in overview
    assert client.get("/twilio/tokens/chat/").json()["services"] == []
    assert [type(row).objects.get() for row in rows] == rows
