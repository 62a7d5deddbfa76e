"""Users who sign in with a header, as ``docs/how-to/authenticate-users.md`` has them do."""

from __future__ import annotations

import re
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.contrib.auth.models import User
from django.test import Client

from tests.how_to.sites import curl, on_site
from tests.issued import decoded
from tests.prose import section
from twilio_tokens.models import APIKey, IssuedToken

PAGE = "docs/how-to/authenticate-users.md"
VIDEO = "/twilio/tokens/video/"


def private_key() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {"JWT_PRIVATE_KEY": text}


def ask(**headers: str) -> Any:
    client = Client(enforce_csrf_checks=True)
    return client.post(
        VIDEO, {"room": "DailyStandup"}, content_type="application/json", headers=headers
    )


def check(secret: str, **headers: str) -> None:
    """With these headers anna gets a token of her own, until she is deactivated."""
    assert ask().status_code in (401, 403)
    response = ask(**headers)
    assert response.status_code == 201, response.content
    grants = decoded(response.json()["token"], secret)["grants"]
    assert grants == {"identity": "anna", "video": {"room": "DailyStandup"}}
    User.objects.update(is_active=False)
    assert ask(**headers).status_code in (401, 403)
    IssuedToken.objects.all().delete()
    User.objects.all().delete()
    assert ask(**headers).status_code in (401, 403)


@on_site(PAGE, "JSON Web Tokens", needs=("rest_framework_simplejwt",))
def test_a_json_web_token_gets_an_access_token(user: User, api_key: APIKey, secret: str) -> None:
    [text] = section(PAGE, "JSON Web Tokens", "sh")
    sign_in, ask_for_token = re.findall(r"^curl .*\n(?: .*\n)*", text, re.MULTILINE)
    access = curl(sign_in, PASSWORD="password").json()["access"]
    response = curl(ask_for_token, ACCESS=access)
    claims = decoded(response.json()["token"], secret)
    assert claims["grants"] == {"identity": "anna", "video": {"room": "DailyStandup"}}
    check(secret, Authorization=f"Bearer {access}")


@on_site(PAGE, "django-rest-knox", needs=("knox",))
def test_a_token_of_knox_gets_an_access_token_until_its_user_signs_out(
    user: User, api_key: APIKey, secret: str
) -> None:
    client = Client(enforce_csrf_checks=True)
    basic = {"Authorization": "Basic YW5uYTpwYXNzd29yZA=="}  # anna:password
    first, second = (
        f"Token {client.post('/api/sign-in/', headers=basic).json()['token']}" for _ in range(2)
    )
    assert client.post("/api/sign-out/", headers={"Authorization": first}).status_code == 204
    assert ask(Authorization=first).status_code == 401
    check(secret, Authorization=second)


def sign_in_to_allauth() -> dict[str, str]:
    response = Client(enforce_csrf_checks=True).post(
        "/_allauth/app/v1/auth/login",
        {"username": "anna", "password": "password"},
        content_type="application/json",
    )
    assert response.status_code == 200, response.content
    return response.json()["meta"]


@on_site(PAGE, "allauth headless", needs=("allauth",))
def test_a_session_token_of_allauth_gets_an_access_token(
    user: User, api_key: APIKey, secret: str
) -> None:
    check(secret, **{"X-Session-Token": sign_in_to_allauth()["session_token"]})


@on_site(
    PAGE,
    "allauth headless",
    "allauth with JSON Web Tokens",
    needs=("allauth",),
    variables=private_key,
)
def test_a_json_web_token_of_allauth_gets_an_access_token(
    user: User, api_key: APIKey, secret: str
) -> None:
    check(secret, Authorization=f"Bearer {sign_in_to_allauth()['access_token']}")
