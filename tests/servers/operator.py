"""A process of the site beside those that serve it, which does what a test tells it to."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


class Operator:
    """Calls the functions of ``tests.servers.operations``."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.operations"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin, self._process.stdout

    def __call__(self, name: str, **arguments: Any) -> Any:
        self.begin(name, **arguments)
        return self.end()

    def begin(self, name: str, **arguments: Any) -> None:
        self._to.write(f"{json.dumps([name, arguments])}\n")
        self._to.flush()

    def end(self) -> Any:
        return done(self.answer())

    def answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._from.readline())
        return answer

    def run(
        self, command: str, *, environment: dict[str, str] | None = None, **options: Any
    ) -> str:
        return self("command", name=command, options=options, environment=environment or {})

    def leave(self) -> None:
        self._to.close()
        self._process.wait(timeout=30)
        self._from.close()


def at_once(operators: list[Operator], name: str, arguments: list[dict[str, Any]]) -> list[Any]:
    """What each of them has done with its arguments."""
    for operator, its in zip(operators, arguments, strict=True):
        operator.begin(name, **its)
    answers = [operator.answer() for operator in operators]
    return [done(answer) for answer in answers]


def done(answer: dict[str, Any]) -> Any:
    assert "raised" not in answer, answer
    return answer["done"]
