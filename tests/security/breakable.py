"""A served site whose world breaks, and what it answers then."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.servers.site import Site

VIDEO = "/twilio/tokens/video/"
CONSOLE = "/admin/twilio_tokens"


class BreakableSite(Site):
    """The site of ``faulty_site``; ``settings`` are set on top."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(
            folder,
            DJANGO_SETTINGS_MODULE="tests.security.faulty_site",
            SITE_SETTINGS=json.dumps(settings),
        )
        self.close()

    @contextmanager
    def served(self, *arguments: str, **settings: Any) -> Iterator[Served]:
        """By one process that serves one request at a time."""
        known = json.loads(self.environment["SITE_SETTINGS"])
        environment = {"SITE_SETTINGS": json.dumps({**known, **settings})}
        with self.served_by("gunicorn", "--threads=1", *arguments, **environment) as client:
            served = Served(self, client)
            with served.operator:
                yield served

    @contextmanager
    def failing(self, fault: str) -> Iterator[None]:
        """``identity hangs``: what happens meanwhile, and at which place."""
        (self.folder / "fault").write_text(fault)
        try:
            yield
        finally:
            (self.folder / "fault").unlink()

    @contextmanager
    def running(self, *command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """A command of ``manage.py``."""
        with subprocess.Popen(
            [sys.executable, "-m", "django", *command],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            yield process

    def run(self, *command: str, **environment: str) -> str:
        """What it writes to standard output, when it has succeeded."""
        with self.running(*command, **environment) as process:
            output, errors = process.communicate()
        assert process.returncode == 0, errors
        return output


class Served:
    def __init__(self, site: BreakableSite, client: httpx.Client) -> None:
        self.site, self.client = site, client
        #: Signed in to the console, by a session in the database.
        self.operator = site.console(client)

    def send(self, page: str, **form: str) -> httpx.Response:
        """What an operator posts to a page of the console."""
        return self.operator.post(page, data=form)

    def post(self) -> httpx.Response:
        return self.client.post(VIDEO, json={"room": "A"})

    @contextmanager
    def asked(self) -> Iterator[Any]:
        """A request for a token that is on its way; its answer when it is over."""
        with ThreadPoolExecutor(1) as pool:
            yield pool.submit(self.post)

    def assert_works(self) -> None:
        """A token is issued and opens with the secret, and the console shows its list."""
        granted = self.site.granted(self.post())
        assert granted["identity"] == "anna"
        assert self.operator.get(f"{CONSOLE}/apikey/").status_code == 200


def assert_unavailable(response: httpx.Response, code: str) -> None:
    """The answer of the table of errors, without a token."""
    assert (response.status_code, response.json()["code"]) == (503, code), response.text
    assert set(response.json()) == {"detail", "code"}
    assert response.headers["Cache-Control"] == "no-store"


def assert_told_in_the_console(response: httpx.Response) -> None:
    """Not Django's bare 500."""
    assert response.status_code == 503, response.text
    assert "The database failed" in response.text
    assert response.headers["Cache-Control"] == "no-store"
