"""The pages of API keys that ask Twilio, and the one that replaces a key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import urljoin
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, OperationalError, connection
from django.db.models.signals import pre_save
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from twilio_tokens.admin.keys import APIKeyAdmin
from twilio_tokens.crypto import generate_key, matches
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    IssuedToken,
    Outcome,
    PushCredential,
    TwiMLApp,
)
from twilio_tokens.verification import verify_credentials

from .console import errors, filled, messages, permit, url
from .issued import decoded
from .rows import add_key, new_secret, sid
from .twilio_server import Key, TwilioServer, running


@pytest.fixture
def twilio(settings: Any, account: Account) -> Iterator[TwilioServer]:
    """Twilio, with the account's key “SK1…” and nothing else."""
    with running(settings) as server:
        server.keys[sid("SK", "1")] = Key(new_secret(), account.sid)
        yield server


def typed(twilio: TwilioServer, **values: Any) -> dict[str, Any]:
    """The form of a new key as Twilio made it, the switch on."""
    secret = twilio.keys[sid("SK", "1")].secret
    return filled(APIKey, secret=secret, check_with_twilio="on", **values)


# Checking on save


def test_a_key_that_twilio_knows_is_saved_as_verified(
    twilio: TwilioServer, admin_client: Client
) -> None:
    response = admin_client.post(url(APIKey, "add"), typed(twilio), follow=True)
    key = APIKey.objects.get()
    assert key.check_outcome == Outcome.VERIFIED
    assert key.checked_at is not None
    assert messages(response)[0].startswith(
        "Twilio accepts this key for its account in region US1."
    )
    assert '<span class="twilio-badge twilio-good">verified</span>' in response.content.decode()


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"secret": "x" * 32}, "secret", "cut off"),
        ({"region": "ie1"}, "sid", "key is from region IE1"),
        ({"account": sid("AC", "9")}, "account", "belongs to another account, " + sid("AC", "9")),
        ({"refused_with": 403}, "sid", "Restricted key"),
    ],
)
def test_a_refusal_stands_beside_the_field_at_fault_and_nothing_is_saved(
    change: dict[str, Any], field: str, message: str, twilio: TwilioServer, admin_client: Client
) -> None:
    data = typed(twilio)
    for name, value in change.items():
        setattr(twilio.keys[sid("SK", "1")], name, value)
    response = admin_client.post(url(APIKey, "add"), data)
    assert message in " ".join(errors(response)[field])
    assert list(errors(response)) == [field]
    assert data["secret"] not in response.content.decode()
    assert not APIKey.objects.exists()


def test_twilio_is_not_asked_about_a_form_that_is_wrong_anyway(
    twilio: TwilioServer, admin_client: Client
) -> None:
    response = admin_client.post(url(APIKey, "add"), typed(twilio, region="ie1"))
    assert list(errors(response)) == ["region"]
    assert twilio.requests == []


@pytest.mark.parametrize("fault", [{"reset": True}, {"status": 503}, {"body": "<h1>Oops</h1>"}])
@pytest.mark.parametrize("page", ["add", "change", "replace"])
def test_a_secret_that_twilio_cannot_be_asked_about_is_saved_only_by_who_switches_the_check_off(
    page: str,
    fault: dict[str, Any],
    twilio: TwilioServer,
    api_key: APIKey,
    secret: str,
    user: User,
    admin_client: Client,
) -> None:
    address = url(APIKey, page, *([] if page == "add" else [api_key.pk]))
    twilio.fail(**fault)
    data = typed(twilio)
    response = admin_client.post(address, data)
    [message] = errors(response)["check_with_twilio"]
    assert "nothing was saved" in message
    assert "clear this box and enter the secret again" in message
    assert data["secret"] not in response.content.decode()
    stored = APIKey.objects.get()
    assert (stored.is_active, stored.checked_at) == (True, None)
    assert decoded(issue_access_token(user=user, grants=[Video()]).token, secret)

    del data["check_with_twilio"]
    assert admin_client.post(address, data).status_code == 302
    assert decoded(issue_access_token(user=user, grants=[Video()]).token, data["secret"])
    assert not APIKey.objects.exclude(checked_at=None).exists()


def test_a_stored_key_that_twilio_cannot_be_asked_about_may_be_retired(
    twilio: TwilioServer, api_key: APIKey, admin_client: Client
) -> None:
    twilio.fail(reset=True)
    data = {"name": "old", "secret": "", "check_with_twilio": "on"}
    response = admin_client.post(url(APIKey, "change", api_key.pk), data, follow=True)
    api_key.refresh_from_db()
    assert (api_key.is_active, api_key.check_outcome) == (False, Outcome.UNREACHABLE)
    assert api_key.check_message in messages(response)


@pytest.mark.parametrize("page", ["add", "change", "replace"])
@pytest.mark.django_db(transaction=True)
def test_twilio_is_asked_once_and_not_within_a_transaction(
    page: str, twilio: TwilioServer, api_key: APIKey, admin_client: Client, settings: Any
) -> None:
    twilio.keys[api_key.sid] = twilio.keys[sid("SK", "1")]
    asked_within: list[bool] = []

    def http_client() -> Any:
        asked_within.append(connection.in_atomic_block)
        return twilio.http_client()

    settings.TWILIO_TOKENS_HTTP_CLIENT = http_client
    address = url(APIKey, page, *([] if page == "add" else [api_key.pk]))
    admin_client.post(address, typed(twilio))
    assert APIKey.objects.filter(check_outcome=Outcome.VERIFIED).count() == 1
    assert asked_within == [False]


def test_twilio_is_not_asked_again_where_another_request_was_faster(
    twilio: TwilioServer, api_key: APIKey, admin_client: Client, monkeypatch: Any
) -> None:
    monkeypatch.setattr(APIKey, "validate_unique", lambda *args, **kwargs: None)
    add_key(api_key.account, sid=sid("SK", "1"))
    response = admin_client.post(url(APIKey, "add"), typed(twilio))
    assert errors(response) == {"sid": ["API key with this API key SID already exists."]}
    assert len(twilio.requests) == 1


DEADLOCK = OperationalError(1213, "Deadlock found when trying to get lock")


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """What saving a key raises, until there are no more."""
    record_check, faults = APIKey.record_check, [DEADLOCK]

    def fail(self: APIKey, *args: Any) -> None:
        if faults:
            raise faults.pop()
        record_check(self, *args)

    monkeypatch.setattr(APIKey, "record_check", fail)
    return faults


@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize("page", ["add", "change", "replace"])
def test_a_deadlock_is_tried_again_without_asking_twilio_again(
    page: str,
    times: int,
    twilio: TwilioServer,
    api_key: APIKey,
    admin_client: Client,
    faults: list[Exception],
) -> None:
    twilio.keys[api_key.sid] = twilio.keys[sid("SK", "1")]
    faults[:] = [DEADLOCK] * times
    address = url(APIKey, page, *([] if page == "add" else [api_key.pk]))
    assert admin_client.post(address, typed(twilio)).status_code == 302
    key = APIKey.objects.get(name="new")
    assert key.check_outcome == Outcome.VERIFIED
    assert LogEntry.objects.get(object_id=key.pk).is_addition() is (page != "change")
    assert len(twilio.requests) == 1


@pytest.mark.parametrize(
    ("error", "tries"), [(DEADLOCK, 5), (OperationalError("database is locked"), 2)]
)
def test_what_keeps_failing_is_tried_a_few_times_only(
    error: Exception,
    tries: int,
    twilio: TwilioServer,
    api_key: APIKey,
    admin_client: Client,
    faults: list[Exception],
) -> None:
    admin_client.raise_request_exception = False
    faults[:] = [error] * 10
    assert admin_client.post(url(APIKey, "add"), typed(twilio)).status_code >= 500
    assert len(faults) == 10 - tries
    assert not APIKey.objects.filter(name="new").exists()


def test_an_integrity_error_that_is_not_about_the_sid_is_not_hidden(
    api_key: APIKey, admin_client: Client
) -> None:
    def refuse(**kwargs: Any) -> None:
        raise IntegrityError("a constraint of the site's own")

    pre_save.connect(refuse, sender=APIKey)
    try:
        with pytest.raises(IntegrityError, match="own"):
            admin_client.post(url(APIKey, "change", api_key.pk), filled(APIKey))
    finally:
        pre_save.disconnect(refuse, sender=APIKey)


@pytest.mark.parametrize("button", ["_save", "_continue", "_addanother"])
@pytest.mark.parametrize("page", ["add", "change"])
def test_each_button_leads_where_it_does_in_the_whole_admin(
    page: str, button: str, api_key: APIKey, admin_client: Client
) -> None:
    data = filled(APIKey)
    del data["_save"]
    address = url(APIKey, page, *([] if page == "add" else [api_key.pk]))
    response = admin_client.post(address, {**data, button: "1"})
    key = APIKey.objects.get(name="new")
    assert (
        response.url
        == {
            "_save": url(APIKey, "changelist"),
            "_continue": url(APIKey, "change", key.pk),
            "_addanother": url(APIKey, "add"),
        }[button]
    )


def test_a_popup_that_is_shown_again_stays_one(account: Account, admin_client: Client) -> None:
    data = filled(APIKey, name="", _popup="1")
    page = admin_client.post(url(APIKey, "add") + "?_popup=1", data).content.decode()
    assert '<input type="hidden" name="_popup" value="1">' in page


class Tokens(admin.TabularInline):  # type: ignore[type-arg]
    model = IssuedToken
    fk_name = "api_key"
    extra = 0


def test_a_class_of_the_sites_own_with_inlines_checks_and_saves_too(
    twilio: TwilioServer, admin_client: Client, monkeypatch: Any
) -> None:
    monkeypatch.setattr(APIKeyAdmin, "inlines", [Tokens])
    forms = {"issued_tokens-TOTAL_FORMS": "0", "issued_tokens-INITIAL_FORMS": "0"}
    admin_client.post(url(APIKey, "add"), typed(twilio, **forms))
    assert APIKey.objects.get().check_outcome == Outcome.VERIFIED


def test_a_key_that_is_not_there_is_not_found_by_post_either(admin_client: Client) -> None:
    response = admin_client.post(url(APIKey, "change", uuid4()), filled(APIKey, account=1))
    assert response.url == "/admin/"


def test_with_the_switch_off_twilio_is_not_asked(
    twilio: TwilioServer, admin_client: Client
) -> None:
    data = typed(twilio)
    del data["check_with_twilio"]
    admin_client.post(url(APIKey, "add"), data)
    assert APIKey.objects.get().checked_at is None
    assert twilio.requests == []


def test_the_switch_is_on_at_first_and_the_site_may_take_it_out(
    account: Account, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = admin_client.get(url(APIKey, "add"))
    assert page.context["adminform"].form["check_with_twilio"].value() is True
    assert 'name="check_with_twilio"' in page.content.decode()
    monkeypatch.setattr(APIKeyAdmin, "check_on_save", False)
    assert 'name="check_with_twilio"' not in admin_client.get(url(APIKey, "add")).content.decode()


def test_a_stored_key_that_twilio_refuses_may_still_be_retired(
    twilio: TwilioServer, api_key: APIKey, admin_client: Client
) -> None:
    data = {"name": "old", "secret": "", "check_with_twilio": "on"}
    response = admin_client.post(url(APIKey, "change", api_key.pk), data, follow=True)
    api_key.refresh_from_db()
    assert (api_key.name, api_key.is_active) == ("old", False)
    assert api_key.check_outcome == Outcome.REFUSED
    assert api_key.check_message in messages(response)


def test_a_stored_key_whose_secret_is_unreadable_is_saved_unchecked(
    twilio: TwilioServer, api_key: APIKey, admin_client: Client, settings: Any
) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key()]
    data = {"name": "renamed", "secret": "", "check_with_twilio": "on"}
    assert admin_client.post(url(APIKey, "change", api_key.pk), data).status_code == 302
    api_key.refresh_from_db()
    assert (api_key.name, api_key.checked_at, twilio.requests) == ("renamed", None, [])


def test_a_new_secret_makes_the_old_check_forgotten(api_key: APIKey, admin_client: Client) -> None:
    api_key.record_check(Outcome.VERIFIED, "Fine.")
    data = {"name": "Key", "secret": new_secret(), "is_active": "on"}
    admin_client.post(url(APIKey, "change", api_key.pk), data)
    api_key.refresh_from_db()
    assert (api_key.checked_at, api_key.check_outcome, api_key.check_message) == (None, "", "")


@pytest.mark.parametrize(("value", "outcome"), [("2", ""), ("0", Outcome.VERIFIED)])
def test_another_sid_makes_the_old_check_of_a_service_forgotten(
    value: str, outcome: str, chat_service: ChatService, admin_client: Client
) -> None:
    chat_service.record_check(Outcome.VERIFIED, "Fine.")
    data = filled(ChatService, name="support", sid=sid("IS", value))
    admin_client.post(url(ChatService, "change", chat_service.pk), data)
    chat_service.refresh_from_db()
    assert chat_service.sid == sid("IS", value)
    assert chat_service.check_outcome == outcome


# Checking by action


def check(client: Client, *rows: Any) -> Any:
    data = {"action": "check_with_twilio", "_selected_action": [row.pk for row in rows]}
    return client.post(url(type(rows[0]), "changelist"), data, follow=True)


def test_keys_services_apps_and_push_credentials_are_checked_by_action(
    twilio: TwilioServer,
    api_key: APIKey,
    secret: str,
    chat_service: ChatService,
    twiml_app: TwiMLApp,
    push_credential: PushCredential,
    admin_client: Client,
) -> None:
    account = api_key.account.sid
    twilio.keys[api_key.sid] = Key(secret, account)
    twilio.services[chat_service.sid] = (account, "Support")
    twilio.apps[twiml_app.sid] = (account, "Phone")
    twilio.credentials[push_credential.sid] = (account, "iOS", "apn")
    for row in (api_key, chat_service, twiml_app, push_credential):
        response = check(admin_client, row)
        row.refresh_from_db()
        assert row.check_outcome == Outcome.VERIFIED
        caveat = (
            "This does not prove that the key can sign: a Restricted key can pass, too."
            if isinstance(row, APIKey)
            else ""
        )
        assert messages(response) == [f"Twilio confirmed 1 entry. {caveat}".rstrip()]
        shown = admin_client.get(url(type(row), "change", row.pk)).content.decode()
        assert bool(caveat) == ("does not prove that the key can sign" in shown)


def test_what_is_refused_is_said_row_by_row(
    twilio: TwilioServer, api_key: APIKey, secret: str, other: Account, admin_client: Client
) -> None:
    twilio.keys[api_key.sid] = Key(secret, api_key.account.sid)
    services = [
        ChatService.objects.create(account=api_key.account, name=name, sid=sid("IS", digit))
        for name, digit in (("good", "a"), ("gone", "b"))
    ]
    twilio.services[sid("IS", "a")] = (api_key.account.sid, "Good")
    # Its account has no key, so that Twilio cannot even be asked.
    theirs = ChatService.objects.get(name="theirs")
    response = check(admin_client, *services, theirs)
    confirmed, gone, no_key = sorted(messages(response))
    assert confirmed == "Twilio confirmed 1 entry."
    assert gone.startswith(f"gone: Account {api_key.account.sid} has no Chat service")
    assert (
        no_key
        == f"theirs: Account {other.sid} has no active API key. Add or activate one in the admin."
    )
    theirs.refresh_from_db()
    assert theirs.checked_at is None


def test_the_rest_is_left_when_twilio_is_unreachable(
    twilio: TwilioServer, api_key: APIKey, admin_client: Client
) -> None:
    twilio.fail(reset=True)
    keys = [api_key, add_key(api_key.account)]
    response = check(admin_client, *keys)
    assert "The remaining entries were not checked." in messages(response)
    assert APIKey.objects.filter(check_outcome=Outcome.UNREACHABLE).count() == 1


def test_checking_needs_its_own_permission(
    twilio: TwilioServer, api_key: APIKey, client: Client, user: User
) -> None:
    client.force_login(permit(user, "view_apikey", "change_apikey"))
    assert "check_with_twilio" not in client.get(url(APIKey, "changelist")).content.decode()
    page = client.get(url(APIKey, "change", api_key.pk)).content.decode()
    assert 'name="check_with_twilio"' not in page
    data = {"name": "Key", "secret": "", "is_active": "on", "check_with_twilio": "on"}
    client.post(url(APIKey, "change", api_key.pk), data)
    check(client, api_key)
    assert twilio.requests == []

    client.force_login(permit(user, "view_apikey", "verify_credentials"))
    check(client, api_key)
    assert twilio.requests != []


# Replacing a key


def test_replacing_a_key_makes_the_new_one_sign_and_retires_the_old(
    twilio: TwilioServer, api_key: APIKey, user: User, admin_client: Client
) -> None:
    data = typed(twilio, name="New key")
    page = url(APIKey, "replace", api_key.pk)
    assert page in admin_client.get(url(APIKey, "change", api_key.pk)).content.decode()
    assert "Replace API key Key" in admin_client.get(page).content.decode()
    response = admin_client.post(page, data, follow=True)

    new = APIKey.objects.get(name="New key")
    api_key.refresh_from_db()
    assert (new.account, new.is_active, new.check_outcome) == (api_key.account, True, "verified")
    assert not api_key.is_active
    assert api_key.retired_at is not None
    assert any("is now retired" in message for message in messages(response))
    token = issue_access_token(user=user, grants=[Video()]).token
    assert decoded(token, data["secret"])["iss"] == new.sid
    history = admin_client.get(url(APIKey, "history", api_key.pk)).content.decode()
    assert f"Replaced by New key ({new.sid})." in history


@pytest.mark.parametrize(
    "change", [{"secret": "short"}, {"sid": sid("AC")}, {"region": "au1"}, {"secret": "y" * 32}]
)
def test_a_refused_replacement_leaves_the_old_key_signing(
    change: dict[str, str], twilio: TwilioServer, api_key: APIKey, admin_client: Client
) -> None:
    page = url(APIKey, "replace", api_key.pk)
    response = admin_client.post(page, {**typed(twilio), **change})
    assert list(errors(response)) == list(change)
    assert [key.is_active for key in APIKey.objects.all()] == [True]


def test_replacing_needs_the_rights_to_add_and_to_change(
    api_key: APIKey, client: Client, user: User
) -> None:
    page = url(APIKey, "replace", api_key.pk)
    for codename in ("add_apikey", "change_apikey"):
        client.force_login(permit(user, "view_apikey", codename))
        assert page not in client.get(url(APIKey, "change", api_key.pk)).content.decode()
        assert client.get(page).status_code == 403
        assert client.post(page, filled(APIKey)).status_code == 403
    client.force_login(permit(user, "view_apikey", "add_apikey", "change_apikey"))
    assert client.get(page).status_code == 200
    assert client.get(url(APIKey, "replace", "nonsense")).status_code == 404


def test_a_key_is_replaced_once(
    twilio: TwilioServer, api_key: APIKey, admin_client: Client
) -> None:
    address = url(APIKey, "replace", api_key.pk)
    for digit in "123456":
        twilio.keys[sid("SK", digit)] = Key(new_secret(), api_key.account.sid)
        key = twilio.keys[sid("SK", digit)]
        data = {**typed(twilio), "sid": sid("SK", digit), "secret": key.secret}
        response = admin_client.post(address, data, follow=True)
    said = f"{api_key} has already been replaced or retired. No new key was saved."
    assert messages(response) == [said]
    assert messages(admin_client.get(address, follow=True)) == [said]
    assert [key.sid for key in APIKey.objects.filter(is_active=True)] == [sid("SK", "1")]
    assert APIKey.objects.count() == 2
    page = admin_client.get(url(APIKey, "change", api_key.pk)).content.decode()
    assert "Replace this key" not in page


def test_the_page_that_replaces_a_key_speaks_of_replacing_only(
    api_key: APIKey, admin_client: Client
) -> None:
    page = admin_client.get(url(APIKey, "replace", api_key.pk)).content.decode()
    for other in ("Add API key", "Save and add another", "Save and continue", 'name="is_active"'):
        assert other not in page
    assert "Replace this key" in page
    assert 'name="name" value="Key"' in page


def test_a_replacement_with_a_sid_that_is_stored_already_is_refused(
    twilio: TwilioServer, api_key: APIKey, admin_client: Client
) -> None:
    add_key(api_key.account, sid=sid("SK", "1"), is_active=False)
    response = admin_client.post(url(APIKey, "replace", api_key.pk), typed(twilio))
    assert errors(response) == {"sid": ["API key with this API key SID already exists."]}
    api_key.refresh_from_db()
    assert api_key.is_active


def test_so_is_one_that_another_request_stores_meanwhile(
    twilio: TwilioServer, api_key: APIKey, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(APIKey, "validate_unique", lambda *args, **kwargs: None)
    add_key(api_key.account, sid=sid("SK", "1"), is_active=False)
    response = admin_client.post(url(APIKey, "replace", api_key.pk), typed(twilio))
    assert errors(response) == {"sid": ["API key with this API key SID already exists."]}
    api_key.refresh_from_db()
    assert api_key.is_active


def test_a_key_that_is_deleted_before_its_replacement_is_saved_is_not_replaced(
    twilio: TwilioServer, api_key: APIKey, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delete_and_verify(*credentials: str) -> Any:
        APIKey.objects.all().delete()
        return verify_credentials(*credentials)

    monkeypatch.setattr("twilio_tokens.admin.forms.verify_credentials", delete_and_verify)
    response = admin_client.post(url(APIKey, "replace", api_key.pk), typed(twilio), follow=True)
    assert "No new key was saved." in messages(response)[0]
    assert not APIKey.objects.exists()


# The list of keys


def test_the_list_tells_each_keys_state(
    api_key: APIKey, user: User, admin_client: Client, settings: Any
) -> None:
    issue_access_token(user=user, grants=[Video()])
    add_key(api_key.account)
    old = add_key(api_key.account, is_active=False)
    now_deletable = add_key(api_key.account, is_active=False)
    retired_at = timezone.now() - timedelta(days=2)
    APIKey.objects.filter(pk=now_deletable.pk).update(retired_at=retired_at)
    content = admin_client.get(url(APIKey, "changelist")).content.decode()
    for state, meaning in (("signing", "good"), ("standby", "warning"), ("retired", "neutral")):
        assert f'<span class="twilio-badge twilio-{meaning}">{state}</span>' in content
    assert '<td class="field-live_tokens">1</td>' in content
    assert '<td class="field-safe_to_delete">now</td>' in content
    assert '<td class="field-safe_to_delete">after ' in content
    assert '<td class="field-safe_to_delete">–</td>' in content
    assert '<td class="field-last_used">not in the audit</td>' in content
    assert old.pk != now_deletable.pk

    for settings.TWILIO_TOKENS_AUDIT in (False, "no"):
        content = admin_client.get(url(APIKey, "changelist")).content.decode()
        for name in ("live_tokens", "last_used"):
            assert f'<td class="field-{name}">unknown: the audit is off</td>' in content


def test_saving_a_key_that_was_retired_past_save_dates_its_retirement(
    api_key: APIKey, admin_client: Client
) -> None:
    APIKey.objects.update(is_active=False)
    unknown = '<td class="field-safe_to_delete">unknown: the retirement date is missing</td>'
    assert unknown in admin_client.get(url(APIKey, "changelist")).content.decode()
    admin_client.post(url(APIKey, "change", api_key.pk), {"name": "Key", "secret": ""})
    assert unknown not in admin_client.get(url(APIKey, "changelist")).content.decode()


def test_the_list_takes_as_many_queries_for_many_keys(
    api_key: APIKey, user: User, admin_client: Client
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin_client.get(url(APIKey, "changelist")).status_code == 200
        return len(captured)

    queries()
    few = queries()
    for _ in range(10):
        add_key(api_key.account)
        issue_access_token(user=user, grants=[Video()])
    assert queries() == few
    assert IssuedToken.objects.count() == 10


# Two at once, and other ways to save


def form_of(client: Client, row: Any) -> dict[str, Any]:
    """What the browser posts back if nobody types anything, hidden inputs included."""
    page = client.get(url(type(row), "change", row.pk)).content.decode()
    data: dict[str, Any] = {}
    for tag in re.findall(r"<input[^>]*>", page):
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        is_box = attributes.get("type") == "checkbox"
        if "name" in attributes and (" checked" in tag or not is_box):
            value = attributes.get("value", "on" if is_box else "")
            data.setdefault(attributes["name"], []).append(value)
    for name, options in re.findall(r'<select name="(\w+)".*?>(.*?)</select>', page, re.DOTALL):
        data[name] = re.findall(r'<option value="([^"]*)" selected>', options)
    return {name: values for name, values in data.items() if not name.startswith("_")}


def test_a_form_that_was_opened_before_another_save_undoes_nothing_of_it(
    api_key: APIKey, chat_service: ChatService, admin_client: Client
) -> None:
    group = Group.objects.create(name="agents")
    stale, stale_service = form_of(admin_client, api_key), form_of(admin_client, chat_service)
    APIKey.objects.get().save()
    api_key.is_active = False
    api_key.save()
    chat_service.groups.add(group)
    chat_service.sid = sid("IS", "7")
    chat_service.save()

    admin_client.post(url(APIKey, "change", api_key.pk), {**stale, "name": "Renamed"})
    data = {**stale_service, "name": "renamed"}
    admin_client.post(url(ChatService, "change", chat_service.pk), data)
    api_key.refresh_from_db()
    chat_service.refresh_from_db()
    assert (api_key.name, api_key.is_active) == ("Renamed", False)
    assert (chat_service.name, chat_service.sid) == ("renamed", sid("IS", "7"))
    assert list(chat_service.groups.all()) == [group]
    assert chat_service.is_default


def test_what_a_form_changes_it_changes_also_after_another_save(
    api_key: APIKey, chat_service: ChatService, admin_client: Client
) -> None:
    stale, stale_service = form_of(admin_client, api_key), form_of(admin_client, chat_service)
    group = Group.objects.create(name="agents")
    APIKey.objects.update(name="Renamed")
    del stale["is_active"]
    admin_client.post(url(APIKey, "change", api_key.pk), stale)
    data = {**stale_service, "groups": [group.pk]}
    admin_client.post(url(ChatService, "change", chat_service.pk), data)
    api_key.refresh_from_db()
    assert (api_key.name, api_key.is_active) == ("Renamed", False)
    assert list(chat_service.groups.all()) == [group]


def test_the_secret_has_no_hidden_input(api_key: APIKey, admin_client: Client) -> None:
    assert "initial-secret" not in form_of(admin_client, api_key)
    assert "initial-name" in form_of(admin_client, api_key)


def test_what_another_request_stores_before_a_form_is_saved_is_an_error_of_the_form(
    api_key: APIKey, chat_service: ChatService, admin_client: Client, monkeypatch: Any
) -> None:
    for row in (api_key, chat_service):
        validate_unique, looks = row.__class__.validate_unique, iter([False])

        def look(self: Any, exclude: Any, found: Any = validate_unique, looks: Any = looks) -> None:
            if next(looks, True):
                found(self, exclude)

        monkeypatch.setattr(type(row), "validate_unique", look)
        data = filled(type(row), sid=row.sid, name=row.name)
        response = admin_client.post(url(type(row), "add"), data)
        assert "already exists" in str(errors(response))
        assert type(row).objects.count() == 1


@pytest.mark.parametrize("save_as", [True, False])
def test_a_key_saved_as_new_needs_a_sid_and_a_secret_of_its_own(
    save_as: bool, twilio: TwilioServer, api_key: APIKey, admin_client: Client, monkeypatch: Any
) -> None:
    monkeypatch.setattr(APIKeyAdmin, "save_as", save_as)
    address = url(APIKey, "change", api_key.pk)
    stale = {**form_of(admin_client, api_key), "_saveasnew": "1"}
    assert {"account", "sid", "region", "secret"} <= errors(
        admin_client.post(address, stale)
    ).keys()
    assert APIKey.objects.count() == 1
    data = typed(twilio, _saveasnew="1")
    assert admin_client.post(address, data).status_code == 302
    new = APIKey.objects.get(sid=sid("SK", "1"))
    assert new.check_outcome == Outcome.VERIFIED
    assert matches(new.secret, data["secret"], row=new.pk, sid=new.sid)
    api_key.refresh_from_db()
    assert api_key.name == "Key"


@pytest.mark.parametrize("model", [Account, ChatService, TwiMLApp, PushCredential])
def test_other_rows_saved_as_new_leave_the_first_as_it_is(
    model: Any,
    chat_service: ChatService,
    twiml_app: TwiMLApp,
    push_credential: PushCredential,
    admin_client: Client,
) -> None:
    row = model.objects.get()
    address = url(model, "change", row.pk)
    response = admin_client.post(address, filled(model, name="", _saveasnew="1"))
    assert list(errors(response)) == ["name"]
    assert admin_client.post(address, filled(model, _saveasnew="1")).status_code == 302
    assert model.objects.count() == 2
    assert model.objects.filter(pk=row.pk, name=row.name, sid=row.sid).exists()


def test_a_list_that_a_site_lets_edit_refuses_what_the_form_refuses(
    api_key: APIKey, secret: str, user: User, admin_client: Client, monkeypatch: Any
) -> None:
    editable = ("name", "sid", "region", "secret", "is_active", "account")
    monkeypatch.setattr(APIKeyAdmin, "list_display", ("id", *editable))
    monkeypatch.setattr(APIKeyAdmin, "list_editable", editable)
    page = admin_client.get(url(APIKey, "changelist")).content.decode()
    assert secret not in page
    assert api_key.secret.text not in page
    data = {
        "form-TOTAL_FORMS": "1",
        "form-INITIAL_FORMS": "1",
        "form-0-id": api_key.pk,
        "form-0-name": "Renamed",
        "form-0-sid": api_key.sid,
        "form-0-region": "us1",
        "form-0-secret": "",
        "form-0-is_active": "on",
        "form-0-account": api_key.account_id,
        "_save": "Save",
    }
    for field, value in (("sid", sid("SK", "9")), ("region", "ie1"), ("secret", "short")):
        response = admin_client.post(url(APIKey, "changelist"), {**data, f"form-0-{field}": value})
        assert list(response.context["cl"].formset.errors[0]) == [field]
    assert admin_client.post(url(APIKey, "changelist"), data).status_code == 302
    api_key.refresh_from_db()
    assert api_key.name == "Renamed"
    assert decoded(issue_access_token(user=user, grants=[Video()]).token, secret)

    new = new_secret()
    admin_client.post(url(APIKey, "changelist"), {**data, "form-0-secret": new})
    assert decoded(issue_access_token(user=user, grants=[Video()]).token, new)


# Links


PERMISSIONS = [
    *[
        f"{action}_{model}"
        for action in ("view", "add", "change", "delete")
        for model in ("account", "apikey", "chatservice", "issuedtoken")
    ],
    "verify_credentials",
    "issue_test_token",
]


@pytest.mark.parametrize(
    "codenames",
    [
        *[[each] for each in PERMISSIONS],
        ["change_account", "change_apikey", "change_chatservice", "change_twimlapp"],
        ["view_account", "view_apikey", "view_chatservice"],
        ["change_account", "add_chatservice"],
        ["add_apikey", "change_apikey"],
        ["add_apikey", "view_apikey"],
        ["change_apikey", "delete_apikey", "verify_credentials"],
        ["change_issuedtoken", "issue_test_token"],
    ],
    ids="-".join,
)
def test_no_link_leads_to_a_page_that_its_reader_may_not_open(
    codenames: list[str],
    twilio: TwilioServer,
    api_key: APIKey,
    chat_service: ChatService,
    client: Client,
    user: User,
) -> None:
    APIKey.objects.get().record_check(Outcome.REFUSED, "Deleted.")
    IssuedToken.objects.create(
        jti="jti",
        user=user,
        identity="anna",
        api_key=api_key,
        grants={"video": {}},
        issued_at=timezone.now(),
        expires_at=timezone.now(),
    )
    client.force_login(permit(user, *codenames))
    seen: set[str] = set()
    found = [reverse("admin:index")]
    while found:
        address = found.pop()
        seen.add(address)
        response = client.get(address)
        assert response.status_code in (200, 302), address
        links = re.findall(r'<a [^>]*href="([^"#]+)"', response.content.decode())
        found += {
            page
            for page in (urljoin(address, unescape(link)).partition("?")[0] for link in links)
            if "/twilio_tokens/" in page and page not in {*seen, *found}
        }
