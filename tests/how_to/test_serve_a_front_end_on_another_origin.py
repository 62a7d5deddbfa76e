"""What a browser asks before it lets the app of another origin ask; tests/browser has the app."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token

from tests.how_to.front_ends import front_end, post, site_of
from tests.issued import decoded
from tests.prose import REPOSITORY
from twilio_tokens.models import IssuedToken

PAGE = "docs/how-to/serve-a-front-end-on-another-origin.md"
APP = "https://app.example.com"
ADDRESS = "/twilio/tokens/video/"

pytestmark = pytest.mark.usefixtures("api_key")


@pytest.fixture(params=["The site"])
def _site(request: pytest.FixtureRequest, settings: Any) -> Iterator[None]:
    sections = request.param if isinstance(request.param, tuple) else (request.param,)
    with site_of(PAGE, settings, *sections):
        yield


WITH_COOKIES = pytest.mark.parametrize(
    "_site", [("The site", "With session cookies instead")], indirect=True, ids=[""]
)


def preflight(origin: str, headers: str, address: str = ADDRESS) -> Any:
    return front_end().options(
        address,
        headers={
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": headers,
        },
    )


@pytest.mark.usefixtures("_site", "db")
def test_the_app_may_send_its_header() -> None:
    answer = preflight(APP, "authorization,content-type")
    assert answer["Access-Control-Allow-Origin"] == APP
    assert {"authorization", "content-type"} <= set(
        answer["Access-Control-Allow-Headers"].split(", ")
    )
    assert "Access-Control-Allow-Credentials" not in answer


@pytest.mark.usefixtures("_site")
def test_the_app_reads_the_token_and_how_long_to_wait(user: User, secret: str) -> None:
    key = Token.objects.create(user=user).key
    answer = post(front_end(), ADDRESS, {"room": "A"}, Authorization=f"Token {key}", Origin=APP)
    assert answer["Access-Control-Allow-Origin"] == APP
    assert answer["Access-Control-Expose-Headers"] == "Retry-After"
    assert decoded(answer.json()["token"], secret)["grants"]["identity"] == "anna"


@pytest.mark.usefixtures("_site", "db")
@pytest.mark.parametrize(
    ("origin", "address"),
    [
        ("https://app.example.org", ADDRESS),
        ("http://app.example.com", ADDRESS),
        ("https://app.example.com:8443", ADDRESS),
        ("null", ADDRESS),
        (APP, "/admin/login/"),
    ],
)
def test_no_other_origin_and_no_other_page(origin: str, address: str) -> None:
    assert "Access-Control-Allow-Origin" not in preflight(origin, "authorization", address)


@WITH_COOKIES
@pytest.mark.usefixtures("_site")
@pytest.mark.parametrize(
    ("origin", "csrf", "status"),
    [
        (APP, "a" * 32, 201),
        (APP, "", 403),
        ("https://mallory.example.com", "a" * 32, 403),
    ],
)
def test_with_cookies_a_csrf_token_and_a_trusted_origin_are_needed(
    user: User, settings: Any, origin: str, csrf: str, status: int
) -> None:
    settings.ALLOWED_HOSTS = ["api.example.com"]
    client = front_end(user)
    client.cookies["csrftoken"] = "a" * 32
    headers = {"Origin": origin, "X-CSRFToken": csrf, "Host": "api.example.com"}
    answer = post(client, ADDRESS, {"room": "A"}, **headers)
    assert answer.status_code == status
    assert IssuedToken.objects.exists() == (status == 201)
    assert (answer.headers.get("Access-Control-Allow-Credentials") == "true") == (origin == APP)


@pytest.mark.parametrize("_site", ["Content-Security-Policy"], indirect=True, ids=[""])
@pytest.mark.usefixtures("_site")
def test_the_policy_is_the_one_under_which_the_example_runs(settings: Any) -> None:
    """On which the tests in tests/browser start each SDK."""
    ours = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    text = (REPOSITORY / "example_project" / "settings.py").read_text()
    assigned = [each for each in ast.parse(text).body if isinstance(each, ast.Assign)]
    [policy] = [
        ast.literal_eval(each.value)
        for each in assigned
        if ast.unparse(each.targets[0]) == "CONTENT_SECURITY_POLICY"
    ]
    theirs = policy["DIRECTIVES"]
    assert set(ours["connect-src"]) - {"https://api.example.com"} == set(theirs["connect-src"])
    assert ours["media-src"] == theirs["media-src"]
    assert ours["default-src"] == theirs["default-src"]
