"""Users sign in with a token of django-rest-knox."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

NEEDS = ["knox"]
INSTALLED_APPS = [*INSTALLED_APPS, "knox"]
REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": ["knox.auth.TokenAuthentication"]}
AUTHORIZATION = "tests.sites.authorization.knox"
CONSOLE_AS_ELSEWHERE = True
