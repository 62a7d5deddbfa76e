"""Reads go to a replica, which has what was written before the request, not during it."""

from tests.settings import *  # noqa: F403
from tests.settings import MIDDLEWARE

DATABASES = {
    alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    for alias in ("default", "replica")
}
DATABASE_ROUTERS = ["tests.sites.replication.Router"]
MIDDLEWARE = ["tests.sites.replication.middleware", *MIDDLEWARE]
AROUND_COMMANDS = "tests.sites.replication.lagging"
