"""drf-yasg describes the API, and drf-spectacular is not installed."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, REST_FRAMEWORK

NEEDS = ["drf_yasg"]
INSTALLED_APPS = [*INSTALLED_APPS, "drf_yasg"]
INSTALLED_APPS.remove("drf_spectacular")
REST_FRAMEWORK = {
    **REST_FRAMEWORK,
    "DEFAULT_SCHEMA_CLASS": "rest_framework.schemas.openapi.AutoSchema",
}
