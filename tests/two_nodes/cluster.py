"""Two nodes behind nginx, with PostgreSQL and Redis, and clients that ask them for tokens."""

from __future__ import annotations

import itertools
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx
import jwt

from tests.security.private_servers import PostgreSQL, Redis
from tests.servers.load import Answer, Load
from tests.servers.operator import Operator
from twilio_tokens.crypto import generate_key

from .machines import REPOSITORY, Nginx, Node, free_port

VIDEO = "/twilio/tokens/video/"
CSRF = "0" * 32
HOST = "tokens.example.com"
CLIENTS = 8
#: The SID of the API key that the site has from the start.
FIRST_KEY = f"SK{0:032x}"
#: Each user's tokens an hour; the load is of so many users that none reaches it.
LIMIT = 200
USERS = 400
#: Seconds, of which each process may use a credential that another has changed.
CACHE_SECONDS = 2
#: Seconds between two requests of a client.
BREATH = 0.1
#: The status of an answer that did not come whole.
BROKEN_OFF = 0


class RoughLoad(Load):
    """Clients to whom an answer may break off: with its node, while nginx passes it on.

    They take a breath after each, for the nodes have the same processors.
    """

    def post(
        self, client: httpx.Client, path: str, body: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        time.sleep(BREATH)
        try:
            return super().post(client, path, body)
        except httpx.RemoteProtocolError as error:
            return BROKEN_OFF, {"page": str(error)}


class Cluster:
    """A context manager. ``server`` serves the nodes."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.postgresql, self.redis = PostgreSQL(), Redis()
        self.postgresql.port, self.redis.port = free_port(), free_port()
        self.encryption_key = generate_key()
        #: By the SID of the API key: what was put in, in plaintext.
        self.secrets = {FIRST_KEY: secrets.token_urlsafe(24)}
        self._stack = ExitStack()

    def __enter__(self) -> Cluster:
        with self._stack as stack:
            for each in (self.postgresql, self.redis):
                stack.enter_context(each)
            self.environment = self._environment()
            self.operator = Operator(self.environment)
            stack.callback(self.operator.leave)
            self._populate()
            self.nodes = [Node(self.server, {**self.environment}) for _ in range(2)]
            self.nginx = Nginx(self.nodes)
            for machine in (*self.nodes, self.nginx):
                stack.enter_context(machine)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "DJANGO_SETTINGS_MODULE": "example_project.settings",
            "DEBUG": "false",
            "HTTPS": "false",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ALLOWED_HOSTS": HOST,
            "DATABASE_URL": f"postgres://site@127.0.0.1:{self.postgresql.port}/site",
            "REDIS_URL": self.redis.url,
            "TWILIO_TOKENS_ENCRYPTION_KEYS": self.encryption_key,
            "TWILIO_TOKENS_THROTTLE_RATE": f"{LIMIT}/hour",
            "TWILIO_TOKENS_ROOM_REQUIRED": "false",
            "TWILIO_TOKENS_ROOM_POLICY": "",
            "TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS": str(CACHE_SECONDS),
            "WEB_CONCURRENCY": "2",
        }

    def _populate(self) -> None:
        made = self.operator("populate", secret=self.secrets[FIRST_KEY])
        self.anna, self.session = made["token"], made["session"]
        self.users = itertools.cycle(self.operator("add_users", number=USERS))

    def add_key(self) -> str:
        """The newest one, which signs from now on; its SID."""
        sid = f"SK{len(self.secrets):032x}"
        self.secrets[sid] = secrets.token_urlsafe(24)
        self.operator("add_key", sid=sid, secret=self.secrets[sid])
        return sid

    def manage(self, *command: str, **environment: str) -> None:
        subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=REPOSITORY,
            env={**self.environment, **environment},
            check=True,
            capture_output=True,
        )

    def client(self, address: str, token: str | None = None) -> httpx.Client:
        """Signed in as the user of the token, or for each request as another one."""

        def sign_in(request: httpx.Request) -> httpx.Request:
            request.headers["Authorization"] = f"Token {token or next(self.users)}"
            return request

        return self._client(address, auth=sign_in)

    def console(self, address: str) -> httpx.Client:
        """Signed in to the admin."""
        return self._client(
            address,
            cookies={"sessionid": self.session, "csrftoken": CSRF},
            headers={"X-CSRFToken": CSRF},
        )

    def _client(self, address: str, **options: Any) -> httpx.Client:
        options["headers"] = {"Host": HOST, **options.get("headers", {})}
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.Client(base_url=address, limits=limits, timeout=60, trust_env=False, **options)

    def load(self, *addresses: str) -> Load:
        """Clients that ask without pause, of nginx if not of these."""
        turns = itertools.cycle(addresses or (self.nginx.address,))
        return RoughLoad([(self.client(next(turns)), VIDEO, {}) for _ in range(CLIENTS)])

    def signer(self, answer: Answer) -> str:
        """The API key whose secret the token opens with."""
        [token] = answer.tokens
        key: str = jwt.decode(token, options={"verify_signature": False})["iss"]
        jwt.decode(token, self.secrets[key], algorithms=["HS256"])
        return key

    def unrecorded(self, answers: list[Answer]) -> set[str]:
        """Tokens that were handed out without a record."""
        with self.postgresql.connect("site") as connection:
            rows = connection.execute("SELECT jti FROM twilio_tokens_issuedtoken")
            recorded = {jti for [jti] in rows}
        return {answer.body["jti"] for answer in answers if answer.status == 201} - recorded

    def roll(self, **environment: str) -> None:
        """Restart one node after the other: out, restart, gate, in."""
        for node in self.nodes:
            self.nginx.take_out(node)
            node.environment.update(environment)
            node.restart()
            self.nginx.take_out(None)


def wait_until_all_succeed(load: Load, rounds: int = 3) -> float:
    """Seconds until that many answers in a row, for each client, were tokens."""
    began = time.monotonic()
    wanted = rounds * CLIENTS
    load.wait_until(_last_are_tokens(load, len(load.answers) + wanted, wanted))
    return time.monotonic() - began


def _last_are_tokens(load: Load, at_least: int, wanted: int) -> Callable[[], bool]:
    return lambda: (
        len(load.answers) >= at_least
        and all(answer.status == 201 for answer in load.answers[-wanted:])
    )
