"""The files of ``deploy/``, as far as they can be tried without two machines: see ``two_nodes``."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management.utils import get_random_secret_key

from twilio_tokens.crypto import generate_key

from .two_nodes import __main__ as two_nodes

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
EXAMPLE = dict(re.findall(r"^(\w+)=(.*)$", (DEPLOY / "env.example").read_text(), re.MULTILINE))
HOST = "tokens.example.com"
SECRETS = {"SECRET_KEY", "TWILIO_TOKENS_ENCRYPTION_KEYS", "POSTGRES_PASSWORD"}


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=DEPLOY.parent,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_gunicorn_takes_its_configuration() -> None:
    command = ("-m", "gunicorn", "--check-config", "--config", "deploy/gunicorn.conf.py")
    done = run(*command, SECRET_KEY="secret", DJANGO_SETTINGS_MODULE="example_project.settings")
    assert done.returncode == 0, done.stderr


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("There is no systemd-analyze.")
    unit = (DEPLOY / "twilio-tokens.service").read_text()
    gunicorn = "/srv/twilio-tokens/.venv/bin/gunicorn --config deploy/gunicorn.conf.py"
    assert gunicorn in unit
    installed = tmp_path / "twilio-tokens.service"
    installed.write_text(unit.replace(gunicorn, "/bin/true"))
    done = subprocess.run([analyze, "verify", installed], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_nodes_of_nginx_are_those_of_the_compose_file() -> None:
    nodes = re.findall(
        r"^server ([\w-]+):(\d+) ", (DEPLOY / "nginx" / "nodes").read_text(), re.MULTILINE
    )
    names = [name for name in COMPOSE["services"] if name.startswith("app-")]
    assert nodes == [(name, "8000") for name in names]
    for name in names:
        assert COMPOSE["services"][name]["environment"]["BIND"] == "0.0.0.0:8000"


def test_no_file_holds_a_secret() -> None:
    environment = COMPOSE["x-app"]["environment"]
    for name in SECRETS:
        assert EXAMPLE[name] == ""
        assert f"${{{name}:?" in " ".join(environment.values())
    assert "/deploy/.env" in (DEPLOY.parent / ".gitignore").read_text().splitlines()


def test_each_variable_of_the_example_is_read_by_something() -> None:
    readers = (DEPLOY.parent / "example_project/settings.py", DEPLOY / "gunicorn.conf.py")
    read = "".join(path.read_text() for path in (*readers, DEPLOY / "compose.yaml"))
    assert [name for name in EXAMPLE if name not in read] == []


# The settings in production


def production() -> dict[str, str]:
    """The variables of a node of the compose file, with what its ``.env`` must add."""
    written = {
        "SECRET_KEY": get_random_secret_key(),
        "TWILIO_TOKENS_ENCRYPTION_KEYS": generate_key(),
        "ALLOWED_HOSTS": HOST,
        "POSTGRES_PASSWORD": "password",
    }

    def value(variable: re.Match[str]) -> str:
        return written.get(variable["name"]) or variable["default"] or ""

    pattern = r"\$\{(?P<name>\w+)(:-(?P<default>[^}]*)|:\?[^}]*)\}"
    environment = COMPOSE["x-app"]["environment"]
    # Not what the tests and this checkout's demo have.
    here = {"DJANGO_SETTINGS_MODULE": "example_project.settings", "DEBUG": "false"}
    return {
        name: re.sub(pattern, value, text)
        for name, text in environment.items()
        if name != "DATABASE_URL"  # some checks ask the database, and that one is not here
    } | here


def test_django_finds_nothing_to_say_about_the_settings_in_production() -> None:
    command = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")
    done = run(*command, **production())
    assert done.returncode == 0, done.stderr
    assert "no issues (2 silenced)" in done.stdout
    without = run(*command, **{**production(), "HTTPS": "false"})
    assert without.returncode == 1
    assert "security.W004" in without.stderr


ASK = """
import django; django.setup()
from django.test import Client
client = Client(headers={"host": "%s"})
plain = client.get("/accounts/login/?next=/video/")
print(plain.status_code, plain["Location"])
print(client.get("/health/").status_code)
answer = client.get("/accounts/login/", headers={"x-forwarded-proto": "https"})
print(answer.status_code, answer["Strict-Transport-Security"])
print(answer["X-Content-Type-Options"], answer["X-Frame-Options"], answer["Referrer-Policy"])
print("frame-ancestors 'none'" in answer["Content-Security-Policy"])
print(answer.cookies["csrftoken"]["secure"])
"""


def test_in_production_browsers_use_https_alone() -> None:
    nowhere = {"DATABASE_URL": "sqlite://:memory:", "REDIS_URL": "redis://127.0.0.1:1/0"}
    done = run("-c", ASK % HOST, **{**production(), **nowhere})
    assert done.stdout.splitlines() == [
        f"301 https://{HOST}/accounts/login/?next=/video/",
        "500",  # it has no account, and says so over plain HTTP
        "200 max-age=3600",
        "nosniff DENY same-origin",
        "True",
        "True",
    ], done.stderr


@contextmanager
def node(status: int) -> Iterator[tuple[str, list[str | None]]]:
    """A server that gives this answer: its address, and what was asked of which host."""
    asked: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.extend([self.path, self.headers["Host"]])
            self.send_response(status)
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()


@pytest.mark.parametrize(("status", "exit_status"), [(200, 0), (500, 1), (400, 1)])
def test_the_gate_opens_for_a_node_that_is_ready(status: int, exit_status: int) -> None:
    with node(status) as (address, asked):
        assert run("deploy/ready.py", address).returncode == exit_status
    assert asked == ["/health/?format=text", address.removeprefix("http://")]


def test_the_gate_asks_for_a_host_of_the_site() -> None:
    with node(200) as (address, asked):
        run("deploy/ready.py", address, ALLOWED_HOSTS=".example.com,localhost")
    assert asked[1] == "example.com"


def test_the_gate_stays_shut_where_nothing_answers() -> None:
    done = run("deploy/ready.py", "--wait", "0.2", "http://127.0.0.1:1")
    assert (done.returncode, done.stderr) == (1, "")


def test_a_proof_that_fails_is_named_and_counted(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def holds(cluster: Any) -> str:
        return "seen"

    def fails(cluster: Any) -> str:
        raise AssertionError("3 lost")

    monkeypatch.setattr(two_nodes, "Cluster", nullcontext)
    assert two_nodes.prove("gunicorn", (holds, fails, holds)) == 1
    proved, failed = capfd.readouterr().out.splitlines()
    assert proved.startswith("proved, gunicorn, ")
    assert proved.endswith(": holds: seen")
    assert failed.endswith(": fails: 3 lost")


def test_what_is_missing_on_the_machine_is_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda program, **options: None)
    monkeypatch.setattr("sys.argv", ["two-nodes"])
    assert two_nodes.main() == 1
    assert re.search(r"There is no [a-z]+\. Install it, and come back\.", capfd.readouterr().out)
