"""Holds requests until there are as many as the test wants, then lets all of them go at once."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse

#: A request that says so in a header of this name is held.
HEADER = "X-Gate"


def gate(answer: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """The middleware."""

    def hold(request: HttpRequest) -> HttpResponse:
        if HEADER in request.headers:
            with (settings.FOLDER / "gate").open("ab", buffering=0) as file:
                file.write(f"{os.getpid():9}".encode())
            with (settings.FOLDER / "gate.lock").open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
        return answer(request)

    return hold


@contextmanager
def closed(folder: Path) -> Iterator[Callable[[], list[int]]]:
    """Until the end of the block. Gives what tells the processes of the requests that wait."""
    waiting = folder / "gate"
    waiting.write_bytes(b"")
    with (folder / "gate.lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield lambda: [int(each) for each in waiting.read_text().split()]
