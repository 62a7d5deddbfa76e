"""A node of the example site, and nginx before the nodes, as ``deploy/`` has them."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from tests.security.private_servers import PrivateServer, children, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
NGINX = REPOSITORY / "deploy" / "nginx"
SERVERS = {
    "gunicorn": ("gunicorn", "--config", "deploy/gunicorn.conf.py"),
    "uvicorn": ("uvicorn", "--lifespan", "off", "example_project.asgi:application"),
}


def free_port() -> int:
    """Below those that the system gives to clients: it stays free while a node is down."""
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as free:
            try:
                free.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("No port is free.")


class Machine(PrivateServer):
    programs: tuple[str, ...] = ("env",)

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        try:
            httpx.get(f"{self.address}/static/", trust_env=False)
        except httpx.TransportError:
            return False
        return True


class Node(Machine):
    """``environment`` is what it is started with, each time."""

    def __init__(self, server: str, environment: dict[str, str]) -> None:
        super().__init__()
        self.server, self.environment = server, environment

    def command(self) -> list[str]:
        bind = {
            "gunicorn": ["--bind", f"127.0.0.1:{self.port}"],
            "uvicorn": ["--host", "127.0.0.1", "--port", str(self.port)],
        }
        return [sys.executable, "-m", *SERVERS[self.server], *bind[self.server]]

    def run(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=REPOSITORY, env=self.environment, stdout=log, stderr=log
            )

    def is_ready(self, wait: float = 30) -> bool:
        """What the gate says: only then the node gets requests."""
        command = [sys.executable, "deploy/ready.py", "--wait", str(wait), self.address]
        asked = subprocess.run(command, cwd=REPOSITORY, env=self.environment, check=False)
        return asked.returncode == 0

    def start(self) -> None:
        self.begin()
        assert self.is_ready(), (self.folder / "log").read_text()[-2_000:]

    def restart(self) -> None:
        self.stop()
        self.start()


class Nginx(Machine):
    """``nodes`` and ``down`` among them are by address."""

    programs = ("nginx",)

    def __init__(self, nodes: list[Node]) -> None:
        super().__init__()
        self.nodes = nodes

    def prepare(self) -> None:
        shutil.copytree(NGINX, self.folder / "conf.d")
        (self.folder / "tmp").mkdir()
        (self.folder / "nginx.conf").write_text(self._main())
        site = self.folder / "conf.d" / "nginx.conf"
        shipped = site.read_text()
        assert shipped.count("listen 80 default_server;") == 1
        site.write_text(shipped.replace("listen 80 ", f"listen 127.0.0.1:{self.port} "))
        self.write_nodes()

    def _main(self) -> str:
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        return "\n".join(
            [
                "user root;" if os.geteuid() == 0 else "",
                "daemon off; pid nginx.pid; error_log error.log; worker_processes 2;",
                "events { worker_connections 1024; }",
                "http {",
                "log_format nodes '$status $upstream_addr';",
                "access_log access.log nodes;",
                *(f"{kind}_temp_path tmp/{kind};" for kind in kinds),
                "include conf.d/*.conf;",
                "}",
            ]
        )

    def write_nodes(self, down: Node | None = None) -> None:
        shipped = (NGINX / "nodes").read_text()
        for number, node in enumerate(self.nodes, start=1):
            name = f"app-{number}:8000"
            assert shipped.count(name) == 1
            out = " down" if node is down else ""
            shipped = shipped.replace(name, f"127.0.0.1:{node.port}{out}")
        (self.folder / "conf.d" / "nodes").write_text(shipped)

    def take_out(self, node: Node | None) -> None:
        """From now on it gets no requests; with None all get them."""
        before = set(children(self.process.pid))
        self.write_nodes(down=node)
        subprocess.run([*self.command(), "-s", "reload"], check=True, capture_output=True)
        # Its processes of before serve the requests that they have, and end.
        wait_until(lambda: not before & {*children(self.process.pid)}, "nginx is reloaded")

    def command(self) -> list[str]:
        folder = str(self.folder)
        return [
            self.program["nginx"],
            "-p",
            folder,
            "-c",
            f"{folder}/nginx.conf",
            "-e",
            "error.log",
        ]

    def log(self) -> list[str]:
        """Of each request its status and the addresses of the nodes that were asked."""
        return (self.folder / "access.log").read_text().splitlines()
