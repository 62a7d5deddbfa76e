"""The cache is a folder, and keys have a form of the site's own."""

from pathlib import Path

from tests.settings import *  # noqa: F403

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": Path(__file__).resolve().parents[2] / "var" / "sites-cache",
        "KEY_FUNCTION": "tests.sites.cache_keys.backwards",
        "KEY_PREFIX": "site",
        "VERSION": 7,
    }
}
CONSOLE_AS_ELSEWHERE = True
