from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import DatabaseError, connection
from twilio.rest import Client

from tests.site.models import InvitedService, Stage
from twilio_tokens import verification
from twilio_tokens.credentials import Credentials
from twilio_tokens.crypto import load_key_ring, seal
from twilio_tokens.exceptions import ListingFailed, NotConfigured, SecretUnavailable
from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    Outcome,
    PushCredential,
    Resource,
    SyncService,
    TwiMLApp,
    Workspace,
)
from twilio_tokens.verification import (
    Finding,
    Listed,
    list_resources,
    verify_credentials,
    verify_key,
    verify_resource,
)

from .reports import error_report
from .rows import add_key, new_secret, sid
from .twilio_server import (
    API,
    AU1,
    CONVERSATIONS,
    IE1,
    JP1,
    SYNC,
    TASKROUTER,
    Key,
    TwilioServer,
    error,
)

HTML = "<!doctype html><title>Welcome to the Café WLAN</title>"


@pytest.fixture
def known(twilio: TwilioServer, api_key: APIKey, secret: str) -> Key:
    """``api_key``, as Twilio has it."""
    twilio.keys[api_key.sid] = Key(secret, sid("AC"))
    return twilio.keys[api_key.sid]


def sids(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number:032x}" for number in range(count)]


def listed(model: type[Resource], account: Account) -> list[Listed]:
    found, _failed = list_resources(account, [model])
    return found[model]


# Keys


def test_a_key_that_twilio_accepts_is_verified_by_one_small_request(
    twilio: TwilioServer, known: Key, api_key: APIKey
) -> None:
    finding = verify_key(api_key)
    assert finding == Finding(
        Outcome.VERIFIED,
        "Twilio accepts this key for its account in region US1. This does not prove that the "
        "key can sign Access Tokens: a Restricted key can pass the check, too.",
        None,
        None,
    )
    [request] = twilio.requests
    assert request.host == API
    assert request.path == f"/2010-04-01/Accounts/{sid('AC')}/Applications.json"
    assert request.query == {"PageSize": "1"}


def test_an_account_with_apps_proves_a_key_as_well(
    twilio: TwilioServer, known: Key, api_key: APIKey
) -> None:
    twilio.apps = dict.fromkeys(sids("AP", 3), (sid("AC"), "App"))
    assert verify_key(api_key).outcome == Outcome.VERIFIED


def test_credentials_are_verified_before_they_are_stored(twilio: TwilioServer) -> None:
    secret = new_secret()
    twilio.keys[sid("SK")] = Key(secret, sid("AC"))
    assert verify_credentials(sid("AC"), sid("SK"), secret).outcome == Outcome.VERIFIED
    assert verify_credentials(sid("AC"), sid("SK"), new_secret()).outcome == Outcome.REFUSED


def wrong_secret(key: Key) -> None:
    key.secret = new_secret()


def of_region(region: str) -> Callable[[Key], None]:
    def change(key: Key) -> None:
        key.region = region

    return change


def of_another_account(key: Key) -> None:
    key.account = sid("AC", "b")


def restricted(status: int) -> Callable[[Key], None]:
    def change(key: Key) -> None:
        key.refused_with = status

    return change


REFUSED_KEYS = [
    (
        wrong_secret,
        "Twilio rejects this SID with this secret. The possible causes, most likely first: the "
        "secret is cut off or belongs to another key; the key was deleted at Twilio; it belongs to "
        "another account; it was created outside region US1; it is a Restricted key; the account "
        "is suspended. (Twilio error 20003)",
        20003,
        "secret",
        [API, IE1, AU1, JP1, CONVERSATIONS],
    ),
    (
        of_region("ie1"),
        "This key is from region IE1. Access Tokens for Video need a key from region US1: "
        "create one in the Twilio Console. (Twilio error 20003)",
        20003,
        "sid",
        [API, IE1],
    ),
    (
        of_region("au1"),
        "This key is from region AU1. Access Tokens for Video need a key from region US1: "
        "create one in the Twilio Console. (Twilio error 20003)",
        20003,
        "sid",
        [API, IE1, AU1],
    ),
    (
        of_region("jp1"),
        "This key is from region JP1. Access Tokens for Video need a key from region US1: "
        "create one in the Twilio Console. (Twilio error 20003)",
        20003,
        "sid",
        [API, IE1, AU1, JP1],
    ),
    (
        of_another_account,
        f"This key belongs to another account, {sid('AC', 'b')}. (Twilio error 20003)",
        20003,
        "account",
        [API, IE1, AU1, JP1, CONVERSATIONS],
    ),
    (
        restricted(403),
        "Twilio knows this key, but does not let it list the account's TwiML Apps. It is probably "
        "a Restricted key, which cannot sign Access Tokens: create a Standard key instead. "
        "Otherwise the account may be suspended. (Twilio error 70051)",
        70051,
        "sid",
        [API],
    ),
]


@pytest.mark.parametrize(
    ("change", "message", "code", "field", "hosts"),
    REFUSED_KEYS,
    ids=["wrong secret", "IE1", "AU1", "JP1", "another account", "restricted"],
)
def test_a_refusal_names_its_cause_and_the_field_to_correct(
    change: Callable[[Key], None],
    message: str,
    code: int,
    field: str,
    hosts: list[str],
    twilio: TwilioServer,
    known: Key,
    api_key: APIKey,
) -> None:
    change(known)
    assert verify_key(api_key) == Finding(Outcome.REFUSED, message, code, field)
    assert twilio.hosts == hosts


def test_a_key_that_is_refused_apps_only_is_told_from_a_wrong_secret(
    twilio: TwilioServer, known: Key, api_key: APIKey
) -> None:
    twilio.fail(401, body=error(401, 70051), host=API)
    finding = verify_key(api_key)
    assert (finding.code, finding.field) == (70051, "sid")
    assert "Restricted key" in finding.message


def test_an_account_that_does_not_exist_is_named(
    twilio: TwilioServer, known: Key, api_key: APIKey
) -> None:
    twilio.fail(404)
    assert verify_key(api_key) == Finding(
        Outcome.REFUSED,
        f"Twilio has no account {sid('AC')}. (Twilio error 20404)",
        20404,
        "account",
    )


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_where_the_other_hosts_fail_the_likely_causes_are_told(
    status: int, twilio: TwilioServer, known: Key, api_key: APIKey
) -> None:
    wrong_secret(known)
    for host in (IE1, AU1, JP1, CONVERSATIONS):
        twilio.fail(status, host=host)
        finding = verify_key(api_key)
        assert (finding.outcome, finding.field) == (Outcome.REFUSED, "secret")


# No usable answer

DEEP = '{"applications":' * 100_000
UNREACHABLE: dict[str, tuple[dict[str, Any], str, int | None]] = {
    "too many requests": (
        {"status": 429, "headers": {"Retry-After": "9999"}},
        "Twilio is limiting requests right now. Try again later.",
        20429,
    ),
    "internal error": (
        {"status": 500},
        "Twilio cannot answer right now (HTTP 500). Try again later.",
        20500,
    ),
    "unavailable, in HTML": (
        {"status": 503, "body": HTML},
        "Twilio cannot answer right now (HTTP 503). Try again later.",
        503,
    ),
    "bad request": ({"status": 400}, "Twilio's answer (HTTP 400) has an unexpected format.", 20001),
    **{
        f"{name} list": (
            {"body": body},
            "Twilio's answer (HTTP 200) has an unexpected format.",
            200,
        )
        for name, body in {"no": {"x": []}, "not a": {"applications": {}}}.items()
    },
    **{
        name: (
            fault,
            f"The answer (HTTP {fault.get('status', 200)}) did not come from Twilio's API. Is "
            "there a proxy or a firewall in between?",
            fault.get("status", 200),
        )
        for name, fault in {
            "HTML": {"body": HTML},
            "a proxy's 401": {"status": 401, "body": HTML},
            "a proxy's 403": {"status": 403, "body": HTML},
            "a proxy's 404": {"status": 404, "body": HTML},
            "a proxy's 499": {"status": 499, "body": HTML},
            "an array": {"body": []},
            "an empty object": {"body": {}},
            "a text": {"body": '"applications"'},
            "nothing": {"body": ""},
            "half an object": {"body": '{"applications": ['},
            "deep nesting": {"body": DEEP},
            "a huge number": {"body": '{"applications": ' + "9" * 5000},
        }.items()
    },
    "a reset connection": (
        {"reset": True},
        "Twilio could not be reached. The request failed: ConnectionError.",
        None,
    ),
}


@pytest.mark.parametrize("name", UNREACHABLE)
def test_without_a_usable_answer_nothing_is_said_of_the_key(
    name: str, twilio: TwilioServer, known: Key, api_key: APIKey
) -> None:
    fault, message, code = UNREACHABLE[name]
    twilio.fail(**fault)
    assert verify_key(api_key) == Finding(Outcome.UNREACHABLE, message, code, None)


@pytest.mark.parametrize("code", [True, -1, 0, 10**30, 20003.0, "20003", [], None])
def test_an_error_code_that_no_column_holds_gives_way_to_the_status(
    code: Any, twilio: TwilioServer, known: Key, api_key: APIKey
) -> None:
    twilio.fail(403, body={**error(403), "code": code})
    finding = verify_key(api_key)
    api_key.record_check(finding.outcome, finding.message, finding.code)
    api_key.refresh_from_db()
    assert api_key.check_code == 403


def test_a_check_takes_no_longer_than_it_may(
    twilio: TwilioServer,
    known: Key,
    chat_service: ChatService,
    api_key: APIKey,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verification, "CHECK_SECONDS", 0.3)
    monkeypatch.setattr(verification, "LISTING_SECONDS", 0.3)
    twilio.fail(hang=True)
    slow = "Twilio could not be reached. There was no complete answer within 1 second."
    assert verify_key(api_key).message == slow
    assert verify_resource(chat_service).message == slow
    with pytest.raises(ListingFailed, match="no complete answer"):
        listed(ChatService, api_key.account)


def test_when_the_time_is_over_no_other_host_is_asked(
    twilio: TwilioServer, known: Key, api_key: APIKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "CHECK_SECONDS", 0.3)
    known.secret = new_secret()
    twilio.fail(host=IE1, endless=b" ", pause=0.1)
    finding = verify_key(api_key)
    assert (finding.outcome, finding.field) == (Outcome.REFUSED, "secret")
    assert twilio.hosts == [API, IE1]


# Services, apps and push credentials


@pytest.fixture
def resources(
    twilio: TwilioServer,
    known: Key,
    chat_service: ChatService,
    twiml_app: TwiMLApp,
    push_credential: PushCredential,
    make: Callable[..., Any],
) -> list[Any]:
    """One of each, and Twilio has them."""
    of_account = (sid("AC"), "Support “chat”")
    twilio.services[sid("IS")] = twilio.sync_services[sid("IS")] = of_account
    twilio.apps[sid("AP")] = twilio.workspaces[sid("WS")] = of_account
    twilio.credentials[sid("CR")] = (*of_account, "apn", "False")
    others = [make(SyncService, "0"), make(Workspace, "0")]
    return [chat_service, twiml_app, push_credential, *others]


def test_what_the_account_has_is_verified_with_its_name(
    twilio: TwilioServer, resources: list[Any]
) -> None:
    for resource in resources:
        assert verify_resource(resource) == Finding(
            Outcome.VERIFIED, "Twilio knows it as “Support “chat””."
        )
    assert [(request.host, request.path) for request in twilio.requests] == [
        (CONVERSATIONS, f"/v1/Services/{sid('IS')}"),
        (API, f"/2010-04-01/Accounts/{sid('AC')}/Applications/{sid('AP')}.json"),
        (CONVERSATIONS, f"/v1/Credentials/{sid('CR')}"),
        (SYNC, f"/v1/Services/{sid('IS')}"),
        (TASKROUTER, f"/v1/Workspaces/{sid('WS')}"),
    ]


def test_a_kind_of_a_sites_own_is_checked_where_the_site_says(
    twilio: TwilioServer, known: Key, account: Account
) -> None:
    invited = InvitedService.objects.create(account=account, name="invited", sid=sid("IS"))
    assert verify_resource(invited).code == 20404
    twilio.services[sid("IS")] = (sid("AC"), "Invited")
    assert verify_resource(invited).message == "Twilio knows it as “Invited”."
    assert listed(InvitedService, account) == [Listed(sid("IS"), "Invited")]


def test_without_an_address_twilio_is_not_asked(
    twilio: TwilioServer, known: Key, account: Account
) -> None:
    with pytest.raises(NotConfigured) as caught:
        verify_resource(Stage(account=account, name="main", sid=sid("VL")))
    assert caught.value.reason == "This cannot be checked with Twilio: stage."
    assert twilio.requests == []


def test_what_has_no_name_at_twilio_is_verified_with_its_sid(
    twilio: TwilioServer, resources: list[Any]
) -> None:
    twilio.services[sid("IS")] = (sid("AC"), None)
    assert verify_resource(resources[0]).message == f"Twilio knows it as “{sid('IS')}”."


def test_what_the_account_has_not_is_refused(twilio: TwilioServer, resources: list[Any]) -> None:
    for rows in (twilio.services, twilio.apps, twilio.credentials, twilio.sync_services):
        rows.clear()
    twilio.workspaces.clear()
    kinds = ["Chat service", "TwiML App", "push credential", "Sync service", "TaskRouter workspace"]
    for resource, kind in zip(resources, kinds, strict=True):
        assert verify_resource(resource) == Finding(
            Outcome.REFUSED,
            f"Account {sid('AC')} has no {kind} with this SID in region US1. Was it deleted, or "
            "copied from another account or product? (Twilio error 20404)",
            20404,
            "sid",
        )


def test_what_belongs_to_another_account_is_refused(
    twilio: TwilioServer, known: Key, resources: list[Any]
) -> None:
    """Its key is of that account too, and the hosts of products ask for no account."""
    theirs = known.account = sid("AC", "b")
    twilio.services[sid("IS")] = (theirs, "Theirs")
    twilio.credentials[sid("CR")] = (theirs, "Theirs", "apn")
    service, app, credential = map(verify_resource, resources[:3])
    message = f"This belongs to another account, {theirs}."
    assert service == credential == Finding(Outcome.REFUSED, message, field="account")
    assert (app.outcome, app.code, app.field) == (Outcome.REFUSED, 20003, "account")


@pytest.mark.parametrize(
    ("told", "field", "message"),
    [
        (("fcm", "False"), "platform", "At Twilio, “platform” is “fcm”."),
        (("windows", "False"), "platform", "At Twilio, “platform” is “windows”."),
        (("apn", "True"), "sandbox", "At Twilio, “sandbox” is “yes”."),
    ],
)
def test_a_push_credential_for_another_platform_or_sandbox_is_refused(
    told: tuple[str, ...], field: str, message: str, twilio: TwilioServer, resources: list[Any]
) -> None:
    twilio.credentials[sid("CR")] = (sid("AC"), "Push", *told)
    assert verify_resource(resources[2]) == Finding(Outcome.REFUSED, message, field=field)


def test_a_push_credential_of_apples_sandbox_is_told_from_one_that_is_not(
    twilio: TwilioServer, resources: list[Any]
) -> None:
    credential = resources[2]
    credential.sandbox = True
    assert verify_resource(credential).message == "At Twilio, “sandbox” is “no”."
    twilio.credentials[sid("CR")] = (sid("AC"), "Push", "apn", "True")
    assert verify_resource(credential).outcome == Outcome.VERIFIED


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_not_blamed_on_the_resource(
    status: int, twilio: TwilioServer, resources: list[Any]
) -> None:
    twilio.fail(status)
    for resource in resources:
        finding = verify_resource(resource)
        assert finding.message.startswith(
            "Twilio rejects the account's API key, so this was not checked. Check the key."
        )
        assert (finding.outcome, finding.field) == (Outcome.REFUSED, "account")


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 429},
        {"status": 404, "body": HTML},
        {"body": HTML},
        {"body": {"sid": sid("IS")}},
        {"body": {"sid": sid("IS"), "account_sid": None}},
        {"body": {"sid": sid("IS", "7"), "account_sid": sid("AC")}},
        {"body": {"sid": 5, "account_sid": ["AC"], "type": {}, "friendly_name": 5}},
        {"reset": True},
    ],
)
def test_without_a_usable_answer_nothing_is_said_of_a_resource(
    fault: dict[str, Any], twilio: TwilioServer, resources: list[Any]
) -> None:
    twilio.fail(**fault)
    assert verify_resource(resources[0]).outcome == Outcome.UNREACHABLE


def test_what_no_database_stores_is_told_in_plain_characters_in_a_finding(
    twilio: TwilioServer, resources: list[Any]
) -> None:
    service = resources[0]
    twilio.services[service.sid] = (sid("AC"), "a\x00b\ud800c\n😀")
    finding = verify_resource(service)
    service.record_check(finding.outcome, finding.message, finding.code)
    service.refresh_from_db()
    assert service.check_message == r"Twilio knows it as “a\x00b\ud800c\n😀”."


def test_a_resource_is_looked_up_with_the_newest_active_key(
    twilio: TwilioServer, resources: list[Any], api_key: APIKey
) -> None:
    secret = new_secret()
    newer = add_key(api_key.account, secret=secret)
    retired = add_key(api_key.account, is_active=False)
    twilio.keys |= {newer.sid: Key(secret, sid("AC")), retired.sid: Key("", sid("AC"))}
    assert verify_resource(resources[0]).outcome == Outcome.VERIFIED
    signed_in = b64encode(f"{newer.sid}:{secret}".encode()).decode()
    assert [request.authorization for request in twilio.requests] == [f"Basic {signed_in}"]


@pytest.mark.django_db(transaction=True)
def test_a_secret_that_another_process_has_just_replaced_is_not_remembered(
    twilio: TwilioServer, resources: list[Any], api_key: APIKey
) -> None:
    remembered = Credentials(None).signing_key(api_key.account)
    assert Credentials(None).signing_key(api_key.account) is remembered
    twilio.keys[api_key.sid].secret = replaced = new_secret()
    sealed = seal(replaced, ring=load_key_ring(), row=api_key.id, sid=api_key.sid)
    APIKey.objects.update(secret=sealed)
    assert Credentials(None).signing_key(api_key.account) is remembered
    assert verify_resource(resources[0]).outcome == Outcome.VERIFIED


ASK = [verify_resource, lambda row: listed(ChatService, row.account)]


@pytest.mark.parametrize("ask", ASK)
def test_without_an_active_key_twilio_is_not_asked(
    ask: Callable[[Any], Any], twilio: TwilioServer, resources: list[Any]
) -> None:
    APIKey.objects.update(is_active=False)
    with pytest.raises(NotConfigured) as caught:
        ask(resources[0])
    assert (
        caught.value.reason
        == f"Account {sid('AC')} has no active API key. Add or activate one in the admin."
    )
    assert twilio.requests == []


@pytest.mark.parametrize("ask", ASK)
def test_without_a_readable_secret_twilio_is_not_asked(
    ask: Callable[[Any], Any],
    twilio: TwilioServer,
    resources: list[Any],
    api_key: APIKey,
    settings: Any,
) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = []
    for call in (lambda: ask(resources[0]), lambda: verify_key(api_key)):
        with pytest.raises(SecretUnavailable):
            call()
    assert twilio.requests == []


# Listings

SERVICES = "services"
APPLICATIONS = "applications"
LISTINGS = {SERVICES: ChatService, APPLICATIONS: TwiMLApp}

#: Where Twilio's own library finds each kind.
LIBRARY: dict[Any, Callable[[Client], Any]] = {
    ChatService: lambda client: client.conversations.v1.services,
    TwiMLApp: lambda client: client.api.v2010.account.applications,
    PushCredential: lambda client: client.conversations.v1.credentials,
    SyncService: lambda client: client.sync.v1.services,
    Workspace: lambda client: client.taskrouter.v1.workspaces,
}


@pytest.mark.parametrize("kind", LIBRARY)
def test_each_kind_is_listed_and_checked_where_twilios_library_finds_it(
    kind: Any, twilio: TwilioServer, resources: list[Any], secret: str, account: Account
) -> None:
    client = Client(sid("SK"), secret, sid("AC"), http_client=twilio.http_client())
    resource = next(each for each in resources if type(each) is kind)
    [theirs] = LIBRARY[kind](client).list()
    assert LIBRARY[kind](client)(resource.sid).fetch().sid == theirs.sid
    [ours] = listed(kind, account)
    verify_resource(resource)
    assert (ours.sid, ours.friendly_name) == (theirs.sid, theirs.friendly_name)
    asked = [(request.host, request.path) for request in twilio.requests]
    assert asked[:2] == asked[2:]


def test_what_twilio_tells_of_a_push_credential_is_listed(
    twilio: TwilioServer, known: Key, account: Account
) -> None:
    twilio.credentials[sid("CR")] = (sid("AC"), "Development", "apn", "True")
    twilio.credentials[sid("CR", "1")] = (sid("AC"), "Phones", "fcm", "False")
    assert listed(PushCredential, account) == [
        Listed(sid("CR"), "Development", {"platform": "apn", "sandbox": True}),
        Listed(sid("CR", "1"), "Phones", {"platform": "fcm"}),
    ]


def test_what_one_product_does_not_tell_does_not_stop_the_others(
    twilio: TwilioServer, resources: list[Any], account: Account
) -> None:
    twilio.fail(403, host=TASKROUTER)
    found, failed = list_resources(account, [Workspace, SyncService])
    assert found == {SyncService: [Listed(sid("IS"), "Support “chat”")]}
    assert failed == {
        Workspace: "Twilio rejects the account's API key. Check the key. (Twilio error 20403)"
    }
    twilio.fail(500)
    with pytest.raises(ListingFailed, match="cannot answer right now"):
        list_resources(account, [Workspace, SyncService])


@pytest.mark.parametrize(
    ("count", "pages"), [(0, (1, 1)), (1, (1, 1)), (100, (1, 1)), (101, (2, 1)), (2001, (21, 3))]
)
def test_all_pages_are_listed(
    count: int, pages: tuple[int, int], twilio: TwilioServer, known: Key, account: Account
) -> None:
    twilio.services = {each: (sid("AC"), f"Chat {each}") for each in sids("IS", count)}
    twilio.apps = {each: (sid("AC"), f"App {each}") for each in sids("AP", count)}
    twilio.services[sid("IS", "f")] = twilio.apps[sid("AP", "f")] = (sid("AC", "b"), "Theirs")
    assert listed(ChatService, account) == [Listed(x, f"Chat {x}") for x in sids("IS", count)]
    assert listed(TwiMLApp, account) == [Listed(x, f"App {x}") for x in sids("AP", count)]
    assert (twilio.hosts.count(CONVERSATIONS), twilio.hosts.count(API)) == pages
    assert {request.query["PageSize"] for request in twilio.requests} == {"100", "1000"}


def test_a_listing_starts_where_it_should(
    twilio: TwilioServer, known: Key, account: Account
) -> None:
    listed(ChatService, account)
    listed(TwiMLApp, account)
    assert [(request.host, request.path) for request in twilio.requests] == [
        (CONVERSATIONS, "/v1/Services"),
        (API, f"/2010-04-01/Accounts/{sid('AC')}/Applications.json"),
    ]


def test_what_has_no_name_is_listed_with_an_empty_one(
    twilio: TwilioServer, known: Key, account: Account
) -> None:
    twilio.services = {sid("IS"): (sid("AC"), None), sid("IS", "1"): (sid("AC"), "a\x00\ud800b")}
    assert listed(ChatService, account) == [
        Listed(sid("IS"), ""),
        Listed(sid("IS", "1"), r"a\x00\ud800b"),
    ]


def item(prefix: str = "IS", **fields: Any) -> dict[str, Any]:
    return {"sid": sid(prefix), "account_sid": sid("AC"), "friendly_name": "x", **fields}


def test_what_moves_to_the_next_page_meanwhile_is_listed_once(
    twilio: TwilioServer, known: Key, account: Account
) -> None:
    url = f"https://{CONVERSATIONS}/v1/Services?Page=1"
    twilio.services[sid("IS")] = (sid("AC"), "x")
    twilio.fail(body={SERVICES: [item()], "meta": {"next_page_url": url}}, times=1)
    assert listed(ChatService, account) == [Listed(sid("IS"), "x")]
    assert len(twilio.requests) == 2


@pytest.mark.parametrize("name", LISTINGS)
def test_what_belongs_to_another_account_is_not_listed(
    name: str, twilio: TwilioServer, known: Key, account: Account
) -> None:
    theirs = sid("AC", "b")
    twilio.fail(body={name: [item(), item(sid=sid("IS", "1"), account_sid=theirs)]})
    with pytest.raises(ListingFailed, match=f"key belongs to another account, {theirs}"):
        listed(LISTINGS[name], account)


NOT_UNDERSTOOD = "Twilio's list has an unexpected format."
FAILURES: list[tuple[dict[str, Any], str]] = [
    (
        {"status": 401},
        "Twilio rejects the account's API key. Check the key. (Twilio error 20003)",
    ),
    (
        {"status": 403},
        "Twilio rejects the account's API key. Check the key. (Twilio error 20403)",
    ),
    ({"status": 404}, "Twilio's answer (HTTP 404) has an unexpected format."),
    ({"status": 500}, "Twilio cannot answer right now (HTTP 500). Try again later."),
    ({"status": 429}, "Twilio is limiting requests right now. Try again later."),
    (
        {"body": HTML},
        "The answer (HTTP 200) did not come from Twilio's API. Is there a proxy or a firewall in "
        "between?",
    ),
    ({"reset": True}, "Twilio could not be reached. The request failed: ConnectionError."),
    ({"body": {"items": []}}, NOT_UNDERSTOOD),
    ({"body": {SERVICES: {}, APPLICATIONS: {}}}, NOT_UNDERSTOOD),
    ({"body": {SERVICES: ["x"], APPLICATIONS: [[]]}}, NOT_UNDERSTOOD),
    *(
        ({"body": {SERVICES: [each], APPLICATIONS: [each]}}, NOT_UNDERSTOOD)
        for each in (item(sid=None), item(sid=7), item(account_sid=None), {}, None, 5)
    ),
]


@pytest.mark.parametrize("name", LISTINGS)
@pytest.mark.parametrize(("fault", "message"), FAILURES)
def test_a_listing_that_fails_says_why(
    fault: dict[str, Any],
    message: str,
    name: str,
    twilio: TwilioServer,
    known: Key,
    account: Account,
) -> None:
    twilio.fail(**fault)
    with pytest.raises(ListingFailed) as caught:
        listed(LISTINGS[name], account)
    assert caught.value.message == message


@pytest.mark.parametrize("name", LISTINGS)
def test_a_later_page_that_fails_fails_the_listing(
    name: str, twilio: TwilioServer, known: Key, account: Account
) -> None:
    following = f"/v1/Services?Page=1&{'x' * 20}"
    body = {name: [item()], "next_page_uri": following, "meta": {"next_page_url": following}}
    twilio.fail(body=body, times=1)
    twilio.keys.clear()
    with pytest.raises(ListingFailed, match="20003"):
        listed(LISTINGS[name], account)


@pytest.mark.parametrize("name", LISTINGS)
def test_a_list_that_does_not_end_fails_the_listing(
    name: str, twilio: TwilioServer, known: Key, account: Account
) -> None:
    twilio.is_endless = True
    with pytest.raises(ListingFailed, match="does not end"):
        listed(LISTINGS[name], account)


# The secret


def everything(twilio: TwilioServer, api_key: APIKey, service: Any) -> Iterator[str]:
    """What the checks say, in each of the cases above."""
    known = twilio.keys[api_key.sid]
    faults = [{}, *(fault for fault, *_ in UNREACHABLE.values()), *(fault for fault, _ in FAILURES)]
    for secret in (known.secret, new_secret()):
        known.secret = secret
        for fault in faults:
            twilio.fail(**fault) if fault else twilio.recover()
            yield repr(verify_key(api_key))
            yield repr(verify_resource(service))
            try:
                yield repr(listed(ChatService, service.account))
            except ListingFailed as failure:
                yield error_report(failure)


def test_the_secret_is_in_no_finding_no_log_record_and_no_frame(
    twilio: TwilioServer,
    resources: list[Any],
    api_key: APIKey,
    secret: str,
    caplog: pytest.LogCaptureFixture,
    settings: Any,
) -> None:
    for name in ("", *logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, name)
    text = "\n".join(everything(twilio, api_key, resources[0]))
    text += "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert {"twilio.http_client", "urllib3.connectionpool"} <= {
        each.name for each in caplog.records
    }
    for form in (secret, b64encode(f"{api_key.sid}:{secret}".encode()).decode()):
        assert form not in text


def test_a_database_that_fails_shows_no_secret_in_its_frames(
    twilio: TwilioServer, known: Key, api_key: APIKey, secret: str
) -> None:
    def fail(execute: Any, sql: str, *args: Any) -> Any:
        raise DatabaseError("gone")

    key = APIKey.objects.get()  # its account is read when it is needed
    with connection.execute_wrapper(fail), pytest.raises(DatabaseError) as caught:
        verify_key(key)
    assert secret not in error_report(caught.value)


def test_a_shared_http_client_does_not_keep_the_secret(
    twilio: TwilioServer, known: Key, api_key: APIKey, secret: str, settings: Any
) -> None:
    shared = twilio.http_client(timeout=0.1)
    settings.TWILIO_TOKENS_HTTP_CLIENT = lambda: shared
    verify_key(api_key)
    twilio.fail(hang=True)
    verify_key(api_key)
    assert len(twilio.timeouts) == 2
    parts = [shared, *(each for each in vars(shared).values() if hasattr(each, "__dict__"))]
    assert shared.session in parts
    assert not any(secret in str(vars(each)) for each in parts if each is not twilio)
