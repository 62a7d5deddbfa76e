"""The admin wears django-unfold."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

NEEDS = ["unfold"]
INSTALLED_APPS = ["unfold", "unfold.contrib.filters", *INSTALLED_APPS]
