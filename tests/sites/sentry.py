"""Errors are sent to Sentry, with the variables of every frame."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

NEEDS = ["sentry_sdk"]
INSTALLED_APPS = [*INSTALLED_APPS, "tests.sites.collected_errors.SentryConfig"]
