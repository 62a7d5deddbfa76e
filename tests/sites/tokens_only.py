"""An API for mobile apps: no admin, no sessions, no forms."""

from tests.settings import *  # noqa: F403

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework.authtoken",
    "twilio_tokens",
    "tests.site",
]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
TEMPLATES = []
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}
ROOT_URLCONF = "tests.sites.urls.tokens_only"
AUTHORIZATION = "tests.sites.authorization.drf_token"
