"""An AdminSite that takes the place of Django's."""

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig


class BackOffice(AdminSite):
    def __init__(self) -> None:
        super().__init__(name="back_office")


class BackOfficeConfig(AdminConfig):
    default_site = "tests.sites.back_office.BackOffice"
