"""The cache is Redis."""

from tests.settings import *  # noqa: F403

NEEDS, NEEDS_SERVER = ["redis"], 6379
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:6379/13",
    }
}
CONSOLE_AS_ELSEWHERE = True
