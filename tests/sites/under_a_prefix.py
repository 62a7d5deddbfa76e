"""The web server gives the site all that begins with ``/app``, and no more."""

from tests.settings import *  # noqa: F403
from tests.settings import MIDDLEWARE

FORCE_SCRIPT_NAME = "/app"
MIDDLEWARE = ["tests.sites.web_server.without_the_prefix", *MIDDLEWARE]
API_URL = "/app/twilio/"
