"""The only AdminSite is the site's own, of another name."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = ["tests.sites.back_office.BackOfficeConfig", *INSTALLED_APPS[1:]]
