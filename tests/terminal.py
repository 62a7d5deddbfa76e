"""A shell at a terminal, into which a test types what a page has people type."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import sys
import time
from pathlib import Path

#: Seconds: pip and npm fetch what the page installs.
PATIENCE = 600
PROMPT = "-- prompt --"
SPAWN = "import pty, sys; pty.spawn(sys.argv[1:])"


class Terminal:
    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        shell = ["bash", "--noprofile", "--norc", "--noediting", "-e"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SPAWN, *shell],
            cwd=folder,
            env={**environment, "PS1": PROMPT, "PS2": "", "TERM": "dumb"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.typed, self.shown = self.process.stdin, self.process.stdout
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.shown, selectors.EVENT_READ)
        #: Seconds that each command took.
        self.took: dict[str, float] = {}
        self.type("stty -echo")
        self.read_until(PROMPT)
        self.read_until(PROMPT)

    def run(self, block: str, **answers: str) -> str:
        """What its commands say. An answer is typed in where a prompt begins with its name."""
        said = ""
        for command in re.split(r"(?<!\\)\n", block.rstrip()):
            began = time.monotonic()
            self.type(command)
            said += self.read_until(PROMPT, answers)
            self.took[command.partition("\n")[0]] = time.monotonic() - began
        return said.replace(PROMPT, "")

    def type(self, text: str) -> None:
        self.typed.write(f"{text}\n".encode())

    def read_until(self, end: str, answers: dict[str, str] | None = None) -> str:
        said, answered, deadline = "", 0, time.monotonic() + PATIENCE
        while end not in said[answered:]:
            assert self.selector.select(max(0.0, deadline - time.monotonic())), said
            part = os.read(self.shown.fileno(), 65_536).decode(errors="replace")
            assert part, f"The shell ended.\n{said}"
            said += part.replace("\r\n", "\n")
            for prompt, answer in (answers or {}).items():
                if found := re.search(rf"^{prompt}[^\n]*: ?$", said[answered:], re.MULTILINE):
                    answered += found.end()
                    self.type(answer)
        return said

    def close(self) -> None:
        """End it, and what it still runs, as who closes its window does."""
        self.process.terminate()
        self.process.wait()
        self.typed.close()
        self.shown.close()
