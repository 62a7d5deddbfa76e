"""A real Redis that goes away, hangs and refuses: what is not counted is not issued."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .breakable import CONSOLE, VIDEO, BreakableSite, Served, assert_unavailable
from .private_servers import Redis, Step, broken, wait_until


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture(scope="module")
def served(redis: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    cache = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": redis.url,
        "OPTIONS": {"socket_timeout": 1},
    }
    site = BreakableSite(
        tmp_path_factory.mktemp("site"),
        CACHES={"default": cache},
        TWILIO_TOKENS_THROTTLE_RATE="1000/hour",
    )
    with site.served() as served:
        served.assert_works()
        yield served


def set_to(**settings: object) -> Step:
    """And end the connections that are open, which some settings spare."""

    def step(server: Redis) -> None:
        for name, value in settings.items():
            server.execute("CONFIG", "SET", name.replace("_", "-"), str(value))
        server.execute("CLIENT", "KILL", "TYPE", "normal")

    return step


def fail_to_save(server: Redis) -> None:
    """As with a full disk: a folder is where its file should be."""
    (server.folder / "dump.rdb").mkdir()
    server.execute("CONFIG", "SET", "save", "3600 1")
    server.execute("BGSAVE")
    wait_until(
        lambda: server.execute("INFO", "persistence")["rdb_last_bgsave_status"] == "err",
        "saving fails",
    )


def save_no_more(server: Redis) -> None:
    (server.folder / "dump.rdb").rmdir()
    server.execute("CONFIG", "SET", "save", "")


def load_slowly(server: Redis) -> None:
    """As with much data after a restart."""
    server.execute("CONFIG", "SET", "rdbcompression", "no")
    for number in range(100):
        server.execute("SET", f"key-{number}", "x" * 1_000)
    server.execute("SAVE")
    server.stop()
    server.begin("--key-load-delay", "100000", "--loading-process-events-interval-bytes", "1024")
    wait_until(server.is_loading, "it loads")


def start_empty(server: Redis) -> None:
    server.kill()
    (server.folder / "dump.rdb").unlink()
    server.start()


def replace_by_another_type(server: Redis) -> None:
    for key in server.execute("KEYS", "*throttle*"):
        server.execute("DEL", key)
        server.execute("RPUSH", key, "nonsense")


FAULTS: dict[str, tuple[Step, Step]] = {
    "killed": (Redis.kill, Redis.start),
    "hangs": (Redis.freeze, Redis.thaw),
    "out of memory": (set_to(maxmemory=1), set_to(maxmemory=0)),
    "a replica": (
        lambda server: server.execute("REPLICAOF", "127.0.0.1", 1),
        lambda server: server.execute("REPLICAOF", "NO", "ONE"),
    ),
    "a replica without data": (
        lambda server: (
            set_to(replica_serve_stale_data="no")(server),
            server.execute("REPLICAOF", "127.0.0.1", 1),
        ),
        lambda server: server.execute("REPLICAOF", "NO", "ONE"),
    ),
    "too few replicas": (set_to(min_replicas_to_write=1), set_to(min_replicas_to_write=0)),
    "too many clients": (set_to(maxclients=1), set_to(maxclients=100)),
    "wants a password": (set_to(requirepass="secret"), set_to(requirepass="")),
    "cannot save": (fail_to_save, save_no_more),
    "loads its data": (load_slowly, start_empty),
    "holds something else": (replace_by_another_type, lambda server: server.execute("FLUSHALL")),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_is_not_counted_is_not_issued_and_the_next_request_works(
    fault: tuple[Step, Step], served: Served, redis: Redis
) -> None:
    with broken(redis, fault):
        assert_unavailable(served.post(), "throttle_unavailable")
        assert served.client.get(VIDEO).status_code == 200
    served.assert_works()


@pytest.mark.parametrize("fault", ["killed", "hangs", "out of memory"])
def test_the_console_tells_that_nothing_is_counted(
    fault: str, served: Served, redis: Redis
) -> None:
    operator = served.operator
    with broken(redis, FAULTS[fault]):
        overview = operator.get(f"{CONSOLE}/")
        assert overview.status_code == operator.get(f"{CONSOLE}/apikey/").status_code == 200
        asked = served.send(f"{CONSOLE}/issuedtoken/test/", username="boss", video="on")
        assert "No token was issued: The cache raised" in asked.text
    assert ("cache does not answer" in overview.text) is (fault != "out of memory")
    served.assert_works()


def test_a_cache_that_is_lost_in_the_middle_of_a_request_gets_an_answer(
    served: Served, redis: Redis
) -> None:
    redis.freeze()
    with served.asked() as request:
        redis.kill()
        assert_unavailable(request.result(), "throttle_unavailable")
    redis.start()
    served.assert_works()
