"""Attacks on the API and the core, as somebody would try them."""

from __future__ import annotations

import base64
import hmac
import json
import logging
import os
import subprocess
import sys
import time
from io import StringIO
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote

import jwt
import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.test import Client, override_settings
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from tests.issued import decoded
from tests.rows import add_key, sid
from twilio_tokens.decoding import decode
from twilio_tokens.grants import Video, registered
from twilio_tokens.identity import decode_identity, encoded_username, username
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, APIKey, IssuedToken
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


@pytest.mark.parametrize("number", NUMBERS)
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


# Lines of the log that nobody wrote


def test_nobody_writes_a_line_of_the_log(
    api: APIClient, user: User, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    forged = "x\r\nERROR twilio_tokens: forged\x1b[2J\u2028forged\x85forged"
    caplog.set_level(logging.DEBUG, "twilio_tokens")
    settings.TWILIO_TOKENS_WORKER = lambda user, workspace: None
    settings.TWILIO_TOKENS_THROTTLE_RATE = None
    User.objects.filter(pk=user.pk).update(username=forged)
    for fault in (None, "TWILIO_TOKENS_ENCRYPTION_KEYS", "TWILIO_TOKENS_ROOM_POLICY"):
        if fault is not None:
            setattr(settings, fault, [forged])
        for product in registered():
            for body in ({}, {forged: forged}, {"room": forged}, {"service": forged}):
                api.post(f"/twilio/tokens/{product}/", body, "json")
            api.get(f"/twilio/tokens/{product}/?x={quote(forged)}")
    # Somebody who writes to the database is not held to what a form takes.
    settings.TWILIO_TOKENS_ROOM_POLICY = None
    settings.TWILIO_TOKENS_IDENTITY = lambda user: "anna"
    APIKey.objects.all().delete()
    Account.objects.update(sid="AC\nERROR forged")
    assert api.post(VIDEO, {}, "json").status_code == 503
    ours = [each for each in caplog.records if each.name.startswith("twilio_tokens")]
    assert ours
    for each in ours:
        assert each.getMessage().splitlines() == [each.getMessage()]
        assert "\x1b" not in each.getMessage()


# Names that look alike


@pytest.mark.parametrize(
    ("name", "double"),
    [
        ("loki", "\uff4coki"),  # full width
        ("kelvin", "\u212aelvin"),  # the sign of the unit
        ("anna", "Anna"),
        ("paul", "p\u0430ul"),  # Cyrillic
        ("zo\u00e9", "zoe\u0301"),  # composed and not
        ("anna", "anna\u200b"),
        ("anna", "\u202eanna"),
        ("strasse", "stra\u00dfe"),
        ("a_40b", "a@b"),  # the one is how the other is written
    ],
)
def test_a_double_of_a_name_is_another_identity(name: str, double: str, secret: str) -> None:
    User.objects.all().delete()
    try:
        with transaction.atomic():
            users = [User.objects.create(username=each) for each in (name, double)]
    except IntegrityError:
        return  # this database takes the two for one, so that nobody can have the second
    for setting in (username, encoded_username):
        identities = [setting(user) for user in users]
        assert len({*identities}) == 2
        with override_settings(TWILIO_TOKENS_IDENTITY=setting):
            issued = [issue_access_token(user=user, grants=[Video()]) for user in users]
        for user, each in zip(users, issued, strict=True):
            assert decoded(each.token, secret)["grants"]["identity"] == setting(user)
            assert IssuedToken.objects.get(jti=each.jti).user == user
    assert [decode_identity(encoded_username(user)) for user in users] == [name, double]


# Texts that take long to read

LONG = """
import django
django.setup()
from twilio_tokens import error_reports, sids
from django.core.exceptions import ValidationError
from django.db.models import CharField
from twilio_tokens.models import APIKey, ChatService
from twilio_tokens.decoding import decode
from twilio_tokens.exceptions import InvalidToken

pieces = ["a", "A", "aA", "a" * 31 + " ", "a" * 30 + "B1 ", "A" * 30 + "b1 ", "eyJ", "ey.", "ey-"]
pieces += ["-", " ", "\\n", "'", "=", "secret", "secret=", "$", "${", "tt1:", "%41", "AC0", "eyJ."]
for piece in pieces:
    text = piece * (300_000 // len(piece))
    sids.holds_secret(text)
    for kind in sids.KINDS:
        kind.problem(text)
    for cut in (text, text[:1_024]):
        sids.secret_problem(cut)
    for cut in (text, text[:30_000]):
        try:
            decode(cut)
        except InvalidToken:
            pass
    for field in (*APIKey._meta.fields, *ChatService._meta.fields):
        if isinstance(field, CharField) and field.editable:
            try:
                field.run_validators(text)
            except ValidationError:
                pass
            field.formfield().widget.render("x", text)
    error_reports.SecretsReporterFilter().cleansed(text[:49_000], ["x" * 20])
"""


def test_no_crafted_text_keeps_a_worker_busy() -> None:
    """It takes seconds, and took hours when a pattern could match a word in many ways."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    run = subprocess.run(
        [sys.executable, "-c", LONG], env=environment, timeout=60, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
