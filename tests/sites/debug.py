"""A developer's machine: DEBUG, and django-debug-toolbar, which keeps what it sees in a table.

It has no history, as W021 advises, and Django's error reports are ours.
"""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, MIDDLEWARE

NEEDS = ["debug_toolbar"]
DEBUG = True
INTERNAL_IPS = ["127.0.0.1"]
INSTALLED_APPS = [*INSTALLED_APPS, "debug_toolbar"]
MIDDLEWARE = ["debug_toolbar.middleware.DebugToolbarMiddleware", *MIDDLEWARE]
DEBUG_TOOLBAR_PANELS = [
    f"debug_toolbar.panels.{name}"
    for name in (
        "history.HistoryPanel",
        "versions.VersionsPanel",
        "timer.TimerPanel",
        "settings.SettingsPanel",
        "headers.HeadersPanel",
        "request.RequestPanel",
        "sql.SQLPanel",
        "staticfiles.StaticFilesPanel",
        "templates.TemplatesPanel",
        "alerts.AlertsPanel",
        "cache.CachePanel",
        "signals.SignalsPanel",
    )
]
DEBUG_TOOLBAR_CONFIG = {
    "IS_RUNNING_TESTS": False,
    "TOOLBAR_STORE_CLASS": "debug_toolbar.store.DatabaseStore",
    "RESULTS_CACHE_SIZE": 500,
    # On are those that keep what a request has sent; the others are slow.
    "DISABLE_PANELS": {
        panel
        for panel in DEBUG_TOOLBAR_PANELS
        if not panel.endswith(("HeadersPanel", "RequestPanel"))
    },
}
DEFAULT_EXCEPTION_REPORTER = "twilio_tokens.error_reports.SecretsReporter"
DEFAULT_EXCEPTION_REPORTER_FILTER = "twilio_tokens.error_reports.SecretsReporterFilter"
ROOT_URLCONF = "tests.sites.urls.debug"
