"""All URLs begin with the language."""

from tests.settings import *  # noqa: F403
from tests.settings import MIDDLEWARE

LANGUAGE_CODE = "de"
MIDDLEWARE = [*MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
ROOT_URLCONF = "tests.sites.urls.language_in_path"
API_URL = "/de/twilio/"
