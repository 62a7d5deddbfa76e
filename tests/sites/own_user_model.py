"""Users have a UUID, and an e-mail address, or none, as their username."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.sites.people"]
AUTH_USER_MODEL = "people.Person"
TWILIO_TOKENS_IDENTITY = "twilio_tokens.identity.encoded_username"
