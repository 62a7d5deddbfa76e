"""What the app's commands have in common: every terminal can show what they say, and what is
known to go wrong ends with one sentence instead of a traceback."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db import Error, InterfaceError, OperationalError

from twilio_tokens.characters import visible
from twilio_tokens.exceptions import TwilioTokensError, Unavailable

#: The exit statuses: somebody has to mend something; Twilio or the database does not answer, and
#: may do so later. In between, 2 is argparse's, for a command line that it does not take.
FAILED, NO_ANSWER = 1, 3

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


class _Output:
    """A full disk, or a reader that has gone, must show here, not as noise when Python exits."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with self._told():
            self._stream.write(text)

    def flush(self) -> None:
        with self._told():
            self._stream.flush()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            if self._stream is sys.stdout:
                _discard(sys.stdout)
            reason = f"Standard output cannot be written: {error.strerror}."
            raise CommandError(reason) from None


def _discard(stream: TextIO | None) -> None:
    """Or Python would try once more to write what is left."""
    if stream is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Wrapper(OutputWrapper):
    """Shows what a terminal would obey: names and tokens are written by others.

    Who gives a style, as Django's system checks do, has written all of the text.
    """

    def write(  # type: ignore[override]
        self,
        msg: str = "",
        style_func: Callable[[str], str] | None = None,
        ending: str | None = None,
    ) -> None:
        text = visible(msg, has_lines=True) if style_func is None else msg
        super().write(text, style_func, ending)


class TerminalCommand(BaseCommand):
    def __init__(
        self, stdout: TextIO | None = None, stderr: TextIO | None = None, **kwargs: Any
    ) -> None:
        super().__init__(stdout, stderr, **kwargs)
        style = self.stderr.style_func
        self.stderr = _Wrapper(stderr or sys.stderr)
        self.stderr.style_func = style

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        except KeyboardInterrupt:
            self.stderr.write("Interrupted.")
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            _discard(sys.stdout)
            _discard(sys.stderr)
            sys.exit(NOBODY_READS)

    def execute(self, *args: Any, **options: Any) -> str | None:
        for name in ("stdout", "stderr"):
            stream = options.get(name) or getattr(sys, name)
            if stream is None:  # closed by who started us
                options[name] = io.StringIO()
            elif hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="twilio_tokens.plainly")
        self.stdout = _Wrapper(cast("TextIO", _Output(options.pop("stdout", None) or sys.stdout)))
        if stderr := options.pop("stderr", None):
            self.stderr = _Wrapper(stderr)
        try:
            return super().execute(*args, **options)
        except (TwilioTokensError, Error) as error:
            raise told(error) from None
        finally:
            self.stdout.flush()


def told(error: TwilioTokensError | Error) -> CommandError:
    """The sentence and the exit status with which a command ends."""
    fault = error if isinstance(error, Error) else error.__cause__
    no_answer = isinstance(fault, (OperationalError, InterfaceError))
    return CommandError(_sentence(error), returncode=NO_ANSWER if no_answer else FAILED)


def _sentence(error: TwilioTokensError | Error) -> str:
    if isinstance(error, Unavailable):
        return f"{error.code}: {error.reason}"
    if isinstance(error, TwilioTokensError):
        return f"{error.code}: {error.message}"
    # Only the first line: PostgreSQL tells the values of the row in the next.
    reason = str(error).partition("\n")[0]
    return (
        f"The database cannot be used: {reason}\n"
        "If tables or columns are missing, run “manage.py migrate” first."
    )
