"""Holds requests until there are as many as the test wants, then lets all of them go at once."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse

#: Only requests with this header come here.
HEADERS = {"X-Gate": "yes"}


def gate(answer: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """The middleware."""

    def hold(request: HttpRequest) -> HttpResponse:
        if HEADERS.keys() <= request.headers.keys():
            with (settings.FOLDER / "gate").open("ab", buffering=0) as file:
                file.write(f"{os.getpid()}\n".encode())
            with (settings.FOLDER / "gate.lock").open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_SH)
        return answer(request)

    return hold


def processes(folder: Path) -> list[int]:
    """Of the requests that have come to the gate."""
    gate = folder / "gate"
    return [int(each) for each in gate.read_text().split()] if gate.exists() else []


@contextmanager
def closed(folder: Path) -> Iterator[None]:
    """Until the end of the block."""
    with (folder / "gate.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
