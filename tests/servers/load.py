"""Clients that ask for tokens without pause, and what was true while they did."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

#: Far longer than anything takes; then something hangs.
HANGS = 120


@dataclass(frozen=True)
class Answer:
    began: float
    ended: float
    path: str
    status: int
    body: dict[str, Any]

    @property
    def tokens(self) -> list[str]:
        body = self.body
        return [body["token"]] if "token" in body else body.get("tokens", [])

    @property
    def code(self) -> str:
        return str(self.body.get("code", ""))


class Load:
    """A context manager: the clients ask, each in a thread of its own, until the block ends."""

    def __init__(self, requests: list[tuple[httpx.Client, str, dict[str, Any]]]) -> None:
        self.answers: list[Answer] = []
        self._requests = requests
        self._counts = [0] * len(requests)
        self._changed = threading.Condition()
        self._is_over = False
        self._error: BaseException | None = None

    def __enter__(self) -> Load:
        self._threads = [
            threading.Thread(target=self._ask, args=[number, *request])
            for number, request in enumerate(self._requests)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over = True
        for thread in self._threads:
            thread.join(timeout=HANGS)

    def go_on(self) -> None:
        """Until what is under way has ended, and each client has got an answer after that."""
        with self._changed:
            wanted = [count + 2 for count in self._counts]
        self.wait_until(lambda: all(map(int.__ge__, self._counts, wanted)))

    def wait_until(self, is_so: Callable[[], object]) -> None:
        with self._changed:
            happened = self._changed.wait_for(lambda: self._error or is_so(), timeout=HANGS)
        assert happened, "The clients get no answers."
        if self._error:
            raise self._error

    def post(
        self, client: httpx.Client, path: str, body: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """The status, and what the answer tells."""
        response = client.post(path, json=body)
        is_json = response.headers["Content-Type"] == "application/json"
        return response.status_code, response.json() if is_json else {"page": response.text}

    def _ask(self, number: int, client: httpx.Client, path: str, body: dict[str, Any]) -> None:
        try:
            while not self._is_over:
                began = time.monotonic()
                status, told = self.post(client, path, body)
                answer = Answer(began, time.monotonic(), path, status, told)
                with self._changed:
                    self.answers.append(answer)
                    self._counts[number] += 1
                    self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 - raised where the test waits
            with self._changed:
                self._error = error
                self._changed.notify_all()


class History:
    """What was true when. While something is being changed, both may be true."""

    def __init__(self, **state: Any) -> None:
        self.now = state
        self._states = [(time.monotonic(), state)]
        self._ends: list[float] = []

    @contextmanager
    def change(self, **changes: Any) -> Iterator[dict[str, Any]]:
        """What is changed in the block, which may add to it."""
        began = time.monotonic()
        yield changes
        self.now = {**self.now, **changes}
        self._states.append((began, self.now))
        self._ends.append(time.monotonic())

    def between(self, start: float, end: float, name: str) -> set[Any]:
        """Every value that may have been the true one at some moment."""
        ends = [*self._ends, end]
        return {
            state[name]
            for (began, state), ended in zip(self._states, ends, strict=True)
            if began <= end and ended >= start
        }
