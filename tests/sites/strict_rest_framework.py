"""REST framework has other defaults throughout, and no browsable API."""

from tests.settings import *  # noqa: F403
from tests.settings import REST_FRAMEWORK

REST_FRAMEWORK = {
    **REST_FRAMEWORK,
    "COMPACT_JSON": False,
    "DATETIME_FORMAT": "%d.%m.%Y",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.MultiPartParser"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
    "DEFAULT_THROTTLE_RATES": {"user": "1/day"},
    "EXCEPTION_HANDLER": "tests.sites.error_handler.wrapped",
    "NON_FIELD_ERRORS_KEY": "errors",
    "STRICT_JSON": False,
    "UNICODE_JSON": False,
}
CONSOLE_AS_ELSEWHERE = True
