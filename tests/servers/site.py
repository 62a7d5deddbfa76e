"""A site on disk, and the servers that serve it."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt

from tests.rows import new_secret
from twilio_tokens.crypto import generate_key

APPLICATION = "tests.servers.applications"
SERVERS = {
    "uvicorn": ("uvicorn", "--port", "{port}", "--lifespan", "off", f"{APPLICATION}:asgi"),
    "hypercorn": ("hypercorn", "--bind", "127.0.0.1:{port}", f"asgi:{APPLICATION}:asgi"),
    "hypercorn-wsgi": ("hypercorn", "--bind", "127.0.0.1:{port}", f"wsgi:{APPLICATION}:wsgi"),
    "gunicorn": ("gunicorn", "--bind", "127.0.0.1:{port}", "--threads", "8", f"{APPLICATION}:wsgi"),
    "runserver": ("django", "runserver", "127.0.0.1:{port}", "--noreload"),
}
HTTP_2 = {"hypercorn", "hypercorn-wsgi"}

POPULATE = """
from django.contrib.auth.models import User
from django.core.management import call_command
from rest_framework.authtoken.models import Token
from twilio_tokens.models import Account, APIKey, TwiMLApp
call_command("migrate", verbosity=0)
call_command("createcachetable", "cache")
account = Account.objects.create(name="Main", sid="AC" + "0" * 32)
APIKey.objects.create(
    account=account, name="Key", sid="SK" + "0" * 32, region="us1", secret=input()
)
TwiMLApp.objects.create(
    account=account, name="phone", sid="AP" + "0" * 32, is_default=True, allow_incoming=True
)
User.objects.create_superuser("boss", password="boss")
print(Token.objects.create(user=User.objects.create(username="anna")).key)
"""


class Site:
    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.secret = new_secret()
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.servers.settings",
            "SITE_FOLDER": str(folder),
            "SITE_CACHE": "filebased.FileBasedCache",
            "SITE_CACHE_LOCATION": str(folder / "cache"),
            "SITE_ENCRYPTION_KEY": generate_key(),
            **environment,
        }
        setup = [sys.executable, "-c", f"import django\ndjango.setup()\n{POPULATE}"]
        self.token = subprocess.run(
            setup,
            env=self.environment,
            input=self.secret,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    @contextmanager
    def served_by(self, server: str, *arguments: str, **environment: str) -> Iterator[httpx.Client]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [part.format(port=port) for part in SERVERS[server]]
        process = subprocess.Popen(
            [sys.executable, "-m", *command, *arguments],
            env={**self.environment, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
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

    def clear_database_cache(self) -> None:
        with closing(sqlite3.connect(self.folder / "db.sqlite3")) as database, database:
            database.execute("DELETE FROM cache")

    def granted(self, response: httpx.Response) -> dict[str, Any]:
        assert response.status_code == 201, response.text
        claims = jwt.decode(response.json()["token"], self.secret, algorithms=["HS256"])
        return {**claims["grants"], "ttl": claims["exp"] - claims["iat"]}


def _wait_for(client: httpx.Client) -> None:
    for _ in range(300):
        try:
            client.get("/twilio/tokens/video/")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("The server does not start.")
