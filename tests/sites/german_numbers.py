"""20.107 is how numbers are written, and the clocks are 5:45 hours ahead of UTC."""

from tests.settings import *  # noqa: F403

LANGUAGE_CODE = "de"
USE_THOUSAND_SEPARATOR = True
TIME_ZONE = "Asia/Kathmandu"
