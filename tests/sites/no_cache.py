"""The cache keeps nothing, so nothing can be counted, and no rate is set."""

from tests.settings import *  # noqa: F403

CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
TWILIO_TOKENS_THROTTLE_RATE = None
