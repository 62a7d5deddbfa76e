"""The CSRF token lives in the session, and the session in a cookie."""

from tests.settings import *  # noqa: F403

CSRF_USE_SESSIONS = True
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SESSION_COOKIE_NAME = "sid"
