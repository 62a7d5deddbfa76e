"""The API stands under a path with a keyword."""

from tests.settings import *  # noqa: F403

ROOT_URLCONF = "tests.sites.urls.tenant_in_path"
API_URL = "/acme/twilio/"
CONSOLE_AS_ELSEWHERE = True
