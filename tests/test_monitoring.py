"""What ``docs/monitoring.md`` promises, and its recipes as they stand there."""

from __future__ import annotations

import json
import logging.config
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import jsonschema
import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from rest_framework.test import APIClient

from twilio_tokens.management.commands.twilio_verify import Command
from twilio_tokens.models import APIKey, ChatService, Outcome, resource_kinds

from .rows import new_secret, sid
from .twilio_server import Key, TwilioServer

#: Which mailer a site has is its own affair.
pytestmark = pytest.mark.filterwarnings("ignore:.* default mailer")

PAGE = (Path(__file__).parent.parent / "docs/monitoring.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
REPORT = json.loads(next(text for kind, text in BLOCKS if kind == "json"))


def block(start: str) -> str:
    """The one with this text."""
    [text] = [text for _kind, text in BLOCKS if start in text]
    return text


# The report

RESOURCES = [each for each in resource_kinds() if each._meta.app_label == "twilio_tokens"]
KINDS = ["Account", "APIKey", *(each.__name__ for each in RESOURCES)]
OF_PAGE = re.search(r"`kind` is.*?\n- ", PAGE, re.DOTALL)
SCHEMA = {
    "type": "object",
    "required": list(REPORT),
    "additionalProperties": False,
    "properties": {
        "time": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
        "outcome": {"enum": list(Outcome)},
        "status": {"enum": [0, 1, 3]},
        "message": {"type": "string", "minLength": 1},
        "checked": {
            "type": "array",
            "items": {
                "type": "object",
                "required": list(REPORT["checked"][0]),
                "additionalProperties": False,
                "properties": {
                    "outcome": {"enum": [*Outcome, "not_configured", "secret_unavailable"]},
                    "kind": {"enum": KINDS},
                    "name": {"type": "string"},
                    "sid": {"type": "string", "pattern": "^[A-Z]{2}"},
                    "account": {"type": "string", "pattern": "^AC"},
                    "code": {"type": ["integer", "null"]},
                    "message": {"type": "string", "minLength": 1},
                },
            },
        },
    },
}


def test_the_page_names_every_kind_and_every_outcome() -> None:
    assert OF_PAGE is not None
    named = {*re.findall(r"`(\w+)`", OF_PAGE[0])} - {"kind"}
    assert named == {*KINDS}
    assert all(f"`{each}`" in PAGE for each in [*Outcome, "not_configured", "secret_unavailable"])


def test_the_page_and_the_help_have_the_same_exit_statuses() -> None:
    of_page = dict(re.findall(r"^\| (\d) \| `(\w+)`", PAGE, re.MULTILINE))
    assert of_page == {"0": "verified", "1": "refused", "3": "unreachable"}
    said = re.findall(r"\b(\d) if ", Command.help)
    assert said == [*of_page]


@pytest.mark.parametrize("becomes", ["verified", "refused", "unreachable", "secret_unavailable"])
def test_reports_are_as_the_page_says(
    becomes: str,
    twilio: TwilioServer,
    api_key: APIKey,
    secret: str,
    chat_service: ChatService,
    settings: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    twilio.keys[api_key.sid] = Key(secret, sid("AC"))
    if becomes == "verified":
        twilio.services[chat_service.sid] = (sid("AC"), "Support")
    elif becomes == "unreachable":
        twilio.fail(503)
    elif becomes == "secret_unavailable":
        settings.TWILIO_TOKENS_ENCRYPTION_KEYS = []
    try:
        call_command("twilio_verify", "--json")
    except CommandError:
        assert becomes != "verified"
    [line] = capsys.readouterr().out.splitlines()
    jsonschema.validate(REPORT, SCHEMA)
    report = json.loads(line)
    jsonschema.validate(report, SCHEMA)
    assert [*report, *report["checked"][0]] == [*REPORT, *REPORT["checked"][0]]
    assert report["checked"][-1]["outcome"] == becomes
    assert secret not in line


# cron and systemd


@pytest.fixture
def run_check(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the script of the page where ``twilio_verify`` ends with these statuses, in turn."""

    def run(*statuses: int) -> subprocess.CompletedProcess[str]:
        (tmp_path / "statuses").write_text("".join(f"{each}\n" for each in statuses))
        python = tmp_path / "python"
        python.write_text(
            f"#!/bin/sh\ncd {tmp_path}\necho asked $2 >&2\nread status < statuses\n"
            "sed -i 1d statuses\nexit $status\n"
        )
        python.chmod(0o755)
        script = block("#!/bin/sh").replace("/srv/site/.venv/bin/python", str(python))
        assert "sleep 300" in script
        return subprocess.run(
            ["/bin/sh"],
            input=script.replace("sleep 300", "echo slept"),
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    ("statuses", "status", "printed"),
    [
        ([0], 0, ""),
        ([1], 1, "asked twilio_verify\n"),
        ([3, 0], 0, "slept\n"),
        ([3, 3], 3, "slept\nasked twilio_verify\n"),
        ([3, 1], 1, "slept\nasked twilio_verify\n"),
    ],
)
def test_cron_mails_a_refusal_at_once_and_an_outage_that_lasts(
    statuses: list[int],
    status: int,
    printed: str,
    run_check: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run_check(*statuses)
    assert (done.returncode, done.stdout, done.stderr) == (status, printed, "")


COMMANDS = re.findall(r"/srv/site/manage\.py ((?:twilio_\w+)(?: --?\w+| \d+)*)", PAGE)


@pytest.mark.parametrize("command", sorted({*COMMANDS}))
def test_the_commands_of_the_jobs_take_their_options(command: str) -> None:
    name, *options = command.split()
    done = subprocess.run(
        [sys.executable, "-m", "django", name, *options, "--help"],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_crontab_has_five_times_a_user_and_a_command() -> None:
    _mailto, *jobs = block("MAILTO=").splitlines()
    for job in jobs:
        *times, user, command = job.split(maxsplit=6)
        assert all(re.fullmatch(r"[\d*/]+", each) for each in times)
        assert (len(times), user) == (5, "www-data")
        assert command.startswith(("/usr/local/bin/", "/srv/site/"))


UNITS = dict(re.findall(r"# /etc/systemd/system/(\S+)\n(.*?)```", PAGE, re.DOTALL))


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_units(name: str, tmp_path: Path) -> None:
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("There is no systemd-analyze.")
    for each, text in UNITS.items():
        # Of the programs it asks whether they are there.
        (tmp_path / each).write_text(text.replace("/srv/site/.venv/bin/python", sys.executable))
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(tmp_path / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "-twilio" in line]
    assert (ours, done.returncode) == ([], 0), done.stderr


# Alerts


@pytest.fixture
def alerts(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Callable[[str], None]]:
    """Configures logging as the page does, with this handler."""
    module = ModuleType("mysite.alerts")
    exec(block("# mysite/alerts.py"), vars(module))  # noqa: S102 - the page's own
    package: Any = ModuleType("mysite")
    package.alerts = module
    monkeypatch.setitem(sys.modules, "mysite", package)
    monkeypatch.setitem(sys.modules, "mysite.alerts", module)
    settings.ADMINS = (
        ["ops@example.com"] if django_takes_addresses() else [("Ops", "ops@example.com")]
    )
    loggers = [logging.getLogger(name) for name in ("twilio_tokens", "django.request")]
    before = [(each, [*each.handlers], each.level, each.propagate) for each in loggers]

    def configure(handler: str) -> None:
        names: dict[str, Any] = {"os": os}
        exec(block("LOGGING = {"), names)  # noqa: S102 - the page's own
        names["LOGGING"]["loggers"]["twilio_tokens"]["handlers"] = [handler]
        logging.config.dictConfig(names["LOGGING"])

    yield configure
    for logger, logger.handlers, level, logger.propagate in before:
        logger.setLevel(level)


def django_takes_addresses() -> bool:
    import django  # noqa: PLC0415 - only for its version

    return django.VERSION >= (6, 0)


def ask(api: APIClient, times: int) -> None:
    for _ in range(times):
        assert api.post("/twilio/tokens/video/", {"room": "A"}, "json").status_code == 503


REASON = (
    "[Django] ERROR: No access token issued: There is no default account. Choose one in the admin."
)
REQUEST = "[Django] ERROR (EXTERNAL IP): Service Unavailable: /twilio/tokens/video/"


@pytest.mark.django_db
def test_a_flood_of_errors_becomes_a_mail_each_quarter_of_an_hour(
    api: APIClient, alerts: Callable[[str], None], settings: Any
) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = None
    alerts("mail")
    module: Any = sys.modules["mysite.alerts"]
    module.time = SimpleNamespace(monotonic=lambda: seconds)
    seconds = 1_000.0
    ask(api, 20)
    assert [each.subject for each in mail.outbox] == [REASON, REQUEST]
    seconds += 899
    ask(api, 1)
    assert len(mail.outbox) == 2
    seconds += 1
    ask(api, 5)
    assert [each.subject for each in mail.outbox] == [REASON, REQUEST] * 2
    assert all("(20 more before)" in str(each.body) for each in mail.outbox[2:])
    texts = "".join(str(each.body) for each in mail.outbox)
    assert settings.TWILIO_TOKENS_ENCRYPTION_KEYS[0] not in texts


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.posted.append(json.loads(self.rfile.read(length)))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[Any]:
    server: Any = HTTPServer(("127.0.0.1", 0), _Hook)
    server.posted = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.django_db
def test_or_a_post_without_a_traceback(
    api: APIClient,
    api_key: APIKey,
    alerts: Callable[[str], None],
    hook: Any,
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    canary = new_secret()

    def identity(user: Any) -> str:
        raise RuntimeError(canary)

    settings.TWILIO_TOKENS_IDENTITY = identity
    monkeypatch.setenv("ALERT_URL", f"http://127.0.0.1:{hook.server_port}/")
    alerts("post")
    ask(api, 3)
    [posted] = hook.posted
    assert posted["text"].startswith("ERROR No access token issued: The function in TWILIO_")
    assert canary not in posted["text"]


@pytest.mark.django_db
@pytest.mark.parametrize("url", ["", "http://127.0.0.1:1/"])
def test_an_alert_that_cannot_be_sent_breaks_no_request(
    url: str,
    api: APIClient,
    alerts: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ALERT_URL", url)
    alerts("post")
    ask(api, 1)
    assert "--- Logging error ---" in capsys.readouterr().err
