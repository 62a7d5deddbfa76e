from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import models
from django.db.models.signals import post_init

from twilio_tokens.crypto import Sealed, generate_key, load_key_ring, seal
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, APIKey

from .issued import decoded
from .rows import new_secret, sid


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command and returns its counts, its exit status and what it said beside them."""

    def run(**options: Any) -> tuple[dict[str, int], int, str]:
        status, error = 0, ""
        try:
            call_command("twilio_reencrypt", **options)
        except CommandError as failure:
            status, error = failure.returncode, str(failure)
        output = capsys.readouterr()
        assert output.out.startswith("Dry run: ") is options.get("dry_run", False)
        counts = re.findall(r"(\d+) ([a-z -]+)", output.out)
        return {what: int(n) for n, what in counts if n != "0"}, status, output.err + error

    return run


def texts() -> list[str]:
    rows = APIKey.objects.order_by("sid").values_list("secret", flat=True)
    return [sealed.text for sealed in rows]


def add_key(account: Account, digit: str, secret: str) -> APIKey:
    return APIKey.objects.create(
        account=account, name=digit, sid=sid("SK", digit), region="us1", secret=secret
    )


@pytest.mark.django_db(transaction=True)
def test_keys_are_rotated_without_downtime(
    run: Any, api_key: APIKey, secret: str, key_ring: list[str], settings: Any, user: User
) -> None:
    [old], new = key_ring, generate_key()

    def signs() -> bool:
        token = issue_access_token(user=user, grants=[Video()]).token
        return decoded(token, secret)["iss"] == api_key.sid

    for ring in ([old], [old, new], [new, old]):
        settings.TWILIO_TOKENS_ENCRYPTION_KEYS = ring
        assert signs()
    assert run() == ({"re-encrypted": 1}, 0, "")
    assert signs()
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [new]
    assert signs()
    assert run() == ({"up to date": 1}, 0, "")


def test_a_dry_run_counts_and_changes_nothing(
    run: Any, api_key: APIKey, key_ring: list[str], settings: Any
) -> None:
    before = texts()
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key(), *key_ring]
    assert run(dry_run=True) == ({"re-encrypted": 1}, 0, "")
    assert texts() == before
    assert run() == ({"re-encrypted": 1}, 0, "")
    assert texts() != before


def test_a_row_that_is_already_new_is_not_written(run: Any, api_key: APIKey) -> None:
    before = texts()
    assert run() == ({"up to date": 1}, 0, "")
    assert texts() == before


@pytest.mark.parametrize("dry_run", [True, False])
def test_unreadable_rows_are_skipped_and_counted_wherever_they_stand(
    dry_run: bool, run: Any, account: Account, key_ring: list[str], settings: Any
) -> None:
    old, new = key_ring[0], generate_key()
    secrets = [new_secret() for _ in range(5)]
    readable, other_row, damaged = (
        add_key(account, str(digit), secrets[digit]) for digit in range(3)
    )
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key()]
    other_key = add_key(account, "3", secrets[3])
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [new, old]
    new_but_moved = add_key(account, "4", secrets[4])

    rows = APIKey.objects
    rows.filter(pk=other_row.pk).update(secret=readable.secret)
    rows.filter(pk=damaged.pk).update(secret=Sealed("damaged"))
    of_nobody = seal(secrets[4], ring=load_key_ring(), row=readable.pk, sid=sid("SK", "4"))
    rows.filter(pk=new_but_moved.pk).update(secret=of_nobody)
    before = texts()

    counts, status, said = run(dry_run=dry_run)
    assert counts == {"re-encrypted": 1, "unreadable": 4}
    assert status == 1
    for row in (other_row, damaged, other_key, new_but_moved):
        assert said.count(row.sid) == 1
    assert "Keep the old encryption keys: some secrets cannot be decrypted." in said
    assert not [secret for secret in secrets if secret in said]
    assert texts()[1:] == before[1:]
    assert (texts()[0] == before[0]) is dry_run


def saved_meanwhile(ring: Any, times: int) -> Callable[..., None]:
    """Another process, that has an older key ring, saves secrets between reading and writing."""
    left = [times]

    def save(instance: APIKey, **kwargs: Any) -> None:
        if left[0]:
            left[0] -= 1
            other = seal(new_secret(), ring=ring, row=instance.pk, sid=instance.sid)
            APIKey.objects.filter(pk=instance.pk).update(secret=other)

    return save


@pytest.mark.parametrize(
    ("times", "counts", "status"),
    [
        (1, {"re-encrypted": 1}, 0),
        (3, {"re-encrypted": 1}, 0),
        (1_000, {"changed in the meantime": 1}, 1),
    ],
)
def test_a_secret_that_was_saved_meanwhile_is_encrypted_too(
    run: Any,
    api_key: APIKey,
    key_ring: list[str],
    settings: Any,
    times: int,
    counts: dict[str, int],
    status: int,
) -> None:
    old_ring = load_key_ring()
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key(), *key_ring]
    save = saved_meanwhile(old_ring, times)
    post_init.connect(save, sender=APIKey)
    outcome = run()
    post_init.disconnect(save, sender=APIKey)
    assert outcome[:2] == (counts, status)
    assert ("are still being saved with one of them" in outcome[2]) is bool(status)
    is_new = APIKey.objects.get().secret.key_id == load_key_ring().newest_id
    assert is_new is (status == 0)


def test_a_key_that_was_deleted_meanwhile_is_no_failure(
    run: Any, api_key: APIKey, key_ring: list[str], settings: Any
) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key(), *key_ring]

    def delete(instance: APIKey, **kwargs: Any) -> None:
        post_init.disconnect(delete, sender=APIKey)
        APIKey.objects.filter(pk=instance.pk).delete()

    post_init.connect(delete, sender=APIKey)
    assert run() == ({}, 0, "")


class ReadsGoToAReplica:
    def db_for_read(self, model: type[models.Model], **hints: Any) -> str:
        return "replica"  # nothing can be read there

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str:
        return "default"


def test_a_replica_is_not_asked(
    run: Any, api_key: APIKey, key_ring: list[str], settings: Any
) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key(), *key_ring]
    settings.DATABASE_ROUTERS = [ReadsGoToAReplica()]
    assert run() == ({"re-encrypted": 1}, 0, "")


@pytest.mark.parametrize(
    ("ring", "problem"), [(None, "is not set"), (["nonsense"], "Key 1 of")], ids=["none", "bad"]
)
def test_without_a_usable_key_ring_nothing_is_done(
    ring: Any, problem: str, api_key: APIKey, settings: Any
) -> None:
    before = texts()
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = ring
    with pytest.raises(CommandError, match=problem):
        call_command("twilio_reencrypt")
    assert texts() == before
