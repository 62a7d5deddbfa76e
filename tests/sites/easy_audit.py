"""django-easy-audit writes down every change, and every request, to the console too."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIDDLEWARE

NEEDS = ["easyaudit"]
INSTALLED_APPS = [*INSTALLED_APPS, "easyaudit"]
MIDDLEWARE = [*MIDDLEWARE, "easyaudit.middleware.easyaudit.EasyAuditMiddleware"]
DJANGO_EASY_AUDIT_UNREGISTERED_URLS_DEFAULT = []
