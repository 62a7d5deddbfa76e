"""Servers that a test starts for itself, and may stop, kill and freeze."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis


def wait_until(is_so: Callable[[], object], what: str) -> None:
    for _ in range(600):
        if is_so():
            return
        time.sleep(0.05)
    raise AssertionError(f"Not within 30 seconds: {what}")


Step = Callable[[Any], object]


@contextmanager
def broken(server: PrivateServer, fault: tuple[Step, Step]) -> Iterator[None]:
    """``fault`` is how it begins, and how it is fixed; each is given the server."""
    begin, mend = fault
    begin(server)
    try:
        yield
    finally:
        mend(server)


class PrivateServer:
    """On a port of its own, with its data in a folder of its own. A context manager."""

    programs: tuple[str, ...]
    stops_at = signal.SIGTERM

    def __init__(self) -> None:
        self.program = {name: _found(name) for name in self.programs}
        #: Whom it runs as; None is who runs the tests.
        self.user = "postgres" if "postgres" in self.programs and os.geteuid() == 0 else None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    def __enter__(self) -> Any:
        # Not pytest's, which another user may not enter.
        self.folder = Path(tempfile.mkdtemp(prefix="private-server-"))
        if self.user:
            shutil.chown(self.folder, self.user, self.user)
        self.prepare()
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def start(self) -> None:
        self.begin()
        wait_until(self.answers, f"{self.programs[0]} answers")

    def begin(self, *arguments: str) -> None:
        """Start it, and do not wait until it answers."""
        self.process = self.run([*self.command(), *arguments])

    def stop(self) -> None:
        self.process.send_signal(self.stops_at)
        self.process.wait(timeout=30)

    def kill(self) -> None:
        """All of its processes, without a warning."""
        if self.process.poll() is None:
            self.freeze()  # it starts no others meanwhile
            for child in children(self.process.pid):
                os.kill(child, signal.SIGKILL)
            self.process.kill()
            self.process.wait(timeout=30)

    def freeze(self) -> None:
        """It keeps its connections, and answers nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def run(self, command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user else None,
        )

    def prepare(self) -> None:
        """Before the first start."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError


class PostgreSQL(PrivateServer):
    """With a database, and a role that owns it and is no superuser: both named ``site``."""

    programs = ("postgres", "initdb")
    stops_at = signal.SIGINT  # does not wait for clients to leave

    def prepare(self) -> None:
        self.data = self.folder / "data"
        options = ["--no-sync", "--no-instructions", "--auth=trust", "--username=postgres"]
        initdb = self.run([self.program["initdb"], *options, "--encoding=UTF8", str(self.data)])
        assert initdb.wait(timeout=60) == 0

    def __enter__(self) -> Any:
        super().__enter__()
        self.execute("CREATE ROLE site LOGIN")
        self.execute("CREATE DATABASE site OWNER site")
        return self

    def command(self) -> list[str]:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "autovacuum": "off",
            "shared_buffers": "16MB",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [self.program["postgres"], "-D", str(self.data), *options]

    def answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """As a superuser, whom no limit of connections keeps out."""
        address = f"postgresql://postgres@127.0.0.1:{self.port}/{database}"
        return psycopg.connect(address, autocommit=True)

    def execute(self, statement: Any, *, database: str = "postgres") -> Any:
        """The first row, where there is one."""
        with self.connect(database) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchone() if cursor.description else None

    def query(self, statement: Any) -> Any:
        """The same in the site's database."""
        return self.execute(statement, database="site")

    def disconnect_site(self) -> None:
        """Ends the site's connections, as a server does with those that are idle for long."""
        sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'site'"
        wait_until(lambda: not self.execute(sessions), "the site is disconnected")

    def wait_for_blocked(self, statements: int = 1) -> int:
        """Until so many wait for a lock; the process that serves one of them."""
        blocked = "SELECT count(*), max(pid) FROM pg_locks WHERE NOT granted"
        wait_until(lambda: self.execute(blocked)[0] == statements, "statements wait for a lock")
        return int(self.execute(blocked)[1])

    def as_django_knows_it(self, **values: object) -> dict[str, object]:
        return {
            "ENGINE": "django.db.backends.postgresql",
            "HOST": "127.0.0.1",
            "PORT": self.port,
            "USER": "site",
            "NAME": "site",
            **values,
        }


class Redis(PrivateServer):
    programs = ("redis-server",)

    def command(self) -> list[str]:
        options = {"port": str(self.port), "bind": "127.0.0.1", "save": "", "appendonly": "no"}
        arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
        return [self.program["redis-server"], *arguments]

    def prepare(self) -> None:
        # One connection, which stays when no other is let in.
        self.control = redis.Redis(port=self.port, max_connections=1, retry=None)

    def __exit__(self, *error: object) -> None:
        self.control.close()
        super().__exit__(*error)

    def answers(self) -> bool:
        try:
            return bool(self.control.ping())
        except redis.ConnectionError:
            return False

    def is_loading(self) -> bool:
        try:
            self.control.ping()
        except redis.BusyLoadingError:
            return True
        except redis.ConnectionError:
            pass
        return False

    def execute(self, *command: str | int) -> Any:
        return self.control.execute_command(*command)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


def children(pid: int) -> list[int]:
    listing = subprocess.run(
        ["/bin/ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(each) for each in listing.stdout.split()]


def _found(program: str) -> str:
    # Debian keeps those of PostgreSQL apart, one folder a version.
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = os.pathsep.join([os.environ["PATH"], *map(str, folders)])
    found = shutil.which(program, path=path)
    if found is None:
        pytest.skip(f"There is no {program}.")
    return found
