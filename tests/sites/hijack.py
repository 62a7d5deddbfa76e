"""Members of staff look at the site as its users, by django-hijack."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIDDLEWARE

NEEDS = ["hijack"]
INSTALLED_APPS = [*INSTALLED_APPS, "hijack", "hijack.contrib.admin"]
MIDDLEWARE = [*MIDDLEWARE, "hijack.middleware.HijackUserMiddleware"]
LOGIN_REDIRECT_URL = "/twilio/tokens/"
ROOT_URLCONF = "tests.sites.urls.hijack"
