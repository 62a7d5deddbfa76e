from __future__ import annotations

from typing import Any

from twilio_tokens.crypto import generate_key
from twilio_tokens.management.terminal import TerminalCommand


class Command(TerminalCommand):
    help = "Prints a new key for TWILIO_TOKENS_ENCRYPTION_KEYS: 32 random bytes in base64."
    requires_system_checks = ()  # it fixes what they complain about

    def handle(self, **options: Any) -> None:
        self.stdout.write(generate_key())
        self.stderr.write(
            "Put this key first in TWILIO_TOKENS_ENCRYPTION_KEYS, and keep it out of version "
            "control. Without it, secrets stored from now on cannot be read."
        )
