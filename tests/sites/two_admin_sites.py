"""A second AdminSite, for other members of staff, stands beside Django's."""

from tests.settings import *  # noqa: F403

ROOT_URLCONF = "tests.sites.urls.two_admin_sites"
