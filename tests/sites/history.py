"""django-simple-history and django-reversion keep every version of every row."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIDDLEWARE

NEEDS = ["simple_history", "reversion"]
INSTALLED_APPS = [*INSTALLED_APPS, "simple_history", "reversion", "tests.sites.histories"]
MIDDLEWARE = [
    *MIDDLEWARE,
    "simple_history.middleware.HistoryRequestMiddleware",
    "reversion.middleware.RevisionMiddleware",
]
