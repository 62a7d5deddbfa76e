"""A thousand users at once, who meet four workers that have just started and remember nothing."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from django.db import connection

from .measurements import Measurement
from .rows import add_credentials, add_users

USERS = int(os.environ.get("BENCHMARK_USERS", "1000"))
WORKERS = 4
THREADS = 8
BODY = json.dumps({"video": {"room": "DailyStandup"}, "chat": {}, "voice": {}}).encode()


def measure(rounds: int) -> Iterator[Measurement]:
    add_credentials()
    tokens = add_users(USERS)
    crowds = [serve_a_crowd(tokens) for _ in range(min(rounds, 3))]
    title = f"{USERS} users at once on {connection.vendor}"
    yield Measurement(f"{title}, failures", [float(failed) for failed, _ in crowds], 0)
    yield Measurement(
        f"{title}, reads of one credential in a process", [float(reads) for _, reads in crowds], 1
    )


def serve_a_crowd(tokens: list[str]) -> tuple[int, int]:
    """How many requests failed, and how often a process read the same credential at most."""
    with workers() as port:
        answers = asyncio.run(ask_at_once(port, tokens))
    reads: Counter[tuple[str, str]] = Counter()
    for headers in answers:
        for table, count in json.loads(headers.get("x-reads", "{}")).items():
            process = headers["x-process"], table
            reads[process] = max(reads[process], count)
    failed = sum(headers["status"] != "201" for headers in answers)
    return failed, max(reads.values(), default=0)


@contextmanager
def workers() -> Iterator[int]:
    """gunicorn, on a port that was free."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "benchmarks.counted:application"]
    options = f"--bind 127.0.0.1:{port} --workers {WORKERS} --threads {THREADS} --log-level error"
    server = subprocess.Popen([*command, *options.split()], env=environment())
    try:
        wait_for(port)
        yield port
    finally:
        server.terminate()
        server.wait()


def environment() -> dict[str, str]:
    """The workers use the database that was made for this measurement."""
    of = connection.settings_dict
    name = str(of["NAME"])
    if connection.vendor != "sqlite":
        name = os.environ["DATABASE_URL"].rpartition("/")[0] + "/" + name
    return {**os.environ, "DATABASE_URL": name if "://" in name else f"sqlite:///{name}"}


def wait_for(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("gunicorn did not start.")


async def ask_at_once(port: int, tokens: list[str]) -> list[Mapping[str, Any]]:
    return await asyncio.gather(*(ask(port, token) for token in tokens))


async def ask(port: int, token: str) -> Mapping[str, Any]:
    """The headers of the answer, and its status."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /twilio/tokens/ HTTP/1.1\r\nHost: benchmark\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nAuthorization: Token %b\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (token.encode(), len(BODY), BODY)
        )
        answer = (await reader.read()).decode()
        writer.close()
    except OSError as error:
        return {"status": type(error).__name__}
    first, *lines = answer.partition("\r\n\r\n")[0].split("\r\n")
    headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
    return {**headers, "status": first.split()[1] if answer else "no answer"}
