from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError
from django.db import router

from twilio_tokens.credential_cache import cache
from twilio_tokens.crypto import KeyRing, check_opens, load_key_ring, reseal
from twilio_tokens.exceptions import EncryptionKeyError, SecretUnavailable
from twilio_tokens.management.terminal import TerminalCommand
from twilio_tokens.models import APIKey

ENCRYPTED, NEW, CHANGED, UNREADABLE = (
    "re-encrypted",
    "up to date",
    "changed in the meantime",
    "unreadable",
)
#: Without a limit, processes that keep saving under an older key would make this endless.
MOST_ROUNDS = 5


class Command(TerminalCommand):
    help = (
        "Re-encrypts every API key's secret with the newest key of TWILIO_TOKENS_ENCRYPTION_KEYS. "
        "Afterwards, you can remove the older keys. The exit status is 1 if a secret cannot be "
        "decrypted or may still be encrypted with an older key."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count, change nothing")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        try:
            ring = load_key_ring()
        except EncryptionKeyError as error:
            raise CommandError(error.reason) from None
        # A replica may not have the latest changes.
        using = router.db_for_write(APIKey)
        encrypted: set[UUID] = set()
        for _ in range(1 if dry_run else MOST_ROUNDS):
            outcomes, problems = _round(ring, using, dry_run=dry_run)
            encrypted |= {pk for pk, outcome in outcomes.items() if outcome == ENCRYPTED}
            # Only a round that changes nothing proves that nothing is left.
            is_done = not {ENCRYPTED, CHANGED} & set(outcomes.values())
            if is_done:
                break
        cache.clear_on_commit(using=using)  # unlike save(), update() sends no signal
        told = [
            ENCRYPTED if outcome == NEW and pk in encrypted else outcome
            for pk, outcome in outcomes.items()
        ]
        self._report(told, problems, "Dry run: " if dry_run else "")
        if problems:
            raise CommandError(
                "Keep the old encryption keys: some secrets cannot be decrypted. Enter those "
                "secrets again in the admin, or add the encryption key that they need."
            )
        if not (is_done or dry_run):
            raise CommandError(
                "Keep the old encryption keys: secrets are still being saved with one of them. "
                "Deploy the list with the new key first to every process, then run this command "
                "again."
            )

    def _report(self, outcomes: list[str], problems: list[str], prefix: str) -> None:
        for problem in problems:
            self.stderr.write(problem)
        counts = ", ".join(
            f"{outcomes.count(each)} {each}" for each in (ENCRYPTED, NEW, CHANGED, UNREADABLE)
        )
        self.stdout.write(f"{prefix}{counts}.")


def _round(ring: KeyRing, using: str, *, dry_run: bool) -> tuple[dict[UUID, str], list[str]]:
    """The outcome for each key's secret, and why some are unreadable."""
    outcomes, problems = {}, []
    for key in APIKey.objects.using(using).order_by("created_at").iterator():
        try:
            outcomes[key.pk] = _reencrypt(key, ring, using, dry_run=dry_run)
        except SecretUnavailable as error:
            outcomes[key.pk] = UNREADABLE
            problems.append(error.reason)
    return outcomes, problems


def _reencrypt(key: APIKey, ring: KeyRing, using: str, *, dry_run: bool) -> str:
    """The outcome for the key's secret. Raises ``SecretUnavailable``."""
    if key.secret.key_id == ring.newest_id:
        check_opens(key.secret, row=key.id, sid=key.sid)
        return NEW
    sealed = reseal(key.secret, ring=ring, row=key.id, sid=key.sid)
    if dry_run:
        return ENCRYPTED
    # Only if no one has saved another secret since the row was read.
    unchanged = APIKey.objects.using(using).filter(pk=key.pk, secret=key.secret)
    return ENCRYPTED if unchanged.update(secret=sealed) else CHANGED
