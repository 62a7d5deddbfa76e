"""The example, run as its users run it: in processes of its own, in a copy of the repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from .issued import decoded
from .rows import new_secret, sid

REPOSITORY = Path(__file__).resolve().parent.parent
TWILIO = re.compile(
    r"TWILIO|ACCOUNT_SID|API_KEY|API_SECRET|SERVICE_SID|OUTGOING_SID|DJANGO|DATABASE|REDIS|CACHE_URL"
)


#: Of a meeting of the demo's, which is always open.
ROOM = "DailyStandup"


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, as far as the example goes, after ``make demo``'s first steps."""
    folder = tmp_path_factory.mktemp("example")
    for name in ("example_project", "twilio_tokens"):
        ignore = shutil.ignore_patterns("node_modules")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignore)
    shutil.copy(REPOSITORY / "manage.py", folder)
    sdks = Path("example_project/node_modules")
    (folder / sdks).symlink_to(REPOSITORY / sdks)
    run(folder, "-m", "example_project.local_secrets")
    run(folder, "manage.py", "migrate", "--verbosity", "0")
    return folder


@pytest.fixture
def site(migrated: Path, tmp_path: Path) -> Path:
    return shutil.copytree(migrated, tmp_path / "site", symlinks=True)


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not TWILIO.search(name)}
    return inherited | variables


def run(site: Path, *command: str, ok: bool = True, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=site,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    return done.stdout if ok else done.stderr


def shell(site: Path, code: str) -> str:
    prelude = "import django; django.setup()\nfrom django.test import Client\n"
    return run(site, "-c", prelude + code, DJANGO_SETTINGS_MODULE="example_project.settings")


def test_its_secrets_are_made_once_and_for_their_owner_only(site: Path) -> None:
    file = site / "var" / "demo.env"
    before = file.read_text()
    run(site, "-m", "example_project.local_secrets")
    assert file.read_text() == before
    assert file.stat().st_mode & 0o777 == 0o600
    assert "TWILIO_TOKENS_ENCRYPTION_KEYS=" in before


@pytest.mark.parametrize("key", ["$6(^ondqai#nmgy4wr-+d1cp4%y", r"\$ and $$", "'quoted'", "#= a"])
def test_any_secret_key_is_taken_as_it_is(site: Path, key: str) -> None:
    code = "from example_project.settings import SECRET_KEY; print(SECRET_KEY)"
    assert run(site, "-c", code, SECRET_KEY=key) == key + "\n"


def test_without_a_secret_key_it_says_what_to_set(site: Path) -> None:
    (site / "var" / "demo.env").unlink()
    assert "Set the SECRET_KEY environment variable" in run(site, "manage.py", "check", ok=False)


def test_without_credentials_it_makes_some_up_and_says_so(site: Path) -> None:
    said = run(site, "manage.py", "setup_demo")
    assert "The Twilio credentials are made up" in said
    assert "demo, password " in said
    assert "staff, password " in said
    assert run(site, "manage.py", "setup_demo") == said
    token = run(
        site, "manage.py", "twilio_token", "demo", "--video", ROOM, "--chat", "support", "--voice"
    )
    assert token.count(".") == 2
    command = ("manage.py", "twilio_token", "demo", "--video", "Boardroom")
    assert run(site, *command, ok=False)  # to which only staff is invited


def test_it_imports_the_credentials_of_the_environment_or_of_a_file(site: Path) -> None:
    run(site, "manage.py", "setup_demo")
    secret = new_secret()
    variables = {
        "TWILIO_ACCOUNT_SID": sid("AC"),
        "TWILIO_API_KEY": sid("SK"),
        "TWILIO_API_SECRET": secret,
    }
    said = run(site, "manage.py", "setup_demo", **variables)
    assert "Tokens are for the Twilio account “default”." in said
    token = run(site, "manage.py", "twilio_token", "demo", "--video", ROOM)
    assert decoded(token.strip(), secret)["sub"] == sid("AC")

    lines = [f"{name}={value}" for name, value in variables.items()]
    (site / ".env").write_text("\n".join(lines))
    assert "unchanged: API key" in run(site, "manage.py", "setup_demo")


def test_half_set_credentials_are_an_error_that_names_what_is_missing(site: Path) -> None:
    said = run(site, "manage.py", "setup_demo", ok=False, TWILIO_ACCOUNT_SID=sid("AC"))
    assert "TWILIO_API_KEY, TWILIO_API_SECRET" in said


def test_its_checks_find_nothing_and_its_pages_open(site: Path) -> None:
    checked, *answers = shell(
        site,
        "from django.contrib.auth.models import User\n"
        "from django.core.management import call_command\n"
        "call_command('check', fail_level='WARNING')\n"
        "User.objects.create(username='demo')\n"
        "client = Client(headers={'host': 'localhost'})\n"
        "print(client.get('/').status_code, client.get('/accounts/login/').status_code)\n"
        "print(client.get('/twilio/tokens/').status_code)\n"
        "client.force_login(User.objects.get(username='demo'))\n"
        "print(client.get('/').status_code, client.get('/twilio/tokens/').status_code)\n"
        "print(client.get('/admin/').status_code)\n",
    ).splitlines()
    assert "no issues" in checked
    assert answers == ["200 200", "401", "200 200", "302"]


def test_only_listed_origins_are_allowed(site: Path) -> None:
    (site / ".env").write_text("CORS_ALLOWED_ORIGINS=https://app.example.com\n")
    answers = shell(
        site,
        "for origin in ('https://app.example.com', 'https://evil.example.com'):\n"
        "    headers = {'host': 'localhost', 'origin': origin}\n"
        "    answer = Client(headers=headers).get('/twilio/tokens/')\n"
        "    print(answer.get('Access-Control-Allow-Origin'))\n",
    )
    assert answers.split() == ["https://app.example.com", "None"]


def test_anybody_may_ask_whether_tokens_can_be_issued(site: Path) -> None:
    ask = (
        "answer = Client(headers={'host': 'localhost'}).get('/health/', {'format': 'text'})\n"
        "print(answer.status_code)\n"
    )
    assert shell(site, ask) == "500\n"
    run(site, "manage.py", "setup_demo")
    assert shell(site, ask) == "200\n"


TOLD = """
import django; django.setup()
from django.conf import settings
database, cache = settings.DATABASES["default"], settings.CACHES["default"]
pool = database.get("OPTIONS", {}).get("pool", {})
print(database["ENGINE"].split(".")[-1], pool.get("max_size"))
print(cache["BACKEND"].split(".")[-1], cache["LOCATION"], settings.SESSION_ENGINE.split(".")[-1])
"""


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({}, ["sqlite3 None", "LocMemCache  db"]),
        ({"CACHE_URL": "dbcache://table"}, ["sqlite3 None", "DatabaseCache table db"]),
        (
            {"DATABASE_URL": "postgres://site@db/site", "DATABASE_POOL_SIZE": "3"},
            ["postgresql 3", "LocMemCache  db"],
        ),
        (
            {"DATABASE_URL": "mysql://site@db/site", "REDIS_URL": "redis://cache:6379/0"},
            ["mysql None", "RedisCache redis://cache:6379/0 sessions"],
        ),
    ],
)
def test_its_database_cache_and_sessions_are_those_of_the_environment(
    site: Path, variables: dict[str, str], told: list[str]
) -> None:
    variables = {**variables, "DJANGO_SETTINGS_MODULE": "example_project.settings"}
    assert run(site, "-c", TOLD, **variables).splitlines() == told


SIGN_IN = """
from django.contrib.auth.models import User
client = Client()
client.force_login(User.objects.create_superuser("staff"))
print(client.session.session_key)
"""
ASK = """
import sys, django; django.setup()
from django.test import Client
client = Client(headers={"host": "localhost"})
client.cookies["sessionid"] = sys.argv[1]
print(client.get("/admin/").status_code, client.post("/twilio/tokens/video/").json()["code"])
"""


def test_without_redis_who_is_signed_in_stays_so_and_gets_no_token(site: Path) -> None:
    session = shell(site, SIGN_IN).strip()
    nobody = {"REDIS_URL": "redis://127.0.0.1:1/0"}
    settings = {"DJANGO_SETTINGS_MODULE": "example_project.settings"}
    assert run(site, "-c", ASK, session, **settings, **nobody) == "200 throttle_unavailable\n"


# What an operator sees


@pytest.fixture(scope="module")
def served(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    site = shutil.copytree(migrated, tmp_path_factory.mktemp("served") / "site", symlinks=True)
    run(site, "manage.py", "setup_demo")
    keys = shell(
        site,
        "from django.contrib.auth.models import User\n"
        "from rest_framework.authtoken.models import Token\n"
        "from twilio_tokens.models import APIKey\n"
        "client = Client()\n"
        "client.force_login(User.objects.get(username='staff'))\n"
        "print(Token.objects.get_or_create(user=User.objects.get(username='demo'))[0].key)\n"
        "print(client.cookies['sessionid'].value, APIKey.objects.get().pk)\n",
    ).split()
    with serving(site, *keys) as served:
        yield served


#: Where each process tells them.
METRICS = re.compile(r"Metrics: (http://127\.0\.0\.1:\d+/metrics)").findall


@dataclass
class Served:
    """The example, with two processes."""

    client: httpx.Client
    session: str
    key: str
    log: Path

    def ask(self, **body: object) -> httpx.Response:
        return self.client.post("/twilio/tokens/video/", json=body)

    def check_the_key(self) -> None:
        """In the console. Twilio cannot be reached from here."""
        cookies = {"sessionid": self.session, "csrftoken": "0" * 32}
        fields = {"action": "check_with_twilio", "_selected_action": self.key}
        answer = httpx.post(
            f"{self.client.base_url}/admin/twilio_tokens/apikey/",
            data=fields,
            cookies=cookies,
            headers={"X-CSRFToken": "0" * 32},
            trust_env=False,
            timeout=60,
        )
        assert answer.status_code == 302

    def scrape(self) -> str:
        """What both processes tell; the log says where they do."""
        return "".join(
            httpx.get(url, trust_env=False).text for url in METRICS(self.log.read_text())
        )

    def lines(self) -> list[dict[str, object]]:
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextmanager
def serving(site: Path, token: str, session: str, key: str) -> Iterator[Served]:
    port, log = free_port(), site / "log"
    command = ["gunicorn", "--workers", "2", "--bind", f"127.0.0.1:{port}"]
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, "example_project.wsgi"],
            cwd=site,
            env=environment(METRICS_PORT=str(free_port()), HTTPS_PROXY="http://127.0.0.1:9"),
            stdout=stream,
            stderr=stream,
        )
    headers = {"Authorization": f"Token {token}"}
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False
    ) as client:
        served = Served(client, session, key, log)
        try:
            wait_until(lambda: len(METRICS(log.read_text())) == 2)
            yield served
        finally:
            process.terminate()
            process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(300):
        if is_so():
            return
        time.sleep(0.1)
    raise AssertionError("The site does not start.")


def test_its_log_has_a_line_of_json_for_each_token_with_the_id_of_the_request(
    served: Served,
) -> None:
    issued, refused = served.ask(room=ROOM), served.ask(rooom=ROOM)
    assert (issued.status_code, refused.status_code) == (201, 400)
    lines = [line for line in served.lines() if line["name"] == "twilio_tokens.outcomes"][-2:]
    assert [line["request_id"] for line in lines] == [
        issued.headers["X-Request-ID"],
        refused.headers["X-Request-ID"],
    ]
    assert [line["message"] for line in lines] == [
        "Access token issued: video.",
        "Access token refused: unknown_field.",
    ]
    assert lines[0]["request_id"] != lines[1]["request_id"]
    assert lines[0]["jti"] == issued.json()["jti"]
    assert lines[0]["identity"] == lines[1]["identity"] != "demo"
    assert issued.json()["token"] not in served.log.read_text()


@pytest.mark.parametrize(
    ("sent", "is_taken"),
    [
        ("0b3e7a8e-6f2c-4e60-9d8b-7d1f4c1f9a55", True),
        ("f" * 64, True),
        ("f" * 65, False),
        ("short", False),
        ('12345678", "outcome": "issued', False),
        ("12345678\\n", False),
    ],
)
def test_the_id_of_a_request_comes_from_its_header_if_it_is_one(
    sent: str, is_taken: bool, served: Served
) -> None:
    answer = served.client.post("/twilio/tokens/", headers={"X-Request-ID": sent})
    answered = answer.headers["X-Request-ID"]
    assert (answered == sent) is is_taken
    assert served.lines()[-1]["request_id"] == answered


def issued_in(scrape: str) -> float:
    numbers = re.findall(
        r'^twilio_tokens_issued_total\{.*twilio_tokens_product="video".*\} (.+)$',
        scrape,
        re.MULTILINE,
    )
    return sum(map(float, numbers))


def test_prometheus_gets_what_the_dashboard_asks_for(served: Served) -> None:
    before = issued_in(served.scrape())
    for _ in range(4):
        served.ask(room=ROOM)
    served.ask(rooom=ROOM)
    served.check_the_key()
    scrape = served.scrape()
    assert issued_in(scrape) == before + 4
    assert 'error_type="unknown_field"' in scrape
    assert 'twilio_tokens_verdict="unreachable"' in scrape

    names = set(re.findall(r"^(twilio_tokens_\w+)\{", scrape, re.MULTILINE))
    labels = set(re.findall(r'[{,](\w+)="', scrape))
    dashboard = json.loads((REPOSITORY / "deploy" / "grafana-dashboard.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    for query in queries:
        labels_of = "".join(re.findall(r"\bby \([^)]*\)|\{[^}]*\}", query))
        without = re.sub(r"\bby \([^)]*\)|\{[^}]*\}", "", query)
        asked_for = set(re.findall(r"\btwilio_tokens_\w+", without))
        assert asked_for, query
        assert asked_for <= names
        assert set(re.findall(r"\w+(?=!?=|[,)])", labels_of)) <= labels


def test_strangers_do_not_reach_its_metrics(served: Served) -> None:
    assert served.client.get("/metrics").status_code == 404
    first = httpx.URL(METRICS(served.log.read_text())[0])
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(("127.0.0.2", first.port))
