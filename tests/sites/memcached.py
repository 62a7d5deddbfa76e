"""The cache is memcached."""

from tests.settings import *  # noqa: F403

NEEDS, NEEDS_SERVER = ["pymemcache"], 11211
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
        "LOCATION": "127.0.0.1:11211",
    }
}
CONSOLE_AS_ELSEWHERE = True
