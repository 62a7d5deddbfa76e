"""Versions of the site's API stand in its paths, the app's among them."""

from tests.settings import *  # noqa: F403
from tests.settings import REST_FRAMEWORK

REST_FRAMEWORK = {
    **REST_FRAMEWORK,
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.URLPathVersioning",
    "ALLOWED_VERSIONS": ["v1", "v2"],
}
ROOT_URLCONF = "tests.sites.urls.path_versioning"
API_URL = "/v1/twilio/"
CONSOLE_AS_ELSEWHERE = True
