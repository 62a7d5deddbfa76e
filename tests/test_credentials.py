from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from django.contrib.auth.models import Group, User
from django.core import serializers
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from tests.databases import disconnect
from tests.rows import add_key, new_secret, sid
from tests.site.grants import Live
from tests.site.models import (
    BilledKey,
    BilledService,
    Invitation,
    InvitedService,
    OwnKey,
    Stage,
)
from twilio_tokens.credential_cache import CACHE_SIZE, CredentialCache, cache
from twilio_tokens.credentials import Credentials
from twilio_tokens.exceptions import NotConfigured, TwilioTokensError
from twilio_tokens.grants import Chat, Grant
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import NEWEST_FIRST, Account, APIKey, ChatService

committing = pytest.mark.django_db(transaction=True)


# What serves a user


def test_the_newest_active_key_signs_and_deactivating_it_rolls_back(
    api_key: APIKey, user: User
) -> None:
    account = api_key.account
    newer = add_key(account)
    assert Credentials(user).signing_key(account) == newer
    newer.is_active = False
    newer.save()
    assert Credentials(user).signing_key(account) == api_key


@pytest.mark.parametrize(
    "name", ["Support", "SUPPORT", "suppört", "support ", "", "\x00", "a" * 51]
)
def test_a_name_is_found_exactly_as_it_is_written(
    chat_service: ChatService, user: User, name: str
) -> None:
    assert Credentials(user).find(ChatService, "support") == chat_service
    assert Credentials(user).find(ChatService, name) is None


@pytest.fixture
def staff_only(account: Account) -> ChatService:
    service = ChatService.objects.create(account=account, name="backstage", sid=sid("IS", "1"))
    service.groups.set([Group.objects.create(name="staff"), Group.objects.create(name="crew")])
    return service


def test_a_restricted_resource_is_there_for_members_of_any_of_its_groups(
    staff_only: ChatService, chat_service: ChatService, user: User
) -> None:
    superuser = User.objects.create_superuser("root")
    user.groups.set(Group.objects.filter(name="crew"))
    assert Credentials(user).find(ChatService, "backstage") == staff_only
    assert [*Credentials(user).named(ChatService)] == ["backstage", "support"]
    assert Credentials(superuser).find(ChatService, "backstage") is None
    assert [*Credentials(superuser).named(ChatService)] == ["support"]
    user.groups.set(Group.objects.all())
    assert [*Credentials(user).named(ChatService)] == ["backstage", "support"]


def test_a_user_without_groups_is_a_member_of_none(
    staff_only: ChatService, chat_service: ChatService
) -> None:
    class UserOfAnIdentityProvider:
        pk = 5

    assert [*Credentials(UserOfAnIdentityProvider()).named(ChatService)] == ["support"]


def test_a_default_that_is_restricted_is_told_apart_from_none(
    staff_only: ChatService, account: Account, user: User
) -> None:
    assert Credentials(user).default(ChatService, account) == (None, False)
    staff_only.is_default = True
    staff_only.save()
    assert Credentials(user).default(ChatService, account) == (staff_only, False)
    user.groups.set(Group.objects.all())
    assert Credentials(user).default(ChatService, account) == (staff_only, True)


def test_a_tenant_knows_the_names_of_its_own_account_only(
    chat_service: ChatService, user: User, settings: Any
) -> None:
    other = Account.objects.create(name="Other", sid=sid("AC", "1"))
    ChatService.objects.create(account=other, name="theirs", sid=sid("IS", "1"))
    assert [*Credentials(user).named(ChatService)] == ["support", "theirs"]
    settings.TWILIO_TOKENS_ACCOUNT = lambda user: other
    tenant = Credentials(user)
    assert [*tenant.named(ChatService)] == ["theirs"]
    assert tenant.find(ChatService, "theirs") is not None
    assert tenant.find(ChatService, "support") is None


@pytest.mark.parametrize("answer", [None, "AC", Account(name="Unsaved", sid=sid("AC"))])
def test_a_tenant_needs_a_saved_account(user: User, settings: Any, answer: object) -> None:
    settings.TWILIO_TOKENS_ACCOUNT = lambda user: answer
    with pytest.raises(NotConfigured):
        Credentials(user).tenant  # noqa: B018


# What the cache saves


@pytest.fixture
def token_api(user: User) -> APIClient:
    """Authenticated with one statement."""
    token = Token.objects.create(user=user)
    return APIClient(headers={"authorization": f"Token {token.key}"})


def statements(request: Callable[[], Any]) -> list[str]:
    """The SQL of a request above that of its authentication."""
    assert request().status_code == 201, "warming up"
    with CaptureQueriesContext(connection) as captured:
        assert request().status_code == 201
    return [each["sql"] for each in captured if "authtoken_token" not in each["sql"]]


@committing
@pytest.mark.usefixtures("api_key", "chat_service", "twiml_app", "push_credential")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("video/", {"room": "DailyStandup"}),
        ("chat/", {}),
        ("chat/", {"service": "support", "push_credential": "ios"}),
        ("voice/", {"app": "phone"}),
        ("", {"video": {}, "chat": {}, "voice": {}}),
    ],
)
def test_a_warm_request_makes_no_statement_but_the_audit_record(
    token_api: APIClient, settings: Any, path: str, body: dict[str, Any]
) -> None:
    def request() -> Any:
        return token_api.post(f"/twilio/tokens/{path}", body, format="json")

    (record,) = statements(request)
    assert record.startswith("INSERT INTO")
    assert "issuedtoken" in record
    settings.TWILIO_TOKENS_AUDIT = False
    assert statements(request) == []


# How fresh it is


def serves(user: User, grant: Grant = Chat()) -> Any:  # noqa: B008 - it is frozen
    """The SIDs in the token, or the code of the error. Warm, it makes no statement."""
    try:
        issued = issue_access_token(user=user, grants=[grant])
    except TwilioTokensError as error:
        return error.code
    claims = jwt.decode(issued.token, options={"verify_signature": False})
    (granted,) = issued.grants.values()
    return claims["sub"], claims["iss"], (granted.get("service_sid") or granted["stage"])


FIRST = (sid("AC"), sid("SK"), sid("IS"))


@pytest.fixture
def warm(
    transactional_db: None, settings: Any, api_key: APIKey, chat_service: ChatService, user: User
) -> ChatService:
    """The default service, in memory with all that issuing needs."""
    settings.TWILIO_TOKENS_AUDIT = False
    Group.objects.create(name="existing")
    assert serves(user) == FIRST
    return chat_service


def add_newer_key(service: ChatService) -> None:
    add_key(service.account)


def deactivate_key(service: ChatService) -> None:
    key = APIKey.objects.get()
    key.is_active = False
    key.save()


def delete_key(service: ChatService) -> None:
    APIKey.objects.get().delete()


def add_default_account(service: ChatService) -> None:
    Account.objects.create(name="Other", sid=sid("AC", "1"), is_default=True)


def add_default_service(service: ChatService) -> None:
    ChatService.objects.create(
        account=service.account, name="other", sid=sid("IS", "1"), is_default=True
    )


def change_service(service: ChatService) -> None:
    service.sid = sid("IS", "2")
    service.save()


def delete_service(service: ChatService) -> None:
    ChatService.objects.get().delete()


def restrict_service(service: ChatService) -> None:
    service.groups.add(Group.objects.get(name="existing"))


def deactivate_key_by_its_proxy(service: ChatService) -> None:
    key = OwnKey.objects.get()
    key.is_active = False
    key.save()


def delete_key_by_its_proxy(service: ChatService) -> None:
    OwnKey.objects.get().delete()


def add_newer_key_of_a_child_model(service: ChatService) -> None:
    values = {"name": "Billed", "sid": sid("SK", "1"), "region": "us1", "secret": new_secret()}
    BilledKey.objects.create(account=service.account, cost_centre="1", **values)


def add_default_service_of_a_child_model(service: ChatService) -> None:
    BilledService.objects.create(
        account=service.account, name="billed", sid=sid("IS", "1"), is_default=True, cost_centre="1"
    )


def load_a_fixture(service: ChatService) -> None:
    service.sid = sid("IS", "2")
    (row,) = serializers.deserialize("json", serializers.serialize("json", [service]))
    row.save()


changes = pytest.mark.parametrize(
    ("change", "then"),
    [
        (add_newer_key, (sid("AC"), sid("SK", "1"), sid("IS"))),
        (deactivate_key, "not_configured"),
        (delete_key, "not_configured"),
        (add_default_account, "not_configured"),
        (add_default_service, (sid("AC"), sid("SK"), sid("IS", "1"))),
        (change_service, (sid("AC"), sid("SK"), sid("IS", "2"))),
        (delete_service, "not_configured"),
        (restrict_service, "does_not_exist"),
        (deactivate_key_by_its_proxy, "not_configured"),
        (delete_key_by_its_proxy, "not_configured"),
        (add_newer_key_of_a_child_model, (sid("AC"), sid("SK", "1"), sid("IS"))),
        (add_default_service_of_a_child_model, (sid("AC"), sid("SK"), sid("IS", "1"))),
        (load_a_fixture, (sid("AC"), sid("SK"), sid("IS", "2"))),
    ],
)


@changes
def test_a_committed_change_is_seen_at_once_by_its_process(
    warm: ChatService, user: User, change: Callable[[ChatService], None], then: Any
) -> None:
    change(warm)
    assert serves(user) == then


def in_another_thread(call: Callable[[], Any]) -> Any:
    def call_and_disconnect() -> Any:
        try:
            return call()
        finally:
            disconnect()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call_and_disconnect).result()


@changes
def test_before_its_commit_a_change_is_seen_by_its_transaction_only(
    warm: ChatService, user: User, change: Callable[[ChatService], None], then: Any
) -> None:
    with transaction.atomic():
        change(warm)
        assert serves(user) == then
        assert in_another_thread(lambda: serves(user)) == FIRST
    assert in_another_thread(lambda: serves(user)) == then


@changes
def test_nothing_stays_of_a_change_that_is_rolled_back(
    warm: ChatService, user: User, change: Callable[[ChatService], None], then: Any
) -> None:
    with transaction.atomic():
        change(warm)
        assert serves(user) == then
        transaction.set_rollback(True)
    assert serves(user) == FIRST


def test_nothing_stays_of_a_change_whose_savepoint_is_rolled_back(
    warm: ChatService, user: User
) -> None:
    with transaction.atomic():
        with transaction.atomic():
            change_service(warm)
            assert serves(user) != FIRST
            transaction.set_rollback(True)
        assert serves(user) == FIRST


def test_the_resources_of_a_sites_own_grant_are_remembered_as_well(
    warm: ChatService, user: User
) -> None:
    stage = Stage.objects.create(account=warm.account, name="docs", sid=sid("VL", "3"))
    assert serves(user, Live("docs")) == (sid("AC"), sid("SK"), sid("VL", "3"))
    with CaptureQueriesContext(connection) as captured:
        serves(user, Live("docs"))
    assert not captured.captured_queries
    stage.groups.add(Group.objects.create(name="staff"))
    assert serves(user, Live("docs")) == "does_not_exist"


def test_a_service_that_is_opened_is_there_at_once(warm: ChatService, user: User) -> None:
    staff = Group.objects.create(name="staff")
    warm.groups.add(staff)
    assert serves(user) == "does_not_exist"
    staff.delete()
    assert serves(user) == "does_not_exist"
    warm.open_to_everyone()
    assert serves(user) == FIRST


def test_a_sites_own_way_of_letting_groups_in_is_seen_at_once(
    warm: ChatService, user: User
) -> None:
    service = InvitedService.objects.create(
        account=warm.account, name="backstage", sid=sid("IS", "3")
    )
    assert Credentials(user).find(InvitedService, "backstage") == service
    staff = Group.objects.create(name="staff")
    invitation = Invitation.objects.create(service=service, group=staff)
    assert Credentials(user).find(InvitedService, "backstage") is None
    invitation.delete()
    assert Credentials(user).find(InvitedService, "backstage") == service


def test_what_sends_no_signal_is_seen_when_the_cache_is_cleared(
    warm: ChatService, user: User
) -> None:
    ChatService.objects.update(sid=sid("IS", "2"))
    cache.clear()
    assert serves(user) == (sid("AC"), sid("SK"), sid("IS", "2"))


def test_memberships_are_asked_for_in_each_request(warm: ChatService, user: User) -> None:
    staff = Group.objects.create(name="staff")
    warm.groups.add(staff)
    assert serves(user) == "does_not_exist"
    user.groups.add(staff)
    assert serves(user) == FIRST
    user.groups.clear()
    assert serves(user) == "does_not_exist"


def test_a_change_by_another_process_is_seen_within_the_setting(
    warm: ChatService, user: User, settings: Any
) -> None:
    ChatService.objects.update(sid=sid("IS", "2"))  # sends no signal, as if from elsewhere
    assert serves(user) == FIRST
    settings.TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS = 0.01
    time.sleep(0.02)
    assert serves(user) == (sid("AC"), sid("SK"), sid("IS", "2"))


def test_the_cache_holds_no_plaintext(warm: ChatService, secret: str) -> None:
    held = pickle.dumps(cache._entries)
    assert sid("SK").encode() in held
    assert secret.encode() not in held


def test_the_cache_can_be_turned_off(warm: ChatService, user: User, settings: Any) -> None:
    settings.TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS = 0
    ChatService.objects.update(sid=sid("IS", "2"))
    assert serves(user) == (sid("AC"), sid("SK"), sid("IS", "2"))


# The cache by itself


class Source:
    """Counts how often it is asked."""

    def __init__(self, value: object = "value") -> None:
        self.value = value
        self.loads = 0

    def __call__(self) -> object:
        self.loads += 1
        return self.value


@pytest.mark.parametrize(
    ("seconds", "value", "loads"), [(15, "value", 1), (0, "value", 2), (15, None, 2)]
)
def test_a_value_is_loaded_once_unless_it_may_have_no_age_or_is_none(
    seconds: int, value: object, loads: int
) -> None:
    own, source = CredentialCache(), Source(value)
    assert [own.get("key", source, seconds=seconds) for _ in range(2)] == [value, value]
    assert source.loads == loads


def test_what_was_loaded_while_another_thread_committed_is_not_kept() -> None:
    own, source = CredentialCache(), Source()

    def load_and_be_overtaken() -> object:
        value = source()
        in_another_thread(own.clear)
        return value

    assert own.get("key", load_and_be_overtaken, seconds=15) == "value"
    own.get("key", source, seconds=15)
    own.get("key", source, seconds=15)
    assert source.loads == 2


@committing
def test_what_a_transaction_reads_soon_after_a_commit_elsewhere_is_not_kept() -> None:
    own, source = CredentialCache(), Source("of before")
    with transaction.atomic():
        in_another_thread(own.clear)
        own.get("key", source, seconds=15)
    assert own.get("key", Source("of now"), seconds=15) == "of now"


def test_what_the_first_transaction_of_a_process_reads_is_kept(db: None) -> None:
    own, source = CredentialCache(), Source()
    with transaction.atomic():
        own.get("key", source, seconds=15)
        own.get("key", source, seconds=15)
    assert source.loads == 1


def test_an_entry_that_was_read_again_is_not_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twilio_tokens.credential_cache.CACHE_SIZE", 3)
    own, source = CredentialCache(), Source()
    for key in ("a", "b"):
        own.get(key, source, seconds=15)
    own.get("a", source, seconds=1e-9)
    for key in ("c", "d"):
        own.get(key, source, seconds=15)
    assert source.loads == 5
    own.get("a", source, seconds=15)
    assert source.loads == 5


def test_it_is_bounded_and_the_oldest_entry_leaves_first() -> None:
    own, source = CredentialCache(), Source()
    for key in range(CACHE_SIZE + 1):
        own.get(key, source, seconds=15)
    before = source.loads
    own.get(CACHE_SIZE, source, seconds=15)
    own.get(1, source, seconds=15)
    assert source.loads == before
    own.get(0, source, seconds=15)
    assert source.loads == before + 1


def test_many_threads_get_the_values_of_their_own_keys() -> None:
    own = CredentialCache()

    def read(number: int) -> bool:
        if number % 50 == 0:
            own.clear()
        key = number % 7
        return own.get(key, lambda: f"value {key}", seconds=15) == f"value {key}"

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(read, range(5_000)))


def test_of_many_threads_that_need_the_same_one_loads_it() -> None:
    own, source = CredentialCache(), Source()
    start = threading.Barrier(8)

    def load_slowly() -> object:
        time.sleep(0.05)  # for as long as the others need to come
        return source()

    def read(_: int) -> object:
        start.wait()
        return own.get("key", load_slowly, seconds=15)

    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(read, range(8))] == ["value"] * 8
    assert source.loads == 1


def test_who_waits_too_long_for_another_thread_loads_it_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("twilio_tokens.credential_cache.LONGEST_WAIT", 0.01)
    own, source = CredentialCache(), Source()

    def load_while_another_one_asks() -> object:
        return in_another_thread(lambda: own.get("key", source, seconds=15))

    assert own.get("key", load_while_another_one_asks, seconds=15) == "value"
    assert source.loads == 1


def test_a_load_that_fails_lets_the_next_one_try() -> None:
    own, source = CredentialCache(), Source()

    def fail() -> object:
        raise OperationalError("gone away")

    with pytest.raises(OperationalError):
        own.get("key", fail, seconds=15)
    assert own.get("key", source, seconds=15) == "value"


@committing
@pytest.mark.usefixtures("chat_service", "twiml_app")
def test_defaults_and_the_newest_key_are_found_by_an_index(api_key: APIKey) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("A planner that counts rows reads these few without an index.")
    account = api_key.account
    for rows in (
        Account.objects.filter(default_marker=1),
        ChatService.objects.filter(account_id=account.pk, default_marker=1),
        APIKey.objects.filter(account_id=account.pk, is_active=True).order_by(*NEWEST_FIRST)[:1],
    ):
        assert "USING INDEX" in rows.explain()
