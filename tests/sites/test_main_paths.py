"""The main paths. ``tests/test_sites.py`` takes them on every site of this folder."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.core import checks
from django.core.management import call_command
from django.test import Client
from django.utils.module_loading import import_string

from tests.databases import all_rows
from tests.issued import decoded
from tests.rows import new_secret, sid
from tests.sites.caller import API, Caller
from tests.sites.operator import ADMIN_SITES, Operator, new_user
from tests.twilio_server import Key, TwilioServer, running
from twilio_tokens.models import Account, APIKey, ChatService, IssuedToken, PushCredential, TwiMLApp

pytestmark = pytest.mark.django_db(transaction=True, databases="__all__")

ANSWER = [
    "token",
    "jti",
    "identity",
    "account_sid",
    "grants",
    "issued_at",
    "expires_at",
    "expires_in",
    "refresh_at",
]
#: What an operator types into the forms, a secret aside.
TYPED: dict[Any, dict[str, str]] = {
    Account: {"name": "Main", "sid": sid("AC")},
    APIKey: {"name": "Key", "sid": sid("SK"), "region": "us1", "is_active": "on"},
    ChatService: {"name": "support", "sid": sid("IS"), "is_default": "on"},
    TwiMLApp: {"name": "phone", "sid": sid("AP"), "is_default": "on"},
    PushCredential: {"name": "ios", "sid": sid("CR"), "platform": "apn"},
}
UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")


@pytest.fixture
def secret() -> str:
    return new_secret()


@pytest.fixture
def twilio(settings: Any, secret: str) -> Iterator[TwilioServer]:
    """Twilio, with the account that the operator has there."""
    with running(settings) as server:
        account = sid("AC")
        server.keys[sid("SK")] = Key(secret, account)
        server.services[sid("IS")] = (account, "Support")
        server.services[sid("IS", "1")] = (account, "Sales")
        server.apps[sid("AP")] = (account, "Phone")
        server.credentials[sid("CR")] = (account, "iOS", "apn")
        yield server


@pytest.fixture
def anna() -> Any:
    return new_user("anna")


def type_in(operator: Operator, secret: str) -> None:
    """All credentials, by the forms of the console."""
    operator.secrets.append(secret)
    account = operator.add(Account, **TYPED[Account])
    operator.add(APIKey, account=account.pk, secret=secret, **TYPED[APIKey])
    for model in (ChatService, TwiMLApp, PushCredential):
        operator.add(model, account=account.pk, **TYPED[model])


def stored(secret: str) -> APIKey:
    """The same, where the forms are not what is tested."""
    account = Account.objects.create(name="Main", sid=sid("AC"))
    for model in (ChatService, TwiMLApp):
        model.objects.create(**TYPED[model] | {"is_default": True}, account=account)
    PushCredential.objects.create(**TYPED[PushCredential], account=account)
    values = TYPED[APIKey] | {"is_active": True, "secret": secret}
    return APIKey.objects.create(account=account, **values)


def test_a_token_is_issued_over_http_with_the_secret_that_was_typed_in(
    twilio: TwilioServer, anna: Any, secret: str
) -> None:
    type_in(Operator(ADMIN_SITES[0]), secret) if ADMIN_SITES else stored(secret)
    caller = Caller(anna)

    answer = caller.ask("tokens/video/", {"room": "DailyStandup", "ttl": 600})
    claims = decoded(answer["token"], secret)
    assert list(answer) == ANSWER
    assert (claims["iss"], claims["sub"]) == (sid("SK"), sid("AC"))
    assert claims["grants"] == {"identity": answer["identity"], "video": {"room": "DailyStandup"}}
    assert claims["exp"] - claims["iat"] == answer["expires_in"] == 600
    assert all(UTC_TIME.fullmatch(answer[each]) for each in answer if each.endswith("_at"))
    [record] = IssuedToken.objects.filter(jti=answer["jti"])
    assert record.user == anna

    answer = caller.ask("tokens/chat/", {})
    assert decoded(answer["token"], secret)["grants"]["chat"] == {"service_sid": sid("IS")}

    params = {"first_name": "Anna", "lastName": "Ö"}
    grants = {"video": {"room": "A"}, "chat": {"service": "support"}, "voice": {"params": params}}
    tokens = [answer["token"]]
    answer = caller.ask("tokens/", grants)
    tokens.append(answer["token"])
    claims = decoded(answer["token"], secret)["grants"]
    assert set(claims) == {"identity", *grants}
    assert claims["voice"]["outgoing"] == {"application_sid": sid("AP"), "params": params}
    assert answer["grants"]["voice"]["outgoing"]["params"] == params

    refused = caller.ask("tokens/video/", {"rooom": "A"}, status=400)
    assert (list(refused), refused["code"]) == (["rooom", "code"], "unknown_field")

    offered = caller.get()
    assert offered.status_code == 200
    assert list(offered.json())[:2] == ["identity", "ttl"]
    assert offered.json()["identity"] == answer["identity"]
    assert offered.json()["chat"]["services"] == ["support"]
    assert not any("problem" in offered.json()[product] for product in grants)
    assert caller.get("tokens/video/", accept="text/html,*/*;q=0.8").status_code == 200

    assert "room" in str(
        caller.client.options(f"{API}tokens/video/", headers=caller.headers).json()
    )
    assert {"Authorization", "Cookie"} <= set(offered["Vary"].split(", "))
    someone_else = Caller(new_user("bert")).get().json()["identity"]
    assert someone_else not in (None, answer["identity"])

    nobody = Client().get(f"{API}tokens/")
    assert nobody.status_code in (401, 403)
    assert nobody.json()["code"] == "not_authenticated"
    assert_not_in_the_database(secret, *tokens)


# Every page of the console, where the site may change it


@pytest.fixture(params=[] if hasattr(site, "CONSOLE_AS_ELSEWHERE") else ADMIN_SITES)
def operator(request: pytest.FixtureRequest, secret: str) -> Operator:
    operator = Operator(request.param)
    operator.secrets.append(secret)
    return operator


@pytest.fixture
def key(twilio: TwilioServer, secret: str) -> APIKey:
    return stored(secret)


def test_a_test_token_is_issued_and_decoded_and_its_record_exported(
    operator: Operator, key: APIKey, anna: Any, secret: str
) -> None:
    asked = {"username": anna.get_username(), "video": "on", "video-room": "A"}
    page = operator.submit(operator.url(IssuedToken, "test"), "username", **asked)
    [token] = set(TOKEN.findall(page.html))
    assert decoded(token, secret)["grants"]["video"] == {"room": "A"}
    record = IssuedToken.objects.get()

    decode = operator.url(IssuedToken, "decode")
    page = operator.submit(decode, "token", token=token)
    assert record.jti in page.html
    assert token not in page.html
    assert "/errors/20107" in operator.submit(decode, "token", token=token[:-9] + "A" * 9).html

    lines = operator.run("export_csv", record).html.lstrip("\ufeff").splitlines()
    assert [row["jti"] for row in csv.DictReader(lines)] == [record.jti]
    assert_not_in_the_database(secret, token)


def test_twilio_is_asked_about_rows_and_for_services(
    operator: Operator, key: APIKey, twilio: TwilioServer
) -> None:
    for model in (APIKey, ChatService, TwiMLApp, PushCredential):
        row = model.objects.get()
        operator.run("check_with_twilio", row)
        row.refresh_from_db()
        assert row.check_outcome == "verified"

    page, store = operator.url(Account, "import", key.account.pk), f"{sid('IS', '1')}-store"
    operator.submit(page, store, **{store: "on"})
    assert ChatService.objects.get(sid=sid("IS", "1")).friendly_name == "Sales"
    twilio.fail(403)
    operator.get(page)


def test_rows_are_found_changed_and_deleted_and_every_link_leads_to_a_page(
    operator: Operator, key: APIKey, anna: Any
) -> None:
    Caller(anna).ask("tokens/video/", {})
    for model in TYPED:
        row = model.objects.get()
        change = operator.url(model, "change", row.pk)
        assert change in operator.get(operator.url(model, "changelist") + f"?q={row.sid}").html
        operator.submit(change, "name", name="new", _save="Save")
        row.refresh_from_db()
        assert row.name == "new"

    found = operator.follow_all_links()
    assert {operator.url(model, "add") for model in TYPED} <= found
    pages = ("test", "decode", "dashboard")
    assert {operator.url(IssuedToken, page) for page in pages} <= found
    assert operator.url(Account, "import", key.account.pk) in found
    assert {
        operator.url(APIKey, page, key.pk) for page in ("replace", "history", "delete")
    } <= found
    assert operator.url(IssuedToken, "change", IssuedToken.objects.get().pk) in found

    operator.submit(operator.url(PushCredential, "delete", row.pk), "post")
    assert not PushCredential.objects.exists()


def test_a_secret_is_corrected_and_a_key_replaced(
    operator: Operator, key: APIKey, twilio: TwilioServer, anna: Any, secret: str
) -> None:
    corrected, replacing = new_secret(), new_secret()
    operator.secrets += [corrected, replacing]
    caller = Caller(anna)

    twilio.keys[key.sid] = Key(corrected, sid("AC"))
    change = operator.url(APIKey, "change", key.pk)
    operator.submit(change, "secret", secret=corrected, _save="Save")
    assert decoded(caller.ask("tokens/video/", {})["token"], corrected)["iss"] == key.sid

    twilio.keys[sid("SK", "1")] = Key(replacing, sid("AC"))
    typed = TYPED[APIKey] | {"sid": sid("SK", "1"), "secret": replacing}
    operator.submit(operator.url(APIKey, "replace", key.pk), "sid", **typed)
    key.refresh_from_db()
    assert not key.is_active
    assert decoded(caller.ask("tokens/video/", {})["token"], replacing)["iss"] == sid("SK", "1")
    assert_not_in_the_database(secret, corrected, replacing)


# Every command


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    around = import_string(getattr(site, "AROUND_COMMANDS", "contextlib.nullcontext"))

    def run(*command: str) -> str:
        with around():
            call_command(*command)
        return capsys.readouterr().out

    return run


def test_every_command_works(
    run: Callable[..., str],
    settings: Any,
    key_ring: list[str],
    twilio: TwilioServer,
    anna: Any,
    secret: str,
    tmp_path: Path,
) -> None:
    environment = tmp_path / ".env"
    environment.write_text(
        f"TWILIO_ACCOUNT_SID={sid('AC')}\nTWILIO_API_KEY={sid('SK')}\nTWILIO_API_SECRET={secret}\n"
        f"TWILIO_CHAT_SERVICE_SID={sid('IS')}\nTWILIO_TWIML_APP_SID={sid('AP')}\n"
    )
    for _time in range(2):
        run("twilio_import_env", f"--env-file={environment}")
        assert [model.objects.count() for model in (Account, APIKey, ChatService, TwiMLApp)] == [
            1,
            1,
            1,
            1,
        ]

    grants = ("--video=DailyStandup", "--chat", "--voice")
    token = TOKEN.findall(run("twilio_token", anna.get_username(), *grants))[0]
    assert set(decoded(token, secret)["grants"]) == {"identity", "video", "chat", "voice"}
    assert "Signature  valid" in run("twilio_decode", token)
    assert sid("SK") in run("twilio_verify")

    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [run("twilio_generate_key").strip(), *key_ring]
    run("twilio_reencrypt")
    del settings.TWILIO_TOKENS_ENCRYPTION_KEYS[1:]
    token = TOKEN.findall(run("twilio_token", anna.get_username(), "--video"))[0]
    assert decoded(token, secret)["iss"] == sid("SK")

    assert "issued tokens" in run("twilio_rollup")
    run("twilio_purge", "--days=0")
    assert IssuedToken.objects.count() == 2, "None of them has expired."
    run("makemigrations", "twilio_tokens", "--check", "--dry-run")
    assert [each for each in checks.run_checks() if (each.id or "").startswith("twilio_")] == []
    assert_not_in_the_database(secret, *settings.TWILIO_TOKENS_ENCRYPTION_KEYS)


def assert_not_in_the_database(*canaries: str) -> None:
    """Neither a secret, nor a token, nor a token's signature."""
    forms = {form for each in canaries for form in (each, each.rpartition(".")[2])}
    for table, rows in all_rows().items():
        assert not any(each in rows for each in forms), table
