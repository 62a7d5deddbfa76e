"""A small site, for the processes that ``python -m benchmarks`` starts."""

import os
from typing import Any

import environ

SECRET_KEY = "benchmark"
ALLOWED_HOSTS = ["*"]
USE_TZ = True


#: Nobody waits for the disk, which is not what is measured.
OPTIONS = {
    "django.db.backends.sqlite3": {"init_command": "PRAGMA synchronous = off", "timeout": 30},
    "django.db.backends.postgresql": {"options": "-c synchronous_commit=off"},
}


def database(suffix: str = "") -> dict[str, Any]:
    """That of DATABASE_URL; what is measured is made in one beside it, named BENCHMARK_DATABASE."""
    made = os.environ.get("BENCHMARK_DATABASE", ":memory:")
    settings: dict[str, Any] = environ.Env().db("DATABASE_URL", default="sqlite://:memory:")
    return {
        **settings,
        "TEST": {"NAME": made + suffix},
        "OPTIONS": OPTIONS.get(settings["ENGINE"], {}),
    }


DATABASES = {"default": database()}
if "BENCHMARK_GROWTH" in os.environ:
    DATABASES["large"] = database("_large")
    DATABASE_ROUTERS = ["benchmarks.growth.Chosen"]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "rest_framework",
    "rest_framework.authtoken",
    "twilio_tokens",
]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication"]
}
ROOT_URLCONF = "benchmarks.site"
TWILIO_TOKENS_ENCRYPTION_KEYS = [os.environ["BENCHMARK_KEY"]]
# Nothing is read a second time because it is old.
TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS = 3_600
TWILIO_TOKENS_AUDIT = "BENCHMARK_AUDIT" in os.environ
