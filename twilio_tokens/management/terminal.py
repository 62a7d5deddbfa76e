"""Shared by the app's commands: every terminal can show their output, and expected errors end with
one sentence instead of a traceback."""

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

#: Exit statuses: something needs fixing; Twilio or the database does not respond, but may do so
#: later. In between, 2 is argparse's status for an invalid command line.
FAILED, NO_ANSWER = 1, 3

#: As a shell reports a program that SIGINT or SIGPIPE ended.
INTERRUPTED, NOBODY_READS = 130, 141

#: Substitutes for typographic characters that the terminal's encoding lacks.
_PLAIN = str.maketrans(
    {"“": '"', "”": '"', "’": "'", "…": "...", "–": "-", "\N{NO-BREAK SPACE}": " "}
)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "backslashreplace").decode(), error.end


codecs.register_error("twilio_tokens.plainly", _plainly)


class _Output:
    """Reports a full disk or a closed pipe here, rather than as noise when Python exits."""

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
            reason = f"Cannot write to standard output: {error.strerror}."
            raise CommandError(reason) from None


def _discard(stream: TextIO | None) -> None:
    """Otherwise Python would try again to write the rest."""
    if stream is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Wrapper(OutputWrapper):
    """Escapes control characters, because names and tokens are written by other people.

    Text with a style comes from code that wrote all of it, such as Django's system checks.
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
            if stream is None:  # closed by the parent process
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
    """The error with the sentence and the exit status of the command."""
    fault = error if isinstance(error, Error) else error.__cause__
    no_answer = isinstance(fault, (OperationalError, InterfaceError))
    return CommandError(_sentence(error), returncode=NO_ANSWER if no_answer else FAILED)


def _sentence(error: TwilioTokensError | Error) -> str:
    if isinstance(error, Unavailable):
        return f"{error.code}: {error.reason}"
    if isinstance(error, TwilioTokensError):
        return f"{error.code}: {error.message}"
    # Only the first line: in the next, PostgreSQL shows the values of the row.
    reason = str(error).partition("\n")[0]
    return (
        f"The database cannot be used: {reason}\n"
        "If tables or columns are missing, run “manage.py migrate” first."
    )
