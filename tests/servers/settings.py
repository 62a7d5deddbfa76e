"""A site that several processes serve: its database is a file or a server's, its cache Redis or
files."""

import json
import os
from pathlib import Path

from tests.settings import *  # noqa: F403
from tests.settings import MIDDLEWARE

FOLDER = Path(os.environ["SITE_FOLDER"])
DATABASES = {"default": json.loads(os.environ["SITE_DATABASE"])}
CACHES = {
    "default": {
        "BACKEND": f"django.core.cache.backends.{os.environ['SITE_CACHE']}",
        "LOCATION": os.environ["SITE_CACHE_LOCATION"],
    }
}
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.servers.urls"
MIDDLEWARE = ["tests.servers.gate.gate", *MIDDLEWARE]
TWILIO_TOKENS_ENCRYPTION_KEYS = "tests.servers.rules.encryption_keys"
TWILIO_TOKENS_ROOM_POLICY = os.environ.get("SITE_ROOM_POLICY")
TWILIO_TOKENS_THROTTLE_RATE = os.environ.get("SITE_THROTTLE_RATE")
TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS = float(os.environ.get("SITE_CREDENTIAL_CACHE_SECONDS", 15))
