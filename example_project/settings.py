"""Settings of the example site. Each reads the environment variable of its name.

A variable that is not set is looked up in ``.env`` (yours), then in ``var/demo.env`` (made by
``python -m example_project.local_secrets``, which also switches DEBUG on).

On one machine the example needs no server: its database is a file, its cache the process's memory.
Several processes, or machines, share what these name; ``deploy/`` has all that goes with it:

``DATABASE_URL``
    ``postgres://user:password@host/name``, then each process has a pool of at most
    ``DATABASE_POOL_SIZE`` connections; or ``mysql://…`` for MariaDB.
``REDIS_URL``
    ``redis://host:6379/0``: the cache, which counts requests for tokens, and sessions, which the
    database keeps as well. Without it ``CACHE_URL`` may name a cache, as django-environ reads it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from twilio_tokens import __version__

from .local_secrets import DEMO_ENV

BASE_DIR = Path(__file__).resolve().parent.parent
ENV_FILE = BASE_DIR / ".env"


class Environment(environ.Env):  # type: ignore[misc]  # django-environ ships no types
    # A copy: secrets from the files reach neither child processes nor the request's META.
    ENVIRON = os.environ.copy()

    def secret(self, name: str) -> str:
        """The value as it is: ``str`` takes one that begins with ``$`` for another's name."""
        if name not in self:
            raise ImproperlyConfigured(f"Set the {name} environment variable")
        return self.ENVIRON[name]


Environment.read_env(ENV_FILE)
Environment.read_env(DEMO_ENV)
env = Environment()

# Security

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.secret("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# HTTPS, unless the site runs on your own machine. A proxy that ends TLS must say so in a header,
# which SECURE_PROXY_SSL_HEADER names: HTTP_X_FORWARDED_PROTO,https.

HTTPS = env.bool("HTTPS", default=not DEBUG)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^health/$"]  # load balancers ask the nodes by plain HTTP
SECURE_PROXY_SSL_HEADER = env.tuple("SECURE_PROXY_SSL_HEADER", default=None)
# Seconds. Raise it to a year once all works: browsers hold on to it.
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=3_600) if HTTPS else 0
# Whether subdomains are HTTPS only, too, is for the owner of the domain to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

# What error pages and mails to ADMINS never show.

DEFAULT_EXCEPTION_REPORTER = "twilio_tokens.error_reports.SecretsReporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "twilio_tokens.error_reports.SecretsReporterFilter"

# Other origins: each is named, none by default. Those that are may send the user's cookies.

CORS_ALLOWED_ORIGINS = env.list("CORS_ALLOWED_ORIGINS", default=[])
CORS_ALLOW_CREDENTIALS = bool(CORS_ALLOWED_ORIGINS)
CORS_URLS_REGEX = r"^/(twilio|api-token)/"
CORS_EXPOSE_HEADERS = ["Retry-After"]

# What a page may load and connect to: this site and, for the SDKs, Twilio.

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "connect-src": ["'self'", "wss://*.twilio.com", "https://*.twilio.com"],
        # REST framework's browsable API has styles inside of its pages.
        "style-src": ["'self'", "'unsafe-inline'"],
        # As are the icons in the pages of the API reference.
        "img-src": ["'self'", "data:"],
        "media-src": ["'self'", "https://*.twilio.com", "blob:", "mediastream:"],
        "frame-ancestors": ["'none'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
    }
}

# Applications

INSTALLED_APPS = [
    "example_project",
    "twilio_tokens",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "csp",
    "health_check",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "example_project.request_ids.request_ids",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Data

SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": BASE_DIR / "var" / "db.sqlite3",
    "OPTIONS": {
        # Readers do not wait for the writer, and writers wait for each other instead of failing.
        "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
    },
}
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db("DATABASE_URL") if "DATABASE_URL" in env else SQLITE
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True  # what the server has closed is replaced
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
        "min_size": 1,
        "max_size": env.int("DATABASE_POOL_SIZE", default=8),
        "timeout": 3,  # seconds until a request without a connection is answered 503
    }
elif DATABASES["default"]["ENGINE"] == "django.db.backends.mysql":
    import pymysql

    pymysql.install_as_MySQLdb()  # the driver that installs anywhere without a compiler
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {"default": env.cache("CACHE_URL", default="locmemcache://")}
if "REDIS_URL" in env:
    CACHES["default"] = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": env.str("REDIS_URL"),
        # Seconds: a Redis that hangs must not hold requests.
        "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
    }
    SESSION_ENGINE = "example_project.sessions"

# Log and metrics: docs/observability.md

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "example_project.request_ids.RequestIDFilter"}},
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": "%(levelname)s %(name)s %(message)s",
            "timestamp": True,
        }
    },
    "handlers": {
        "json": {
            "class": "logging.StreamHandler",
            "formatter": "json",
            "filters": ["request_id"],
        }
    },
    "loggers": {
        "twilio_tokens": {"handlers": ["json"], "level": "INFO"},
        "example_project": {"handlers": ["json"], "level": "INFO"},
    },
}
TWILIO_TOKENS_LOG_IDENTITY = env.bool("TWILIO_TOKENS_LOG_IDENTITY", default=False)
METRICS_PORT = env.int("METRICS_PORT", default=None)

# Language, time and files

LANGUAGE_CODE = "en"
LANGUAGES = [
    ("en", "English"),
    ("de", "Deutsch"),
    ("es", "Español"),
    ("fr", "Français"),
    ("ja", "日本語"),
    ("pt-br", "Português (Brasil)"),
]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "var" / "static"
STATICFILES_DIRS = [
    # Twilio's SDKs, each one file, under the name of its npm package.
    (package, BASE_DIR / "example_project" / "node_modules" / package / folder)
    for package, folder in (
        ("twilio-video", "dist"),
        ("@twilio/voice-sdk", "dist"),
        ("@twilio/conversations", "builds"),
    )
]

# Signing in

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "rest_framework:login"
LOGIN_REDIRECT_URL = "home"

REST_FRAMEWORK = {
    # The first decides what somebody who is not signed in is told. TokenAuthentication says 401;
    # SessionAuthentication would say 403, as if signing in could not help.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Twilio Access Tokens",
    "DESCRIPTION": "Short-lived tokens for Twilio's SDKs, for the signed-in user.",
    "VERSION": __version__,
    "SERVE_INCLUDE_SCHEMA": False,
    # Swagger's pages from this site, not from a network of somebody else's.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# Twilio. With the Auth Token it signs its requests for TwiML: see calls.py.

TWILIO_AUTH_TOKEN = env.str("TWILIO_AUTH_TOKEN", default="")

# Twilio tokens

TWILIO_TOKENS_ENCRYPTION_KEYS = env.list("TWILIO_TOKENS_ENCRYPTION_KEYS", default=[])
TWILIO_TOKENS_IDENTITY = env.str(
    "TWILIO_TOKENS_IDENTITY", default="twilio_tokens.identity.username"
)
TWILIO_TOKENS_WORKER = "example_project.workers.worker"
TWILIO_TOKENS_MAX_TTL = env.int("TWILIO_TOKENS_MAX_TTL", default=86_400)
# A token without a room joins any room; the policy says who may join which.
TWILIO_TOKENS_ROOM_REQUIRED = env.bool("TWILIO_TOKENS_ROOM_REQUIRED", default=True)
TWILIO_TOKENS_ROOM_POLICY = (
    env.str("TWILIO_TOKENS_ROOM_POLICY", default="example_project.meetings.may_join") or None
)
TWILIO_TOKENS_THROTTLE_RATE = env.str("TWILIO_TOKENS_THROTTLE_RATE", default="60/min") or None
TWILIO_TOKENS_AUDIT = env.bool("TWILIO_TOKENS_AUDIT", default=True)
TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS = env.float(
    "TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS", default=15.0
)
