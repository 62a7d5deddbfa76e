"""Attacks on the API and the core, as somebody would try them."""

from __future__ import annotations

import base64
import hmac
import json
import time
from io import StringIO
from types import SimpleNamespace
from typing import Any, cast

import jwt
import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from tests.issued import decoded
from tests.rows import add_key, sid
from twilio_tokens.decoding import decode
from twilio_tokens.grants import registered
from twilio_tokens.models import APIKey, IssuedToken
from twilio_tokens.throttles import TokenRateThrottle

VIDEO = "/twilio/tokens/video/"
JSON = "application/json"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("api_key")]


# A token that somebody else has made


def part(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def signed(secret: str, claims: object, **header: object) -> str:
    header = {"typ": "JWT", "cty": "twilio-fpa;v=1", "alg": "HS256"} | header
    signed = ".".join(part(json.dumps(each).encode()) for each in (header, claims))
    digest = "sha512" if header["alg"] == "HS512" else "sha256"
    return f"{signed}.{part(hmac.digest(secret.encode(), signed.encode(), digest))}"


def forged(secret: str) -> dict[str, str]:
    now = int(time.time())
    claims: dict[str, Any] = {"iss": sid("SK"), "sub": sid("AC"), "jti": "x", "exp": now + 3_600}
    claims["grants"] = {"identity": "root", "video": {}}
    good = signed(secret, claims)
    assert decode(good).problems == []
    head, payload, signature = good.split(".")
    none = signed("", claims, alg="none").rpartition(".")[0]
    mine = "mine" * 8
    return {
        "no algorithm": f"{none}.",
        "no algorithm, and a signature": f"{none}.{signature}",
        "no signature": f"{head}.{payload}.",
        "an empty secret": signed("", claims),
        "the key's SID as its secret": signed(sid("SK"), claims),
        "a key of its own": signed(mine, claims, kid="mine", jwk={"kty": "oct", "k": "bWluZQ"}),
        "a key from elsewhere": signed(mine, claims, jku="https://evil.example/", x5u="x"),
        "a path for a key": signed("", claims, kid="../../../dev/null"),
        "another algorithm": signed(secret, claims, alg="HS512"),
        "the secret of another key": signed(secret, claims | {"iss": sid("SK", "1")}),
        "another payload": signed(secret, claims | {"sub": "x"}).rpartition(".")[0]
        + f".{signature}",
    }


def test_no_forged_token_is_taken_for_a_good_one(
    api_key: APIKey, secret: str, admin_client: Client
) -> None:
    add_key(api_key.account)  # its secret is another
    for name, token in forged(secret).items():
        found = decode(token)
        assert found.signature_holds is False, name
        assert found.problems != [], name
        page = admin_client.post("/admin/twilio_tokens/issuedtoken/decode/", {"token": token})
        assert "not valid" in page.content.decode(), name
        output = StringIO()
        call_command("twilio_decode", token, stdout=output)
        assert "Signature  not valid" in output.getvalue(), name


# Another method than the one that is sent


def test_no_header_and_no_field_makes_a_request_one_of_another_method(
    api: APIClient, settings: Any
) -> None:
    overrides = [
        {"X-HTTP-Method-Override": "POST"},
        {"X-HTTP-Method": "POST"},
        {"X-Method-Override": "POST"},
    ]
    for headers in overrides:
        assert api.get(f"{VIDEO}?_method=POST", headers=headers).status_code == 200
        assert api.options(VIDEO, headers=headers).status_code == 200
    assert not IssuedToken.objects.exists()

    settings.TWILIO_TOKENS_THROTTLE_RATE = "3/hour"
    statuses = [
        api.post(VIDEO, {}, "json", headers=dict.fromkeys(each, "OPTIONS")).status_code
        for each in [*overrides, {}]
    ]
    assert statuses == [201, 201, 201, 429], "each counts"
    assert api.post(VIDEO, {"_method": "GET"}, "json").status_code == 429


# Two users in one request


def test_a_token_of_the_attacker_is_not_issued_to_the_one_whose_cookie_comes_along(
    api: APIClient, secret: str
) -> None:
    attacker = User.objects.create_user("mallory")
    header = {"authorization": f"Token {Token.objects.create(user=attacker).key}"}
    answer = api.post(VIDEO, {}, "json", headers=header).json()
    assert decoded(answer["token"], secret)["grants"]["identity"] == "mallory"
    assert IssuedToken.objects.get().user == attacker
    nonsense = api.post(VIDEO, {}, "json", headers={"authorization": "Token nonsense"})
    assert (nonsense.status_code, nonsense.json()["code"]) == (401, "authentication_failed")


# A page of another site, in the browser of somebody who is signed in


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/plain", '{"room": "A", "ignored": "="}'),  # what a form without a preflight sends
        ("text/plain; application/json", "{}"),
        ("application/x-www-form-urlencoded", "room=A"),
        ("multipart/form-data; boundary=x", "--x--\r\n"),
        (JSON, "{}"),
        ("", ""),
    ],
)
def test_a_foreign_page_gets_no_token_by_the_cookie(
    user: User, content_type: str, body: str
) -> None:
    client = Client(enforce_csrf_checks=True, headers={"origin": "https://evil.example"})
    client.force_login(user)
    for page in ("", *(f"{product}/" for product in registered())):
        address = f"/twilio/tokens/{page}"
        response = client.generic("POST", address, body, content_type)
        assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
        assert response["Cache-Control"] == "no-store"
        # Answers are JSON of this origin: no script, no callback, no permission to read.
        response = client.get(f"{address}?callback=steal&jsonp=steal&format=json")
        assert response["Content-Type"] == JSON
        assert response.content.startswith(b"{")
        assert "Access-Control-Allow-Origin" not in response.headers
    assert not IssuedToken.objects.exists()


def test_what_is_sent_is_shown_as_text_only(api: APIClient) -> None:
    script = "<script>alert(1)</script>"
    bodies: list[Any] = [{script: "x"}, {"room": script * 9}, {"ttl": script}, {"params": script}]
    for body in bodies:
        for page in ("", "video/", "voice/"):
            response = api.post(
                f"/twilio/tokens/{page}", body, "json", headers={"accept": "text/html"}
            )
            assert response.status_code == 400
            assert script not in response.content.decode()


# Addresses that answers could lead to


def test_no_answer_names_a_host_that_a_header_made_up(
    api: APIClient, admin_client: Client, settings: Any
) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    headers = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Server": "evil.example",
        "X-Original-URL": "https://evil.example/",
        "Forwarded": "host=evil.example",
        "Referer": "https://evil.example/",
    }
    for page in ("tokens/", "tokens/video/", "tokens/video", "nothing/"):
        for accept in (JSON, "text/html"):
            response = api.get(f"/twilio/{page}", headers={**headers, "accept": accept})
            assert "evil" not in f"{response.headers}{response.content.decode()}"
    for page in ("", "twilio_tokens/", "twilio_tokens/apikey/add/", "twilio_tokens/account/1/"):
        response = admin_client.get(f"/admin/{page}", headers=headers)
        assert "evil" not in f"{response.headers}{response.content.decode()}"
    assert api.get("/twilio/tokens/", headers={"Host": "evil.example"}).status_code == 400


# Numbers that are none


NUMBERS = ["1e400", "-1e400", "1" + "0" * 5_000, "NaN", "Infinity", "0x10", "1e-9"]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:9])
def test_no_number_breaks_a_request_a_page_or_the_decoder(
    number: str, api: APIClient, user: User, secret: str, admin_client: Client
) -> None:
    for body in (f'{{"ttl": {number}}}', f'{{"ttl": "{number}"}}', f'{{"room": {number}}}'):
        assert api.generic("POST", VIDEO, body, JSON).status_code == 400
    body = f'{{"params": {{"n": {number}}}}}'
    assert api.generic("POST", "/twilio/tokens/voice/", body, JSON).status_code == 400
    assert api.post(VIDEO, {"ttl": number}).status_code == 400
    typed = {"username": "anna", "video": "on", "ttl": number, "voice-params": f'{{"n": {number}}}'}
    for asked in (typed, typed | {"ttl": "", "voice": "on"}):
        page = admin_client.post("/admin/twilio_tokens/issuedtoken/test/", asked)
        assert page.context["form"].errors
    claims = f'{{"iss": "{sid("SK")}", "exp": {number}, "iat": {number}, "nbf": {number}}}'
    token = jwt.PyJWS().encode(claims.encode(), secret, headers={"cty": "twilio-fpa;v=1"})
    page = admin_client.post("/admin/twilio_tokens/issuedtoken/decode/", {"token": token})
    assert page.status_code == 200
    assert "accepted" not in page.content.decode()
    assert not IssuedToken.objects.exists()


# A cache that somebody else writes to


class Poison:
    """What pickle may bring back: any object."""

    def __int__(self) -> int:
        raise RuntimeError("poison")

    __add__ = __int__


POISON = ["x", "", "9" * 5_000, float("nan"), float("inf"), [], {}, b"\xff", Poison(), True]


@pytest.mark.parametrize("poison", POISON, ids=lambda poison: repr(poison)[:9])
@pytest.mark.parametrize("place", ["the start of the window", "the count"])
def test_a_poisoned_cache_leads_neither_to_an_error_nor_past_the_limit(
    poison: object, place: str, api: APIClient, user: User, settings: Any
) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = "2/hour"
    request: Any = SimpleNamespace(user=user, method="POST")
    key = TokenRateThrottle().get_cache_key(request, cast("Any", None))
    assert key is not None
    if place == "the count":
        now = int(time.time() * 1_000)
        cache.set(key, now, 3_600)
        key = f"{key}:{now}:0"
    cache.set(key, poison, 3_600)
    responses = [api.post(VIDEO, {}, "json") for _ in range(4)]
    assert sum(each.status_code == 201 for each in responses) <= 2
    codes = {each.json()["code"] for each in responses if each.status_code != 201}
    assert codes <= {"throttled", "throttle_unavailable"}
    cache.clear()
    assert api.post(VIDEO, {}, "json").status_code == 201
