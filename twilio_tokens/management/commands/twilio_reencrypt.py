from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from twilio_tokens.credentials import cache
from twilio_tokens.crypto import KeyRing, check_opens, load_key_ring, reseal
from twilio_tokens.exceptions import EncryptionKeyError, SecretUnavailable
from twilio_tokens.management.terminal import TerminalCommand
from twilio_tokens.models import APIKey


class Command(TerminalCommand):
    help = (
        "Encrypts every API key's secret with the newest key of TWILIO_TOKENS_ENCRYPTION_KEYS. "
        "Afterwards the older keys can be removed. Exit status 1 if a secret does not open."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="change nothing, only count")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        try:
            ring = load_key_ring()
        except EncryptionKeyError as error:
            raise CommandError(error.reason) from None
        counts = {"encrypted again": 0, "already new": 0, "changed meanwhile": 0, "unreadable": 0}
        for key in APIKey.objects.order_by("created_at").iterator():
            try:
                counts[_reencrypt(key, ring, dry_run=dry_run)] += 1
            except SecretUnavailable as error:
                counts["unreadable"] += 1
                self.stderr.write(error.reason)
        cache.clear_on_commit()  # an update, other than a save, does not tell it
        prefix = "Would be: " if dry_run else ""
        self.stdout.write(prefix + ", ".join(f"{n} {what}" for what, n in counts.items()) + ".")
        if counts["unreadable"]:
            raise CommandError(
                "Keep the old encryption keys: some secrets do not open. Type those secrets in "
                "again in the admin, or put back the encryption key that they need."
            )


def _reencrypt(key: APIKey, ring: KeyRing, *, dry_run: bool) -> str:
    """What became of the key's secret. Raises ``SecretUnavailable``."""
    if key.secret.key_id == ring.newest_id:
        check_opens(key.secret, row=key.id, sid=key.sid)
        return "already new"
    sealed = reseal(key.secret, ring=ring, row=key.id, sid=key.sid)
    if dry_run:
        return "encrypted again"
    # Only if nobody has saved another secret since the row was read.
    unchanged = APIKey.objects.filter(pk=key.pk, secret=key.secret)
    return "encrypted again" if unchanged.update(secret=sealed) else "changed meanwhile"
