from __future__ import annotations

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError
from django.db import router, transaction
from django.utils import timezone

from twilio_tokens.counting import count_ahead, count_tokens
from twilio_tokens.hours import day_of
from twilio_tokens.management.terminal import TerminalCommand
from twilio_tokens.models import BusiestOfDay, IssuedToken

#: Records per statement: this avoids long locks, and older versions of SQLite accept only 999
#: parameters.
BATCH = 900


class Command(TerminalCommand):
    help = "Deletes the audit records of tokens that expired more than --days ago."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--days",
            type=int,
            default=90,
            help="keep the records of tokens that expired within this many days (default: 90)",
        )

    def handle(self, *, days: int, verbosity: int, **options: Any) -> None:
        if days < 0:
            raise CommandError("--days must be 0 or more.")
        try:
            limit = timezone.now() - timedelta(days=days)
            last_day = day_of(limit)
        except OverflowError:
            raise CommandError("--days is too large.") from None
        for _step in count_tokens():  # otherwise deleted records would never be counted
            pass
        # Not a replica, which would still show deleted records.
        using = router.db_for_write(IssuedToken)
        records = IssuedToken.objects.using(using)
        expired = records.filter(expires_at__lt=limit).order_by("expires_at", "pk")
        total, deleted, percent = expired.count(), 0, -1
        while batch := list(expired.values_list("pk", flat=True)[:BATCH]):
            with transaction.atomic(using=using):
                count_ahead(records.filter(pk__in=batch))
                deleted += records.filter(pk__in=batch).delete()[0]
            if verbosity and percent != (percent := 100 * deleted // total):
                self.stderr.write(f"{deleted:,} of {total:,}")
        # Names are not kept longer than the records that they come from.
        names = BusiestOfDay.objects.using(router.db_for_write(BusiestOfDay))
        names.filter(day__lt=last_day).delete()
        self.stdout.write(f"Deleted {deleted:,} audit records.")
