from __future__ import annotations

from typing import Any

from twilio_tokens.crypto import generate_key
from twilio_tokens.management.terminal import TerminalCommand


class Command(TerminalCommand):
    help = "Prints a new key for TWILIO_TOKENS_ENCRYPTION_KEYS: 32 random bytes in base64."
    requires_system_checks = ()  # it mends what the checks complain of

    def handle(self, **options: Any) -> None:
        self.stdout.write(generate_key())
        self.stderr.write(
            "Put it first in TWILIO_TOKENS_ENCRYPTION_KEYS, and keep it out of version control. "
            "Without it the stored secrets cannot be read."
        )
