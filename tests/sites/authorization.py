"""How a user signs in where it is not by session: the value of the header."""

from typing import Any


def drf_token(user: Any) -> str:
    from rest_framework.authtoken.models import Token  # noqa: PLC0415 - the other sites do not have it

    return f"Token {Token.objects.get_or_create(user=user)[0].key}"


def knox(user: Any) -> str:
    from knox.models import get_token_model  # noqa: PLC0415 - the other sites do not have it

    return f"Token {get_token_model().objects.create(user=user)[1]}"


def simple_jwt(user: Any) -> str:
    from rest_framework_simplejwt.tokens import AccessToken  # noqa: PLC0415 - the other sites do not have it

    return f"Bearer {AccessToken.for_user(user)}"
