from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from twilio_tokens.models import IssuedToken

#: Records that one transaction deletes, so that none is locked for long.
BATCH = 5_000


class Command(BaseCommand):
    help = "Deletes the audit records of tokens that expired longer ago."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--days", type=int, default=90, help="keep what expired within so many days (90)"
        )

    def handle(self, *, days: int, **options: Any) -> None:
        if days < 0:
            raise CommandError("--days should be 0 or more.")
        try:
            expired = IssuedToken.objects.filter(
                expires_at__lt=timezone.now() - timedelta(days=days)
            )
        except OverflowError:
            raise CommandError("--days reaches back before all time.") from None
        total, deleted = expired.count(), 0
        while batch := list(expired.order_by("expires_at").values_list("pk", flat=True)[:BATCH]):
            IssuedToken.objects.filter(pk__in=batch).delete()
            deleted += len(batch)
            self.stderr.write(f"{deleted:,} of {max(total, deleted):,}")
        self.stdout.write(f"Deleted {deleted:,} audit records.")
