"""SQLite in a file, as startproject sets it up."""

from pathlib import Path

from tests.settings import *  # noqa: F403

VAR = Path(__file__).resolve().parents[2] / "var"
VAR.mkdir(mode=0o700, exist_ok=True)
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": VAR / "sites.sqlite3",
        "TEST": {"NAME": VAR / "sites-tests.sqlite3"},
    }
}
