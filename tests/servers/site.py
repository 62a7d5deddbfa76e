"""A site on disk, and the servers that serve it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt

from tests.rows import new_secret
from twilio_tokens.crypto import generate_key

from .databases import sqlite
from .operator import Operator

APPLICATION = "tests.servers.applications"
# gunicorn and uvicorn serve by as many processes as WEB_CONCURRENCY says.
SERVERS = {
    "uvicorn": ("uvicorn", "--port", "{port}", "--lifespan", "off", f"{APPLICATION}:asgi"),
    "hypercorn": ("hypercorn", "--bind", "127.0.0.1:{port}", f"asgi:{APPLICATION}:asgi"),
    "hypercorn-wsgi": ("hypercorn", "--bind", "127.0.0.1:{port}", f"wsgi:{APPLICATION}:wsgi"),
    "gunicorn": ("gunicorn", "--bind", "127.0.0.1:{port}", f"{APPLICATION}:wsgi"),
    "runserver": ("django", "runserver", "127.0.0.1:{port}", "--noreload"),
}
HTTP_2 = {"hypercorn", "hypercorn-wsgi"}

CSRF = "0" * 32


class Site:
    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.secret = new_secret()
        self.change_encryption_keys(generate_key())
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.servers.settings",
            "SITE_FOLDER": str(folder),
            "SITE_DATABASE": json.dumps(sqlite(folder)),
            "SITE_CACHE": "filebased.FileBasedCache",
            "SITE_CACHE_LOCATION": str(folder / "cache"),
            "GUNICORN_CMD_ARGS": "--threads 8",
            **environment,
        }
        self.operator = Operator(self.environment)
        made = self.operator("populate", secret=self.secret)
        self.token, self.session = made["token"], made["session"]

    def change_encryption_keys(self, *keys: str) -> None:
        """For all processes, the newest first."""
        self.encryption_keys = keys
        new = self.folder / "new-keys"
        new.write_text("\n".join(keys))
        new.replace(self.folder / "keys")

    @contextmanager
    def served_by(self, server: str, *arguments: str, **environment: str) -> Iterator[httpx.Client]:
        """A client that is signed in as anna, by token."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [part.format(port=port) for part in SERVERS[server]]
        with (self.folder / f"{server}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command, *arguments],
                env={**self.environment, **environment},
                stdout=log,
                stderr=log,
            )
        is_http_2 = server in HTTP_2
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}",
                headers={"Authorization": f"Token {self.token}"},
                http1=not is_http_2,
                http2=is_http_2,
                # A server may close a connection whose body it was not asked for.
                limits=httpx.Limits(max_keepalive_connections=0),
                timeout=60,
                trust_env=False,
            ) as client:
                _wait_for(client)
                yield client
        finally:
            process.terminate()
            process.wait(timeout=30)

    def console(self, client: httpx.Client) -> httpx.Client:
        """A client of the same server, signed in as the boss."""
        return httpx.Client(
            base_url=client.base_url,
            cookies={"sessionid": self.session, "csrftoken": CSRF},
            headers={"X-CSRFToken": CSRF},
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=60,
            trust_env=False,
        )

    def close(self) -> None:
        self.operator.leave()

    def granted(self, response: httpx.Response) -> dict[str, Any]:
        assert response.status_code == 201, response.text
        claims = jwt.decode(response.json()["token"], self.secret, algorithms=["HS256"])
        return {**claims["grants"], "ttl": claims["exp"] - claims["iat"]}


def _wait_for(client: httpx.Client) -> None:
    for _ in range(300):
        try:
            client.get("/")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("The server does not start.")
