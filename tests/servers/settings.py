"""A site that several processes serve: its database is a file, its cache Redis or files."""

import os
from pathlib import Path

from tests.settings import *  # noqa: F403

FOLDER = Path(os.environ["SITE_FOLDER"])
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": FOLDER / "db.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 30},
    }
}
CACHES = {
    "default": {
        "BACKEND": f"django.core.cache.backends.{os.environ['SITE_CACHE']}",
        "LOCATION": os.environ["SITE_CACHE_LOCATION"],
    }
}
ALLOWED_HOSTS = ["127.0.0.1"]
TWILIO_TOKENS_ENCRYPTION_KEYS = [os.environ["SITE_ENCRYPTION_KEY"]]
TWILIO_TOKENS_THROTTLE_RATE = os.environ.get("SITE_THROTTLE_RATE")
