"""The example's own settings, as a machine has them on which nothing is set."""

from __future__ import annotations

import os

from django.core.management.utils import get_random_secret_key

# Playwright's sync API runs an event loop in the thread of the tests, and Django takes all in that
# thread for async code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
os.environ["SECRET_KEY"] = get_random_secret_key()
os.environ["DEBUG"] = "true"

from example_project.settings import *  # noqa: F403
from example_project.settings import BASE_DIR, DATABASES, STATICFILES_DIRS

# In a file, as the example has it: in memory, the threads of the site would share one connection.
(BASE_DIR / "var").mkdir(mode=0o700, exist_ok=True)
DATABASES["default"]["TEST"] = {"NAME": BASE_DIR / "var" / "browser-tests.sqlite3"}

# What a test changes in the database counts at once.
TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS = 0
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# A test that has a policy says so. Demo's are those of meetings.
TWILIO_TOKENS_ROOM_REQUIRED = False
TWILIO_TOKENS_ROOM_POLICY = None

# The SDK for Sync, for which the example has no page.
STATICFILES_DIRS = [
    *STATICFILES_DIRS,
    ("twilio-sync", BASE_DIR / "example_project" / "node_modules" / "twilio-sync" / "builds"),
]
