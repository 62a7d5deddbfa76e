"""What the system checks say, and that ``manage.py check`` says it."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from django.contrib.auth.models import User
from django.core.checks import CheckMessage, Error, Tags, Warning, run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.urls import include, path

import twilio_tokens
from twilio_tokens import conf
from twilio_tokens.checks.databases import check_character_sets
from twilio_tokens.checks.error_reports import REPORTERS, check_error_reports
from twilio_tokens.crypto import generate_key
from twilio_tokens.models import Account, APIKey
from twilio_tokens.urls import token_urls
from twilio_tokens.views import TokenViewSet

from .rows import new_secret


# Django's own checks ask the database what it can.
class OpenViewSet(TokenViewSet):
    permission_classes = throttle_classes = authentication_classes = []


urlpatterns = [
    path("", include("tests.urls")),
    path("open/", include((token_urls(OpenViewSet), "open"))),
]

pytestmark = pytest.mark.django_db

PACKAGE = Path(twilio_tokens.__file__).parent
NOT_A_KEY = generate_key()[:-4]


def ours() -> list[CheckMessage]:
    return [message for message in run_checks() if message.id.startswith("twilio_tokens.")]


def only_message() -> CheckMessage:
    [message] = ours()
    return message


def missing() -> list[str]:
    raise ConnectionError("the vault is closed, its password is canary")


def test_a_site_that_is_set_up_hears_nothing() -> None:
    assert ours() == []


BAD = [
    # setting, its value, id, level, what is said, what the hint says
    (
        "ENCRYPTION_KEYS",
        None,
        "W001",
        Warning,
        "is not set: no API key can be stored",
        "generate_key",
    ),
    (
        "ENCRYPTION_KEYS",
        [],
        "W001",
        Warning,
        "is not set: no API key can be stored",
        "generate_key",
    ),
    ("ENCRYPTION_KEYS", generate_key(), "E001", Error, "should be a list", "newest key first"),
    ("ENCRYPTION_KEYS", missing, "E001", Error, "raised ConnectionError.", "newest key first"),
    ("ENCRYPTION_KEYS", "no.such", "E001", Error, "raised SettingError", "newest key first"),
    ("TTL", 600, "E002", Error, "TTL should be a dictionary", '{"voice": 600}'),
    ("TTL", {"voice": "600"}, "E002", Error, "TTL['voice'] should be", '{"voice": 600}'),
    ("TTL", {"video": 86_401}, "E002", Error, "from 1 to 86400", "keep their defaults"),
    ("MAX_TTL", 0, "E002", Error, "MAX_TTL should be a whole number", "keep their defaults"),
    (
        "TTL",
        {"vidoe": 600},
        "W002",
        Warning,
        "'vidoe', which is no",
        "voice, sync, taskrouter",
    ),
    ("IDENTITY", "no.such.function", "E003", Error, "IDENTITY should be", "its dotted path"),
    ("IDENTITY", None, "E003", Error, "IDENTITY should be a function", "its dotted path"),
    ("ACCOUNT", 1, "E003", Error, "ACCOUNT should be a function", "its dotted path"),
    ("WORKER", "os.no_such", "E003", Error, "WORKER should be", "its dotted path"),
    ("ROOM_POLICY", "os.no_such", "E003", Error, "ROOM_POLICY should be", "its dotted path"),
    ("PARAMS", "False", "E003", Error, "PARAMS should be a function", "its dotted path"),
    ("PARAMS", None, "E003", Error, "PARAMS should be True, False or", "its dotted path"),
    ("HTTP_CLIENT", "client", "E003", Error, "HTTP_CLIENT should be", "its dotted path"),
    ("ROOM_REQUIRED", "False", "E004", Error, "ROOM_REQUIRED should be True or", "settings.md"),
    ("AUDIT", 1, "E004", Error, "AUDIT should be True or False", "settings.md"),
    ("LOG_IDENTITY", 1, "E004", Error, "LOG_IDENTITY should be True or False", "settings.md"),
    ("THROTTLE_RATE", "often", "E004", Error, "THROTTLE_RATE should be None", "settings.md"),
    ("CREDENTIAL_CACHE_SECONDS", -1, "E004", Error, "SECONDS should be a number", "settings.md"),
    ("ROOM_POLICIES", True, "W003", Warning, "ROOM_POLICIES is not a setting", "ROOM_POLICY"),
]


@pytest.mark.parametrize(
    ("name", "value", "check_id", "level", "says", "hint"),
    BAD,
    ids=[f"{name}-{says}" for name, _, _, _, says, _ in BAD],
)
def test_a_bad_setting_is_told_with_a_hint(
    name: str, value: Any, check_id: str, level: type, says: str, hint: str, settings: Any
) -> None:
    setattr(settings, f"TWILIO_TOKENS_{name}", value)
    message = only_message()
    assert message.id == f"twilio_tokens.{check_id}"
    assert type(message) is level
    assert f"TWILIO_TOKENS_{name}" in message.msg
    assert says in message.msg
    assert hint in message.hint


def test_every_bad_setting_is_told_at_once(settings: Any) -> None:
    settings.TWILIO_TOKENS_TTL = settings.TWILIO_TOKENS_MAX_TTL = "long"
    settings.TWILIO_TOKENS_ACCOUNT = settings.TWILIO_TOKENS_ROOM_POLICY = 1
    ids = Counter(message.id for message in ours())
    assert ids == {"twilio_tokens.E002": 2, "twilio_tokens.E003": 2}


def test_a_malformed_key_is_told_by_its_position_and_never_by_its_text(settings: Any) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = keys = [generate_key(), NOT_A_KEY, generate_key(), ""]
    messages = ours()
    assert {message.id for message in messages} == {"twilio_tokens.E001"}
    assert [re.findall("Key . of", message.msg) for message in messages] == [
        ["Key 2 of"],
        ["Key 4 of"],
    ]
    text = "".join(f"{message}{message!r}{vars(message)}" for message in messages)
    assert not [key for key in keys if key and key in text]


def test_a_key_callable_that_raises_is_told_without_its_words(settings: Any) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = missing
    assert "canary" not in str(vars(only_message()))


def test_a_site_without_the_templates_of_rest_framework_is_told(settings: Any) -> None:
    settings.INSTALLED_APPS = [
        app for app in settings.INSTALLED_APPS if not app.startswith("rest_framework")
    ]
    message = only_message()
    assert message.id == "twilio_tokens.W005"
    assert "rest_framework" in message.hint


def name_reporters(settings: Any) -> None:
    for name, ours in REPORTERS.items():
        setattr(settings, name, f"{ours.__module__}.{ours.__name__}")


BACKENDS = "django.core.cache.backends"


@pytest.mark.parametrize(
    ("backend", "options", "rate", "check_id"),
    [
        ("dummy.DummyCache", {}, "1/s", "W030"),
        ("dummy.DummyCache", {}, None, None),
        ("dummy.DummyCache", {}, "often", None),  # another check says so
        ("redis.RedisCache", {}, "1/s", "W031"),
        ("redis.RedisCache", {}, None, None),
        ("redis.RedisCache", {"socket_timeout": 1}, "1/s", None),
        ("memcached.PyMemcacheCache", {}, "1/s", "W031"),
        ("memcached.PyMemcacheCache", {"timeout": 1}, "1/s", None),
        ("locmem.LocMemCache", {}, "1/s", "W032"),
        ("locmem.LocMemCache", {}, None, None),
        ("filebased.FileBasedCache", {}, "1/s", None),
        ("db.DatabaseCache", {}, "1/s", None),
    ],
)
def test_a_cache_that_cannot_count_is_not_shared_or_may_hang_is_told(
    settings: Any, backend: str, options: dict[str, int], rate: str | None, check_id: str | None
) -> None:
    settings.CACHES = {"default": {"BACKEND": f"{BACKENDS}.{backend}", "OPTIONS": options}}
    settings.CACHES["default"]["LOCATION"] = "tokens"
    settings.TWILIO_TOKENS_THROTTLE_RATE = rate
    name_reporters(settings)
    messages = run_checks(tags=[Tags.caches], include_deployment_checks=True)
    ids = [each.id for each in messages if each.id.startswith("twilio_tokens.")]
    assert ids == ([f"twilio_tokens.{check_id}"] if check_id else [])


def test_the_check_command_fails_for_an_error_and_passes_with_a_warning(
    settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = None
    call_command("check")
    assert "twilio_tokens.W001" in capsys.readouterr().err
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [NOT_A_KEY]
    with pytest.raises(SystemCheckError, match=r"twilio_tokens\.E001"):
        call_command("check")


def test_a_site_that_gets_everything_wrong_hears_of_it_before_deployment(
    settings: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.SECRET_KEY = "0123456789" * 4
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [b64encode(settings.SECRET_KEY[:32].encode()).decode()]
    settings.MIDDLEWARE = ["corsheaders.middleware.CorsMiddleware", *settings.MIDDLEWARE]
    settings.CORS_ALLOW_ALL_ORIGINS = True
    settings.ROOT_URLCONF = "tests.test_checks"
    settings.FIXTURE_DIRS = [tmp_path]
    fixture = [{"model": "twilio_tokens.apikey", "fields": {"secret": new_secret()}}]
    (tmp_path / "keys.json").write_text(json.dumps(fixture))
    call_command("check", deploy=True, databases=["default"])
    said = capsys.readouterr().err
    ids = set(re.findall(r"\(twilio_tokens\.(\w+)\)", said))
    expected = {"W004", "W020", "W022", "W023", "W024", "W032", "W040", "W041", "W042", "W043"}
    assert ids - {"W007"} == expected | {"I050"}
    assert settings.TWILIO_TOKENS_ENCRYPTION_KEYS[0] not in said
    assert settings.SECRET_KEY not in said


def test_every_setting_is_checked() -> None:
    assert {f"TWILIO_TOKENS_{name}" for name, *_ in BAD} >= set(conf.NAMES)


def test_each_id_stands_for_one_thing() -> None:
    """One place in the source makes the messages of an id."""
    source = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    ids = Counter(re.findall(r'"(?:twilio_tokens\.)?([EWI]\d{3})"', source))
    assert {name for _, _, name, *_ in BAD} <= ids.keys()
    assert set(ids.values()) == {1}
    page = (PACKAGE.parent / "docs" / "checks.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(\w\d{3})`", "".join(rows))) == ids.keys()


def reports() -> list[CheckMessage]:
    found = run_checks(include_deployment_checks=True)
    return [message for message in found if message.id == "twilio_tokens.W020"]


def test_before_a_deployment_the_classes_for_error_reports_are_asked_for(settings: Any) -> None:
    hints = [message.hint for message in reports()]
    assert [hint.split(" = ")[0].removeprefix("Set ") for hint in hints] == list(REPORTERS)
    name_reporters(settings)
    assert reports() == []


def test_a_site_without_the_admin_needs_none(settings: Any) -> None:
    settings.INSTALLED_APPS = [each for each in settings.INSTALLED_APPS if "admin" not in each]
    assert check_error_reports() == []


# Databases


class Router:
    """Keeps what ``is_apart`` says in a database of its own."""

    def __init__(self, is_apart: Callable[[Any], bool], says: str) -> None:
        self.is_apart = is_apart
        self.says = says

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "other" if self.says == "write" and self.is_apart(model) else None

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool | None:
        if self.says == "relation" and self.is_apart(type(first)) != self.is_apart(type(second)):
            return False
        return None

    def allow_migrate(
        self, db: str, app_label: str, model_name: str | None = None, **hints: Any
    ) -> bool | None:
        if self.says == "migrate" and "model" in hints and self.is_apart(hints["model"]):
            return False
        return None


@pytest.mark.parametrize("says", ["write", "relation", "migrate"])
@pytest.mark.parametrize(
    ("is_apart", "told"),
    [
        (lambda model: model._meta.app_label == "auth", "IssuedToken and its “user” (User)"),
        (lambda model: model._meta.app_label == "auth", "ChatService and its “groups” (Group)"),
        (lambda model: model is User, "IssuedToken and its “issued_by” (User)"),
        (lambda model: model is APIKey, "IssuedToken and its “api_key” (APIKey)"),
        (lambda model: model is Account, "TwiMLApp and its “account” (Account)"),
    ],
)
def test_a_router_that_splits_what_belongs_together_is_told(
    settings: Any, is_apart: Callable[[Any], bool], told: str, says: str
) -> None:
    settings.DATABASE_ROUTERS = [Router(is_apart, says)]
    messages = ours()
    assert {message.id for message in messages} == {"twilio_tokens.E010"}
    assert any(f"puts {told} in different databases" in message.msg for message in messages)


class ReplicaRouter:
    """As Django's documentation shows it."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, first: Any, second: Any, **hints: Any) -> bool | None:
        return {first._state.db, second._state.db} <= {"default", "replica"}


@pytest.mark.parametrize("router", [ReplicaRouter(), Router(lambda model: model is User, "none")])
def test_a_router_that_splits_nothing_is_not_told(settings: Any, router: Any) -> None:
    settings.DATABASE_ROUTERS = [router]
    assert ours() == []


def of_databases(**options: Any) -> list[str]:
    messages = run_checks(tags=[Tags.database], databases=["default"], **options)
    return [message.id for message in messages if message.id.startswith("twilio_tokens.")]


@pytest.mark.django_db
def test_the_databases_of_the_tests_are_as_they_should_be() -> None:
    assert of_databases() == []


@pytest.mark.parametrize("charset", ["utf8", "utf8mb3", "latin1"])
def test_a_connection_without_emoji_is_told(monkeypatch: Any, db: None, charset: str) -> None:
    monkeypatch.setattr(connection, "vendor", "mysql")
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "charset", charset)
    assert of_databases() == ["twilio_tokens.W006"]


@pytest.mark.parametrize(("others", "told"), [(0, []), (1, ["twilio_tokens.W006"])])
def test_tables_without_emoji_are_counted(
    monkeypatch: Any, db: None, others: int, told: list[str]
) -> None:
    cursor = MagicMock()
    cursor.return_value.__enter__.return_value.fetchone.return_value = (others,)
    monkeypatch.setattr(connection, "vendor", "mysql")
    monkeypatch.setattr(connection, "cursor", cursor)
    assert [message.id for message in check_character_sets(databases=["default"])] == told
    [asked] = cursor.return_value.__enter__.return_value.execute.call_args_list
    assert asked.args[1] == [r"twilio\_tokens\_%"]


@pytest.mark.skipif(connection.vendor != "mysql", reason="Only MariaDB has tables without emoji.")
@pytest.mark.django_db(transaction=True)
def test_a_table_without_emoji_is_told_and_takes_what_twilio_says(api_key: APIKey) -> None:
    table = "ALTER TABLE twilio_tokens_apikey MODIFY check_message longtext CHARACTER SET"
    with connection.cursor() as cursor:
        cursor.execute(f"{table} utf8mb3 NOT NULL")
    assert of_databases() == ["twilio_tokens.W006"]
    api_key.record_check("refused", "No 😀")
    assert APIKey.objects.get().check_message == "No ?"
    with connection.cursor() as cursor:
        cursor.execute(f"{table} utf8mb4 NOT NULL")
    assert of_databases() == []


@pytest.mark.skipif(connection.vendor != "sqlite", reason="It is about SQLite.")
def test_an_sqlite_that_is_set_up_for_one_user_is_told_before_deployment(monkeypatch: Any) -> None:
    assert of_databases(include_deployment_checks=True) == ["twilio_tokens.W007"]
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "transaction_mode", "IMMEDIATE")
    assert of_databases(include_deployment_checks=True) == []
