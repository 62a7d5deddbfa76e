"""What was for the members of a group is opened by a decision, never by a group that is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.test import Client

from tests.site.models import Invitation, InvitedService, Stage
from twilio_tokens.credentials import Credentials
from twilio_tokens.models import Account, ChatService, SyncService, TwiMLApp, Workspace

from .console import filled, staff, url
from .rows import sid

RESTRICTED = [ChatService, SyncService, TwiMLApp, Workspace, Stage]
WITH_PAGES = RESTRICTED[:-1]
PREFIX = {SyncService: "IS", TwiMLApp: "AP", Workspace: "WS", Stage: "VL"}


def restricted(model: Any, *names: str) -> Any:
    account, _ = Account.objects.get_or_create(name="Main", sid=sid("AC"))
    row = model.objects.create(account=account, name="backstage", sid=sid(PREFIX.get(model, "IS")))
    row.groups.add(*(Group.objects.create(name=name) for name in names))
    return row


def is_open(row: Any, user: User) -> bool:
    rights, stored = Credentials(user), type(row).objects.get(pk=row.pk)
    found = rights.find(type(row), row.name) is not None
    assert found == (row.name in rights.named(type(row)))
    assert found == (not stored.is_closed and not stored.groups.exists())
    return found


@pytest.mark.parametrize("model", RESTRICTED)
def test_it_stays_closed_when_its_last_group_is_deleted(model: Any, user: User) -> None:
    row = restricted(model, "staff", "crew")
    Group.objects.get(name="staff").delete()
    assert not is_open(row, user)
    Group.objects.get(name="crew").delete()
    assert not is_open(row, user)
    assert not is_open(row, User.objects.create_superuser("root"))
    row.open_to_everyone()
    assert is_open(row, user)


def all_at_once() -> None:
    Group.objects.all().delete()


def one_by_one() -> None:
    for group in Group.objects.all():
        group.delete()


def as_a_proxy() -> None:
    class Team(Group):
        class Meta:
            app_label = "tests"
            proxy = True

    Team.objects.all().delete()


def by_a_data_migration() -> None:
    state = MigrationLoader(connection).project_state()
    state.apps.get_model("auth", "Group").objects.all().delete()


def by_sql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM twilio_tokens_chatservice_groups")
        cursor.execute("DELETE FROM auth_group")


@pytest.mark.parametrize(
    "delete", [all_at_once, one_by_one, as_a_proxy, by_a_data_migration, by_sql]
)
def test_it_stays_closed_however_the_groups_are_deleted(
    delete: Callable[[], None], user: User
) -> None:
    row = restricted(ChatService, "staff", "crew")
    delete()
    assert not Group.objects.exists()
    assert not is_open(row, user)


def test_groups_that_were_let_in_without_a_signal_close_it_as_well(user: User) -> None:
    row = restricted(ChatService)
    group = Group.objects.create(name="staff")
    through: Any = ChatService.groups.through
    through.objects.bulk_create([through(chatservice=row, group=group)])
    group.delete()
    assert not is_open(row, user)


def test_a_sites_own_way_of_letting_groups_in_closes_it_as_well(user: User) -> None:
    row = restricted(InvitedService)
    group = Group.objects.create(name="staff")
    Invitation.objects.create(service=row, group=group)
    group.delete()
    assert not is_open(row, user)
    row.open_to_everyone()
    assert is_open(row, user)


@pytest.mark.parametrize(
    "take_away",
    [
        lambda row: row.groups.remove(*row.groups.all()),
        lambda row: row.groups.clear(),
        lambda row: row.groups.set([]),
    ],
)
def test_who_takes_the_last_group_away_opens_it(
    take_away: Callable[[Any], None], user: User
) -> None:
    row = restricted(ChatService, "staff", "crew")
    row.groups.remove(Group.objects.get(name="crew"))
    assert not is_open(row, user)
    take_away(row)
    assert is_open(row, user)


def test_a_save_of_an_older_copy_does_not_open_it(user: User) -> None:
    row = restricted(ChatService)
    older = ChatService.objects.get()
    row.groups.add(Group.objects.create(name="staff"))
    row.save()
    Group.objects.all().delete()
    older.name = "renamed"
    older.save()
    row.is_default = True
    row.save()
    assert not is_open(ChatService.objects.get(), user)


def test_a_backup_keeps_it_closed(user: User, tmp_path: Any) -> None:
    row = restricted(ChatService, "staff")
    Group.objects.all().delete()
    dump = tmp_path / "dump.json"
    call_command("dumpdata", "twilio_tokens", output=str(dump), verbosity=0)
    Account.objects.all().delete()
    call_command("loaddata", str(dump), verbosity=0)
    assert not is_open(row, user)


@pytest.mark.parametrize("model", WITH_PAGES)
def test_admins_see_that_it_is_closed_and_open_it_by_a_tick(
    model: Any, user: User, admin_client: Client
) -> None:
    row = restricted(model, "staff")
    change, changelist = url(model, "change", row.pk), url(model, "changelist")
    data = filled(model, account=row.account_id, name="renamed", sid=row.sid, groups=[])
    assert "staff</td>" in admin_client.get(changelist).content.decode()
    assert "reopen" not in admin_client.get(change).content.decode()

    Group.objects.all().delete()
    assert "Its last group was deleted" in admin_client.get(changelist).content.decode()
    start = admin_client.get("/admin/twilio_tokens/").content.decode()
    assert (
        f"{model._meta.verbose_name} backstage: nobody may use it, because its last group" in start
    )
    page = admin_client.get(change).content.decode()
    assert 'name="reopen"' in page
    assert "None chosen" not in page
    assert (
        page.index('name="groups"') < page.index('name="reopen"') < page.index("field-check_badge")
    )
    assert admin_client.post(change, data).status_code == 302
    row.refresh_from_db()
    assert row.name == "renamed"
    assert not is_open(row, user)

    assert admin_client.post(change, data | {"reopen": "on"}).status_code == 302
    assert is_open(row, user)
    assert "everyone</td>" in admin_client.get(changelist).content.decode()


def test_groups_that_are_chosen_with_the_tick_restrict_it(user: User, admin_client: Client) -> None:
    row = restricted(ChatService, "staff")
    Group.objects.all().delete()
    crew = Group.objects.create(name="crew")
    data = filled(ChatService, account=row.account_id, groups=[crew.pk], reopen="on")
    admin_client.post(url(ChatService, "change", row.pk), data)
    row.refresh_from_db()
    assert list(row.groups.all()) == [crew]
    assert not is_open(row, user)


def test_who_may_only_look_is_offered_no_tick_and_opens_nothing(user: User) -> None:
    row = restricted(ChatService, "staff")
    Group.objects.all().delete()
    client = staff("view_chatservice")
    change = url(ChatService, "change", row.pk)
    assert "reopen" not in client.get(change).content.decode()
    assert client.post(change, {"reopen": "on"}).status_code == 403
    assert not is_open(row, user)


def test_a_default_that_is_closed_is_not_called_ready(
    admin_client: Client, api_key: Any, chat_service: ChatService
) -> None:
    chat_service.groups.add(Group.objects.create(name="staff"))
    Group.objects.all().delete()
    start = admin_client.get("/admin/twilio_tokens/").content.decode()
    assert "Chat: not ready. Nobody may use the default Chat service." in start
