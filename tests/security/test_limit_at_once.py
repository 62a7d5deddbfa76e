"""A hundred requests at once against a limit of ten, on each cache that counts them."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from rest_framework.throttling import SimpleRateThrottle

from tests.servers import gate
from tests.servers.site import Site
from twilio_tokens.throttles import TokenRateThrottle

from .private_servers import PrivateServer, Redis, wait_until

VIDEO = "/twilio/tokens/video/"
REQUESTS, LIMIT = 100, 10


class Memcached(PrivateServer):
    programs = ("memcached",)

    def command(self) -> list[str]:
        user = ["-u", "nobody"]
        return [self.program["memcached"], "-l", "127.0.0.1", "-p", str(self.port), *user]

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.mark.parametrize(
    ("cache", "server"),
    [
        ("redis.RedisCache", "gunicorn"),
        ("redis.RedisCache", "uvicorn"),
        ("memcached.PyMemcacheCache", "gunicorn"),
        ("memcached.PyMemcacheCache", "uvicorn"),
        ("db.DatabaseCache", "gunicorn"),
        ("db.DatabaseCache", "uvicorn"),
        ("filebased.FileBasedCache", "gunicorn"),
        ("locmem.LocMemCache", "uvicorn"),
    ],
)
def test_of_a_hundred_requests_at_once_ten_pass(
    site: Site, server: str, cache: str, tmp_path: Path
) -> None:
    processes = 1 if cache.startswith("locmem") else 2
    with ExitStack() as stack:
        environment = {
            "SITE_THROTTLE_RATE": f"{LIMIT}/hour",
            "SITE_CACHE": cache,
            "SITE_CACHE_LOCATION": location(cache, site, tmp_path, stack),
            "WEB_CONCURRENCY": str(processes),
            "GUNICORN_CMD_ARGS": f"--threads {REQUESTS}",
        }
        client = stack.enter_context(site.served_by(server, **environment))
        assert statuses(client, site, processes) == {201: LIMIT, 429: REQUESTS - LIMIT}


def location(cache: str, site: Site, folder: Path, stack: ExitStack) -> str:
    if cache.startswith("redis"):
        return str(stack.enter_context(Redis()).url)
    if cache.startswith("memcached"):
        return f"127.0.0.1:{stack.enter_context(Memcached()).port}"
    if cache.startswith("db"):
        with closing(sqlite3.connect(site.folder / "db.sqlite3")) as database, database:
            database.execute("DELETE FROM cache")
        return "cache"
    return str(folder)


def statuses(client: httpx.Client, site: Site, processes: int) -> dict[int, int]:
    """Of requests that all have come before one of them goes on, to all processes."""
    before = len(gate.processes(site.folder))

    def came() -> list[int]:
        return gate.processes(site.folder)[before:]

    def all_serve() -> bool:
        client.get(VIDEO, headers=gate.HEADERS)  # this one issues nothing, and is not counted
        return len({*came()}) == processes

    wait_until(all_serve, "all processes serve")
    came_before = len(came())
    with ThreadPoolExecutor(REQUESTS) as pool:
        with gate.closed(site.folder):
            requests = [
                pool.submit(client.post, VIDEO, headers=gate.HEADERS) for _ in range(REQUESTS)
            ]
            wait_until(lambda: len(came()) - came_before == REQUESTS, "all requests have come")
        return Counter(request.result().status_code for request in requests)


def test_where_one_period_ends_and_the_next_begins_ten_pass_in_each(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = threading.local()
    monkeypatch.setattr(SimpleRateThrottle, "timer", lambda self: clock.now)
    settings.TWILIO_TOKENS_THROTTLE_RATE = f"{LIMIT}/hour"
    start = 1_000_000_000.0

    def passes(now: float) -> tuple[float, bool]:
        clock.now = now
        request: Any = SimpleNamespace(method="POST", user=SimpleNamespace(pk=1))
        return now, TokenRateThrottle().allow_request(request, None)  # type: ignore[arg-type]

    with Redis() as server, ThreadPoolExecutor(20) as pool:
        backend = "django.core.cache.backends.redis.RedisCache"
        settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": server.url}}
        assert passes(start) == (start, True)
        before, after = start + 3_599.999, start + 3_600.001
        passed = Counter(pool.map(passes, [before, after] * REQUESTS))
    assert passed[before, True] == LIMIT - 1
    assert passed[after, True] == LIMIT
