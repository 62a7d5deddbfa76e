"""Checks of what error reports show."""

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
    """The admin views of this app are covered without the settings."""
    if not apps.is_installed("django.contrib.admin"):
        return []
    return [
        checks.Warning(
            f"{name} is not {ours.__name__}: if a request fails before it reaches the admin's "
            "views, the email to ADMINS may show the API key's secret that was typed in.",
            hint=f'Set {name} = "{ours.__module__}.{ours.__name__}", or to a subclass of it.',
            id="twilio_tokens.W020",
        )
        for name, ours in REPORTERS.items()
        if not issubclass(import_string(getattr(django_settings, name)), ours)
    ]


HISTORY_PANEL = "debug_toolbar.panels.history.HistoryPanel"


@register(Tags.security)
def check_debug_toolbar(**kwargs: Any) -> list[CheckMessage]:
    """The toolbar's other panels hide posted secrets and tokens."""
    if not (apps.is_installed("django.contrib.admin") and apps.is_installed("debug_toolbar")):
        return []
    config = getattr(django_settings, "DEBUG_TOOLBAR_CONFIG", {})
    panels = getattr(django_settings, "DEBUG_TOOLBAR_PANELS", [HISTORY_PANEL])
    is_shown = django_settings.DEBUG or "SHOW_TOOLBAR_CALLBACK" in config
    if not is_shown or HISTORY_PANEL not in {*panels} - {*config.get("DISABLE_PANELS", ())}:
        return []
    return [
        checks.Warning(
            "The history of django-debug-toolbar keeps everything that is posted, including "
            "secrets and Access Tokens, and shows it to everyone who sees the toolbar.",
            hint=f'Remove "{HISTORY_PANEL}" from DEBUG_TOOLBAR_PANELS. Or silence this check, and '
            "never enter a production secret in the admin of this site.",
            id="twilio_tokens.W021",
        )
    ]
