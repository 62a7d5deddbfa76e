"""What sites test with: factories, the verifier of tokens, and the fixtures for pytest."""

from __future__ import annotations

import configparser
import inspect
import json
import os
import re
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from runpy import run_path
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError

from tests.prose import REPOSITORY, blocks
from twilio_tokens import pytest_plugin, testing
from twilio_tokens.conf import settings as our_settings
from twilio_tokens.grants import Chat, Sync, TaskRouter, Video, Voice, WorkerGrant
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, APIKey, PushCredential
from twilio_tokens.testing import assert_access_token, new_secret, new_sid

PAGE = (REPOSITORY / "docs/reference/testing.md").read_text()
HEADER = {"typ": "JWT", "alg": "HS256", "cty": "twilio-fpa;v=1"}
SECRET = new_secret()
KEY, ACCOUNT = new_sid("SK"), new_sid("AC")

# Loaded here as pytest loads it, whether or not it is installed as a plugin.
PLUGIN = run_path(pytest_plugin.__file__, run_name=pytest_plugin.__name__)
FIXTURES = {name: each for name, each in PLUGIN.items() if name.startswith("twilio_")}
globals().update(FIXTURES)


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    grants = {"identity": "anna", "video": {"room": "DailyStandup"}}
    sound = {"iss": KEY, "sub": ACCOUNT, "iat": now, "exp": now + 3600, "jti": "1"}
    together = sound | {"grants": grants} | changed
    return {name: each for name, each in together.items() if each is not ...}


def token(secret: str = SECRET, header: dict[str, Any] | None = None, **changed: Any) -> str:
    payload = json.dumps(claims(**changed)).encode()
    headers = HEADER | (header or {})
    return jwt.PyJWS().encode(payload, secret, algorithm=headers["alg"], headers=headers)


def granting(**grants: Any) -> str:
    return token(grants={"identity": "anna", **grants})


def identified(identity: object, **grants: Any) -> str:
    return token(grants={"identity": identity, **grants})


def refused(of: str, secret: str = SECRET, **expected: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        assert_access_token(of, secret, **expected)
    message = str(caught.value)
    assert secret not in message
    assert of not in message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


# The verifier


def test_a_sound_token_is_accepted_and_its_claims_are_returned() -> None:
    sound = token()
    answer = assert_access_token(
        sound,
        SECRET,
        identity="anna",
        room="DailyStandup",
        grants={"video": {"room": "DailyStandup"}},
        account_sid=ACCOUNT,
        key_sid=KEY,
        ttl=3600,
    )
    assert answer == jwt.decode(sound, SECRET, algorithms=["HS256"])


CHAT = {"service_sid": new_sid("IS")}
VOICE = {"outgoing": {"application_sid": new_sid("AP")}, "incoming": {"allow": True}}
TASKS = {"workspace_sid": new_sid("WS"), "worker_sid": new_sid("WK"), "role": "worker"}
NOW = int(time.time())

REFUSED: list[tuple[str, int]] = [
    (token(header={"typ": "jwt"}), 20102),
    (token(header={"alg": "HS512"}, secret="x" * 64), 20102),
    (token(header={"cty": None}), 20102),
    (token(header={"twr": "ie1"}), 51007),
    (token(iss=ACCOUNT), 20103),
    (token(iss=KEY[:-1]), 20103),
    (token(iss=...), 20103),
    (token(sub=KEY), 20103),
    (token(sub=7), 20103),
    (token(sub="AC" + "g" * 32), 20103),
    (token(secret=new_secret()), 20107),
    (token(exp=NOW - 1, iat=NOW - 100), 20104),
    (token(exp=...), 20104),
    (token(exp=True), 20104),
    (token(exp="tomorrow"), 20104),
    (token(iat="now"), 20101),
    (token(nbf=[]), 20101),
    (token(iat=NOW + 1000), 20105),
    (token(nbf=NOW + 1000), 20105),
    (token(iat=NOW - 10, exp=NOW + 86_391), 20157),
    (token(iat=..., nbf=NOW - 10, exp=NOW + 86_391), 20157),
    (token(iat=..., exp=NOW + 90_000), 20157),
    (token(grants=...), 20106),
    (token(grants=["video"]), 20106),
    (granting(), 20106),
    (granting(video=True), 20106),
    (granting(video={"room": ""}), 20106),
    (granting(video={"room": 7}), 20106),
    (granting(chat={}), 20106),
    (granting(chat={"service_sid": "support"}), 20106),
    (granting(chat=CHAT | {"push_credential_sid": new_sid("IS")}), 20106),
    (granting(voice={"outgoing": {"application_sid": new_sid("IS")}}), 20106),
    (granting(voice=VOICE | {"push_credential_sid": ""}), 20106),
    (granting(voice=VOICE | {"incoming": {"allow": "true"}}), 20106),
    (granting(data_sync={"service_sid": "default"}), 20106),
    (granting(task_router=TASKS | {"workspace_sid": None}), 20106),
    (granting(task_router=TASKS | {"worker_sid": new_sid("WS")}), 20106),
    (granting(task_router=TASKS | {"role": "admin"}), 20106),
    (identified("", video={}), 53200),
    (identified(None, video={}), 53200),
    (identified("x" * 129, video={}), 53200),
    (identified("é" * 65, video={}), 53200),
    (identified(7, chat=CHAT), 51007),
    (identified("x" * 257, chat=CHAT), 51003),
    (identified("", voice=VOICE), 51007),
    (identified("anna@example.com", voice=VOICE), 31105),
    (identified("x" * 122, voice=VOICE), 31105),
    (identified(None, data_sync=CHAT), 51007),
    (identified("x" * 257, data_sync=CHAT), 54351),
]


@pytest.mark.parametrize(("refusable", "code"), REFUSED)
def test_a_token_that_twilio_would_refuse_fails_with_twilios_error(
    refusable: str, code: int
) -> None:
    secret = "x" * 64 if "HS512" in str(jwt.get_unverified_header(refusable)) else SECRET
    message = refused(refusable, secret)
    assert re.findall(r"^Twilio error (\d+): .+\.$", message, re.MULTILINE) == [str(code)], message
    assert "\n" not in message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "token",
        "a.b.c",
        "ey.ey.ey.ey.ey",
        *(
            ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
            for parts in ((b"{}", b"[]", b""), (b"[]", b"{}", b""), (b"{", b"{", b"{"))
        ),
    ],
)
def test_what_is_not_a_jwt_fails_with_20101(text: str) -> None:
    with pytest.raises(AssertionError, match=r"^Twilio error 20101: this is not a JWT\. .+"):
        assert_access_token(text, SECRET)


@pytest.mark.parametrize(
    "sound",
    [
        granting(video={}),
        granting(chat=CHAT | {"push_credential_sid": new_sid("CR")}),
        granting(voice=VOICE),
        granting(voice={}),
        granting(data_sync={"service_sid": new_sid("IS")}),
        identified(None, task_router=TASKS | {"role": "supervisor"}),
        granting(whiteboard={"board": "a"}),
        identified("é" * 64, video={}),
        identified("x" * 256, chat=CHAT, data_sync=CHAT),
        identified("A_z0" * 30 + "x", voice=VOICE),
        token(iat=NOW - 10, exp=NOW - 10 + 86_400),
        token(nbf=NOW - 10),
        token(iat=..., exp=NOW + 80_000.5),
        token(header={"twr": "us1"}),
        token(sub="AC" + "AF" * 16),
    ],
)
def test_what_twilio_accepts_is_accepted(sound: str) -> None:
    assert_access_token(sound, SECRET)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"identity": "bob"}, "Expected the identity 'bob', not 'anna'."),
        ({"room": "Other"}, "Expected the room 'Other', not 'DailyStandup'."),
        ({"grants": ["chat"]}, "Expected grants for chat, not for video."),
        ({"grants": []}, "Expected grants for nothing, not for video."),
        ({"grants": {"video", "sync"}}, "Expected grants for data_sync, video, not for video."),
        (
            {"grants": {"video": {}}},
            "Expected the grant video to be {}, not {'room': 'DailyStandup'}.",
        ),
        (
            {"grants": {"taskrouter": {}}},
            "Expected grants for task_router, not for video.",
        ),
        ({"account_sid": KEY}, f"Expected sub '{KEY}', not '{ACCOUNT}'."),
        ({"key_sid": ACCOUNT}, f"Expected iss '{ACCOUNT}', not '{KEY}'."),
        ({"ttl": 60}, "Expected a lifetime of 60 seconds from iat to exp, not 3600."),
    ],
)
def test_a_sound_token_that_is_not_the_expected_one_fails_without_an_error_of_twilio(
    expected: dict[str, Any], message: str
) -> None:
    assert refused(token(), **expected) == message


def test_a_token_for_every_room_is_not_one_for_the_expected_room() -> None:
    message = refused(granting(video={}), room="DailyStandup")
    assert message == "Expected the room 'DailyStandup', but the token opens any room."
    message = refused(granting(chat=CHAT), room="DailyStandup")
    assert message == "Expected the room 'DailyStandup', but the token opens no room."


def test_products_may_have_the_names_of_the_api_or_of_the_token() -> None:
    both = granting(data_sync=CHAT, task_router=TASKS)
    assert_access_token(both, SECRET, grants={"sync": CHAT, "task_router": TASKS})
    assert_access_token(both, SECRET, grants={"data_sync", "taskrouter"})
    message = refused(both, grants={"sync": {}, "taskrouter": TASKS})
    assert message == f"Expected the grant data_sync to be {{}}, not {CHAT!r}."


def test_a_message_lists_everything_that_is_wrong() -> None:
    wrong = token(secret=new_secret(), iss=ACCOUNT, exp=..., header={"typ": "jwt"})
    assert refused(wrong, identity="bob", ttl=60).splitlines() == [
        "Twilio error 20102: the header has typ 'jwt', not 'JWT'.",
        f"Twilio error 20103: iss '{ACCOUNT}' is not the SID of an API key (SK…).",
        "Twilio error 20107: this secret did not make the signature, or the token was changed "
        "since.",
        "Twilio error 20104: exp None is not a time in seconds since 1970.",
        "Expected the identity 'bob', not 'anna'.",
        "Expected a lifetime of 60 seconds from iat to exp, not None.",
    ]


def test_a_public_key_is_not_taken_for_a_secret() -> None:
    """PyJWT refuses it, as the signature could be anybody's."""
    public_key = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"
    assert refused(token(), public_key).startswith("Twilio error 20107")


# It judges what this package makes


@pytest.mark.usefixtures("twilio_api_key", "twilio_chat_service", "twilio_twiml_app")
@pytest.mark.usefixtures("twilio_push_credential", "twilio_sync_service", "twilio_workspace")
def test_a_token_for_every_product_is_verified(
    user: User, settings: Any, twilio_api_key_secret: str, twilio_account: Account
) -> None:
    settings.TWILIO_TOKENS_WORKER = lambda user, workspace: WorkerGrant(new_sid("WK"))
    grants = [Video("DailyStandup"), Chat(platform="ios"), Voice(), Sync(), TaskRouter()]
    issued = issue_access_token(user=user, grants=grants, ttl=600)
    says = assert_access_token(
        issued.token,
        twilio_api_key_secret,
        identity="anna",
        room="DailyStandup",
        grants=issued.grants,
        account_sid=twilio_account.sid,
        ttl=600,
    )
    assert says["jti"] == issued.jti
    assert says["grants"]["voice"]["incoming"] == {"allow": True}


# Factories

MAKE = {name: getattr(testing, name) for name in testing.__all__ if name.startswith("make_")}


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_what_is_made_without_arguments_is_valid_and_unique(db: None, make: Any) -> None:
    rows = [make() for _ in range(3)]
    for row in rows:
        row.full_clean()
    assert len({each.sid for each in rows}) == len({str(each) for each in rows}) == 3
    assert Account.objects.filter(is_default=True).count() == 1


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_factories_take_keyword_arguments_only_as_the_page_says(make: Callable[..., Any]) -> None:
    parameters = inspect.signature(make).parameters.values()
    assert {each.kind for each in parameters} == {inspect.Parameter.KEYWORD_ONLY}
    (row,) = re.findall(rf"^\| `{make.__name__}` \| (.*) \|$", PAGE, re.MULTILINE)
    assert set(re.findall(r"\w+", row)) == {each.name for each in parameters}


OF_ACCOUNTS = {name: make for name, make in MAKE.items() if name != "make_account"}
RESOURCES = {name: make for name, make in OF_ACCOUNTS.items() if name != "make_api_key"}


@pytest.mark.parametrize("make", OF_ACCOUNTS.values(), ids=OF_ACCOUNTS)
def test_a_row_belongs_to_the_default_account_or_to_the_given_one(db: None, make: Any) -> None:
    first = make().account
    assert first.is_default
    other = testing.make_account()
    assert not other.is_default
    assert make().account == first
    sid = make().sid[:2] + "1" * 32
    row = make(account=other, name="mine", sid=sid)
    row.refresh_from_db()
    assert (row.account, row.name, row.sid) == (other, "mine", sid)


@pytest.mark.parametrize("make", RESOURCES.values(), ids=RESOURCES)
def test_the_first_resource_is_the_default_unless_told_otherwise(db: None, make: Any) -> None:
    assert not make(is_default=False).is_default
    first = make()
    assert first.is_default
    assert not make().is_default
    assert make(is_default=True).is_default
    first.refresh_from_db()
    assert not first.is_default


@pytest.mark.parametrize("make", RESOURCES.values(), ids=RESOURCES)
def test_groups_restrict_a_resource(db: None, make: Any) -> None:
    if make is testing.make_push_credential:
        return
    staff = Group.objects.create(name="staff")
    assert make().groups.count() == 0
    row = make(groups=[staff])
    assert row.is_restricted
    assert row.groups.get() == staff


def test_the_account_may_be_named_and_be_the_default(db: None) -> None:
    testing.make_account()
    account = testing.make_account(name="Main", sid="AC" + "1" * 32, is_default=True)
    assert Account.objects.default() == account
    assert (account.name, account.sid) == ("Main", "AC" + "1" * 32)


def test_other_fields_may_be_given(db: None) -> None:
    assert not testing.make_twiml_app().allow_incoming
    assert testing.make_twiml_app(allow_incoming=True).allow_incoming
    assert testing.make_api_key().is_active
    assert not testing.make_api_key(is_active=False).is_active
    credential = testing.make_push_credential()
    assert (credential.platform, credential.sandbox) == (PushCredential.Platform.APN, False)
    assert testing.make_push_credential(platform="fcm").is_default
    assert testing.make_push_credential(sandbox=True).is_default


def test_what_could_not_be_entered_in_the_console_is_not_made(db: None) -> None:
    with pytest.raises(ValidationError):
        testing.make_chat_service(sid=new_sid("AP"))
    with pytest.raises(ValidationError):
        testing.make_push_credential(platform="fcm", sandbox=True)


def test_sids_and_secrets_have_the_shape_of_twilios() -> None:
    assert re.fullmatch("WK[0-9a-f]{32}", new_sid("WK"))
    assert re.fullmatch(r"[\w-]{32}", new_secret())


# Fixtures


def test_the_page_lists_the_fixtures() -> None:
    assert len(FIXTURES) == 10
    assert set(re.findall(r"^\| `(twilio_\w+)` \|", PAGE, re.MULTILINE)) == set(FIXTURES)


def test_the_key_ring_is_new_and_of_the_test(
    key_ring: list[str], twilio_encryption_keys: list[str]
) -> None:
    assert list(our_settings.encryption_keys) == twilio_encryption_keys
    assert twilio_encryption_keys != key_ring
    assert len(twilio_encryption_keys) == 1


def test_the_account_and_its_rows_are_defaults(
    twilio_account: Account,
    twilio_api_key: APIKey,
    twilio_chat_service: Any,
    twilio_twiml_app: Any,
    twilio_push_credential: Any,
    twilio_sync_service: Any,
    twilio_workspace: Any,
) -> None:
    rows = [twilio_chat_service, twilio_twiml_app, twilio_push_credential]
    rows += [twilio_sync_service, twilio_workspace]
    assert all(each.is_default for each in [twilio_account, *rows])
    assert all(each.account == twilio_account for each in [twilio_api_key, *rows])
    assert twilio_twiml_app.allow_incoming
    assert twilio_push_credential.platform == PushCredential.Platform.APN


def test_a_test_need_not_have_a_limit(twilio_unlimited: None) -> None:
    assert our_settings.throttle_rate is None


# A stranger's project

SETTINGS = """
SECRET_KEY = "a stranger's"
INSTALLED_APPS = [
    "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
    "rest_framework", "twilio_tokens",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
ROOT_URLCONF = "strange_urls"
"""
URLS = """
from django.urls import include, path

urlpatterns = [path("twilio/", include("twilio_tokens.urls"))]
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Where Python finds the package with the entry points of setup.cfg, installed or not."""
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    about = tmp_path / "installed" / "django_twilio_tokens_of_this_test-0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: django-twilio-tokens\n")
    points = setup["options.entry_points"].items()
    (about / "entry_points.txt").write_text("".join(f"[{name}]{to}\n" for name, to in points))
    return about.parent


@pytest.fixture
def project(tmp_path: Path) -> Path:
    project = tmp_path / "project"
    project.mkdir()
    (project / "strange_settings.py").write_text(SETTINGS)
    (project / "strange_urls.py").write_text(URLS)
    return project


@pytest.fixture
def run(installed: Path, project: Path) -> Callable[..., str]:
    def run(*arguments: str, settings: str | None = "strange_settings") -> str:
        path = os.pathsep.join(map(str, (project, installed, REPOSITORY)))
        environ = {name: each for name, each in os.environ.items() if name[:6] != "DJANGO"}
        environ |= {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        environ |= {"DJANGO_SETTINGS_MODULE": settings} if settings else {}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=project,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


# Without what else is installed here, and slow to load.
SLOW = [
    each for name in ("schemathesis", "hypothesispytest", "xdist") for each in ("-p", f"no:{name}")
]
PYTEST = ("-m", "pytest", "-p", "no:cacheprovider", *SLOW)
OF_PYTEST, OF_UNITTEST = blocks("docs/reference/testing.md")


def test_the_first_example_of_the_page_runs_in_a_strangers_project(
    run: Callable[..., str], project: Path
) -> None:
    (project / "test_tokens.py").write_text(OF_PYTEST)
    assert "1 passed" in run(*PYTEST, "-W", "error", "--cov=strange_urls")
    (project / "test_tokens.py").write_text(OF_PYTEST.replace('identity="anna"', 'identity="bob"'))
    with pytest.raises(AssertionError, match="Expected the identity 'bob', not 'anna'"):
        run(*PYTEST)


def test_the_second_example_of_the_page_runs_with_djangos_test_runner_and_without_pytest(
    run: Callable[..., str], project: Path
) -> None:
    (project / "pytest.py").write_text("raise ImportError('There is no pytest here.')")
    (project / "test_tokens.py").write_text(OF_UNITTEST)
    assert "Ran 1 test" in run("-m", "django", "test")


WITHOUT_DJANGO = """
import sys

def test_the_plugin_is_there_and_django_is_not(pytestconfig):
    assert pytestconfig.pluginmanager.has_plugin("twilio_tokens")
    assert "twilio_tokens.pytest_plugin" in sys.modules
    assert not {"django", "twilio", "jwt", "twilio_tokens.testing"} & set(sys.modules)
"""


def test_a_project_without_django_notices_nothing(run: Callable[..., str], project: Path) -> None:
    (project / "test_it.py").write_text(WITHOUT_DJANGO)
    assert "1 passed" in run(*PYTEST, "-p", "no:django", settings=None)


def test_the_fixtures_can_be_switched_off(run: Callable[..., str], project: Path) -> None:
    (project / "test_it.py").write_text("def test_nothing():\n    pass\n")
    assert "twilio_account" not in run(*PYTEST, "-p", "no:twilio_tokens", "--fixtures", "-v")
