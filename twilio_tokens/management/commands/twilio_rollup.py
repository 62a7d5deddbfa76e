from __future__ import annotations

from typing import Any

from django.utils.timezone import is_aware, localtime

from twilio_tokens.counting import count_tokens
from twilio_tokens.management.terminal import TerminalCommand


class Command(TerminalCommand):
    help = "Counts the tokens issued in past hours, for the dashboard."

    def handle(self, *, verbosity: int, **options: Any) -> None:
        total = 0
        for until, count in count_tokens():
            total += count
            if verbosity:
                local = localtime(until) if is_aware(until) else until
                self.stderr.write(f"{local:%Y-%m-%d %H:%M}: {total:,}")
        self.stdout.write(f"Counted {total:,} issued tokens.")
