"""What error reports show."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.utils.module_loading import import_string

from twilio_tokens.error_reports import SecretsReporter, SecretsReporterFilter

REPORTERS = {
    "DEFAULT_EXCEPTION_REPORTER": SecretsReporter,
    "DEFAULT_EXCEPTION_REPORTER_FILTER": SecretsReporterFilter,
}


@register(Tags.security, deploy=True)
def check_error_reports(**kwargs: Any) -> list[CheckMessage]:
    """The console's own views are covered without the settings."""
    if not apps.is_installed("django.contrib.admin"):
        return []
    return [
        checks.Warning(
            f"{name} is not {ours.__name__}: a mail to ADMINS about a request that fails before "
            "the console's views may show the API key's secret that was typed in.",
            hint=f'{name} = "{ours.__module__}.{ours.__name__}", or a subclass of it.',
            id="twilio_tokens.W020",
        )
        for name, ours in REPORTERS.items()
        if not issubclass(import_string(getattr(django_settings, name)), ours)
    ]


HISTORY_PANEL = "debug_toolbar.panels.history.HistoryPanel"


@register(Tags.security)
def check_debug_toolbar(**kwargs: Any) -> list[CheckMessage]:
    """The toolbar's other panels hide what is posted as a secret or a token."""
    if not (apps.is_installed("django.contrib.admin") and apps.is_installed("debug_toolbar")):
        return []
    config = getattr(django_settings, "DEBUG_TOOLBAR_CONFIG", {})
    panels = getattr(django_settings, "DEBUG_TOOLBAR_PANELS", [HISTORY_PANEL])
    is_shown = django_settings.DEBUG or "SHOW_TOOLBAR_CALLBACK" in config
    if not is_shown or HISTORY_PANEL not in {*panels} - {*config.get("DISABLE_PANELS", ())}:
        return []
    return [
        checks.Warning(
            "The history of django-debug-toolbar keeps all that is posted, secrets and Access "
            "Tokens included, and shows it to everybody who sees the toolbar.",
            hint=f'Take "{HISTORY_PANEL}" out of DEBUG_TOOLBAR_PANELS. Or silence this check, and '
            "type no secret that signs for real users into the console of this site.",
            id="twilio_tokens.W021",
        )
    ]
