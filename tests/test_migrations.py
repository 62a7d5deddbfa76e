from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps.registry import Apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from .rows import sid

RESTRICTED = ("ChatService", "SyncService", "TwiMLApp", "Workspace")


@pytest.mark.django_db
def test_the_migrations_make_the_models_as_they_are() -> None:
    # It exits with 1 if a migration is missing.
    call_command("makemigrations", "twilio_tokens", check=True, dry_run=True, verbosity=3)


@pytest.fixture
def migrate(transactional_db: None) -> Iterator[Callable[[str], Apps]]:
    """To a migration of this app; what it returns has the models as they were then."""

    def migrate(name: str) -> Apps:
        target = [("twilio_tokens", name)]
        MigrationExecutor(connection).migrate(target)
        return MigrationExecutor(connection).loader.project_state(target).apps

    yield migrate
    call_command("migrate", verbosity=0)


def test_the_only_push_credential_of_a_platform_becomes_its_default_and_of_two_none_does(
    migrate: Callable[[str], Any],
) -> None:
    models = migrate("0002_products_and_default_push_credentials")
    account, credential = (
        models.get_model("twilio_tokens", name) for name in ("Account", "PushCredential")
    )
    first, second = (
        account.objects.create(name=digit, sid=sid("AC", digit), is_default=digit == "1")
        for digit in "12"
    )
    for digit, of, platform in (
        ("1", first, "apn"),
        ("2", first, "fcm"),
        ("3", second, "apn"),
        ("4", second, "fcm"),
        ("5", second, "fcm"),
    ):
        credential.objects.create(
            account=of, name=f"row-{digit}", sid=sid("CR", digit), platform=platform
        )
    migrated = migrate("0003_only_push_credentials_are_defaults")
    rows = migrated.get_model("twilio_tokens", "PushCredential").objects
    assert set(rows.filter(is_default=True).values_list("name", flat=True)) == {
        "row-1",
        "row-2",
        "row-3",
    }


def test_what_has_groups_stays_restricted(migrate: Callable[[str], Any]) -> None:
    models = migrate("0003_only_push_credentials_are_defaults")
    account = models.get_model("twilio_tokens", "Account").objects.create(name="A", sid=sid("AC"))
    group = models.get_model("auth", "Group").objects.create(name="staff")
    for name in RESTRICTED:
        rows = models.get_model("twilio_tokens", name).objects
        rows.create(account=account, name="open", sid=sid("IS"))
        rows.create(account=account, name="restricted", sid=sid("IS", "1")).groups.add(group)
    migrated = migrate("0004_restricted_resources_stay_closed")
    for name in RESTRICTED:
        rows = migrated.get_model("twilio_tokens", name).objects
        assert list(rows.filter(is_restricted=True).values_list("name", flat=True)) == [
            "restricted"
        ]
