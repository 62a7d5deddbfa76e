"""The fixtures for the tests of sites, here and in a stranger's project."""

from __future__ import annotations

import configparser
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.issued import decoded
from tests.prose import REPOSITORY, blocks
from twilio_tokens import pytest_plugin
from twilio_tokens.conf import settings as our_settings
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, APIKey, PushCredential

PAGE = (REPOSITORY / "docs/reference/testing.md").read_text()

# Loaded here as pytest loads it, whether or not it is installed as a plugin.
importlib.reload(pytest_plugin)
FIXTURES = {name: each for name, each in vars(pytest_plugin).items() if name.startswith("twilio_")}
globals().update(FIXTURES)


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


def test_the_account_is_the_default_beside_one_that_the_test_made(
    account: Account, twilio_account: Account
) -> None:
    assert account.is_default
    assert Account.objects.get(is_default=True) == twilio_account


def test_a_token_is_signed_with_the_secret(
    user: User, twilio_api_key: APIKey, twilio_api_key_secret: str
) -> None:
    token = issue_access_token(user=user, grants=[Video()]).token
    assert decoded(token, twilio_api_key_secret)["iss"] == twilio_api_key.sid


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
        ours = ("DJANGO", "PYTEST")
        environ = {name: each for name, each in os.environ.items() if not name.startswith(ours)}
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
    assert "1 passed" in run(*PYTEST, "--cov=strange_urls")
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
