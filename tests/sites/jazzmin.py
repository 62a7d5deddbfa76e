"""The admin wears django-jazzmin."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

NEEDS = ["jazzmin"]
INSTALLED_APPS = ["jazzmin", *INSTALLED_APPS]
