from django.apps import AppConfig, apps
from django.utils.translation import gettext_lazy as _


class TwilioTokensConfig(AppConfig):
    name = "twilio_tokens"
    verbose_name = _("Twilio tokens")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, conf, credential_cache, models, refusals  # noqa: F401

        conf.set_defaults()
        models.watch_groups()
        credential_cache.watch_models()
        refusals.count_refusals()
        if apps.is_installed("drf_spectacular"):  # pragma: no branch - tests/sites has one without
            from . import schema  # noqa: F401
