"""What the app's commands have in common: every terminal can show what they say, and what is
known to go wrong ends with one sentence instead of a traceback."""

from __future__ import annotations

import codecs
import io
import os
import sys
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, InterfaceError

from twilio_tokens.exceptions import TwilioTokensError, Unavailable

#: As a shell reports a program that SIGINT or SIGPIPE has ended.
INTERRUPTED, NOBODY_READS = 130, 141

#: What typographic characters become where the terminal's encoding has none.
_PLAIN = str.maketrans(
    {"“": '"', "”": '"', "’": "'", "…": "...", "–": "-", "\N{NO-BREAK SPACE}": " "}
)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "backslashreplace").decode(), error.end


codecs.register_error("twilio_tokens.plainly", _plainly)


class TerminalCommand(BaseCommand):
    def run_from_argv(self, argv: list[str]) -> None:
        try:
            try:
                super().run_from_argv(argv)
            finally:
                self._flush_output()
        except KeyboardInterrupt:
            self.stderr.write("Interrupted.")
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            _discard_output()
            sys.exit(NOBODY_READS)

    def execute(self, *args: Any, **options: Any) -> str | None:
        for name in ("stdout", "stderr"):
            stream = options.get(name) or getattr(sys, name)
            if stream is None:  # closed by who started us
                options[name] = io.StringIO()
            elif isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="twilio_tokens.plainly")
        try:
            return super().execute(*args, **options)
        except Unavailable as error:
            raise CommandError(f"{error.code}: {error.reason}") from None
        except TwilioTokensError as error:
            raise CommandError(f"{error.code}: {error.message}") from None
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
        except (DatabaseError, InterfaceError) as error:
            # Only the first line: PostgreSQL tells the values of the row in the next.
            reason = str(error).partition("\n")[0]
            raise CommandError(
                f"The database cannot be used: {reason}\n"
                "If tables or columns are missing, run “manage.py migrate” first."
            ) from None

    def _flush_output(self) -> None:
        """What cannot be written must show now, not as noise when Python exits."""
        if sys.stdout is None:
            return
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            _discard_output()
            self.stderr.write(f"Standard output cannot be written: {error.strerror}.")
            sys.exit(1)


def _discard_output() -> None:
    """Or Python would try to flush standard output once more when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
