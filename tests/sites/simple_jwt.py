"""Users sign in with a JSON Web Token."""

from tests.settings import *  # noqa: F403

NEEDS = ["rest_framework_simplejwt"]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"]
}
SECRET_KEY = "tests" * 8
AUTHORIZATION = "tests.sites.authorization.simple_jwt"
CONSOLE_AS_ELSEWHERE = True
