"""Try a wheel as a new user would: an empty environment, ``startproject``, and a first token."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import jwt

from supply.locks import pins

SETTINGS = """
import os

INSTALLED_APPS += ["rest_framework", "twilio_tokens"]
TWILIO_TOKENS_ENCRYPTION_KEYS = os.environ.get("TWILIO_TOKENS_ENCRYPTION_KEYS", "").split()
"""
URLS = """
from django.urls import include

urlpatterns += [path("twilio/", include("twilio_tokens.urls"))]
"""
WHERE = "import django; django.setup(); from twilio_tokens import testing; print(testing.__file__)"


def try_out(wheel: Path, directory: Path) -> None:
    """Ends the program where something does not work."""
    site = directory / "site"
    site.mkdir(parents=True)
    python = install(wheel, directory)

    def manage(*arguments: str, **variables: str) -> str:
        return run([str(python), "manage.py", *arguments], site, **variables)

    run([str(python), "-m", "django", "startproject", "mysite", "."], site)
    for name, more in (("settings", SETTINGS), ("urls", URLS)):
        with (site / f"mysite/{name}.py").open("a") as file:
            file.write(more)
    keys = {"TWILIO_TOKENS_ENCRYPTION_KEYS": manage("twilio_generate_key").strip()}
    manage("migrate")
    manage("check", "--fail-level", "WARNING", "--database", "default", **keys)
    password = {"DJANGO_SUPERUSER_PASSWORD": secrets.token_hex()}
    anna = ("--username", "anna", "--email", "anna@example.com")
    manage("createsuperuser", "--noinput", *anna, **password)
    secret = secrets.token_urlsafe(24)
    credentials = {
        "TWILIO_ACCOUNT_SID": "AC" + secrets.token_hex(16),
        "TWILIO_API_KEY": "SK" + secrets.token_hex(16),
        "TWILIO_API_SECRET": secret,
    }
    manage("twilio_import_env", **keys, **credentials)
    token = manage("twilio_token", "anna", "--video", "DailyStandup", **keys).strip()
    grants = jwt.decode(token, secret, algorithms=["HS256"])["grants"]
    if grants != {"identity": "anna", "video": {"room": "DailyStandup"}}:
        sys.exit(f"A site with the wheel alone issued a token for {grants}.")
    here = run([str(python), "-c", WHERE], site, DJANGO_SETTINGS_MODULE="mysite.settings")
    if not here.startswith(str(directory)):
        sys.exit(f"What was tried is not the wheel, but {here}")


def install(wheel: Path, directory: Path) -> Path:
    """With the versions that ``requirements/`` pins, and without what only tests need."""
    run([sys.executable, "-m", "venv", str(directory / "venv")], directory)
    python = directory / "venv/bin/python"
    constraints = directory / "constraints.txt"
    pinned = pins("build.txt") + pins("development.txt")
    constraints.write_text("".join(f"{each.requirement}\n" for each in pinned))
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, "--constraint", str(constraints), str(wheel)], directory)
    return python


def run(command: list[str], directory: Path, **variables: str) -> str:
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DJANGO_", "PYTHON", "TWILIO_")) and name != "DATABASE_URL"
    }
    done = subprocess.run(
        command,
        cwd=directory,
        env=environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout
