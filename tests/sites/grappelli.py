"""The admin wears django-grappelli."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

NEEDS = ["grappelli"]
INSTALLED_APPS = ["grappelli", *INSTALLED_APPS]
ROOT_URLCONF = "tests.sites.urls.grappelli"
