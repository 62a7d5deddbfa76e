"""A site's own app, which adds a product of its own."""

from django.apps import AppConfig


class SiteConfig(AppConfig):
    name = "tests.site"
    label = "site"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import grants  # noqa: F401, PLC0415 - a grant is registered by its import
