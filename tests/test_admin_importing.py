"""Taking over an account's services and apps from Twilio."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import DataError, connection
from django.test import Client, RequestFactory

from tests.site.models import InvitedService, Stage
from twilio_tokens.admin import importing
from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    Outcome,
    PushCredential,
    SyncService,
    TwiMLApp,
    Workspace,
)

from .console import messages, permit, url
from .databases import disconnect
from .rows import sid
from .twilio_server import TASKROUTER, Key, TwilioServer, running


@pytest.fixture
def twilio(settings: Any, api_key: APIKey, secret: str) -> Iterator[TwilioServer]:
    """Twilio, with the stored key, two services and an app."""
    with running(settings) as server:
        account = api_key.account.sid
        server.keys[api_key.sid] = Key(secret, account)
        server.services[sid("IS", "1")] = (account, "Customer Support")
        server.services[sid("IS", "2")] = (account, None)
        server.apps[sid("AP", "1")] = (account, "Büro & Phone")
        yield server


@pytest.fixture
def page(account: Account) -> str:
    return url(Account, "import", account.pk)


def states(response: Any) -> dict[str, str]:
    return {
        entry.sid: entry.state
        for section in response.context["sections"]
        for entry in section.entries
    }


def ticked(*sids: str, **names: str) -> dict[str, str]:
    data = {f"{each}-store": "on" for each in sids}
    return data | {f"{each}-name": name for each, name in names.items()}


def test_what_twilio_has_is_offered_with_names_from_the_friendly_ones(
    twilio: TwilioServer, admin_client: Client, account: Account, page: str
) -> None:
    assert page in admin_client.get(url(Account, "change", account.pk)).content.decode()
    response = admin_client.get(page)
    assert set(states(response).values()) == {"new"}
    proposed = {
        entry.sid: entry.form["name"].value()
        for section in response.context["sections"]
        for entry in section.entries
    }
    assert proposed == {
        sid("IS", "1"): "customer-support",
        sid("IS", "2"): "chatservice",
        sid("AP", "1"): "buro-phone",
    }


def test_what_is_ticked_is_stored_and_the_first_becomes_the_default(
    twilio: TwilioServer, admin_client: Client, account: Account, page: str
) -> None:
    names = {sid("IS", "1"): "support", sid("IS", "2"): "sales", sid("AP", "1"): "phone"}
    data = ticked(*names, **names)
    del data[sid("AP", "1") + "-store"]
    response = admin_client.post(page, data, follow=True)
    assert messages(response) == ["2 entries were imported."]
    assert not TwiMLApp.objects.exists()
    rows = ChatService.objects.order_by("-is_default")
    assert [(row.name, row.sid, row.account, row.is_default) for row in rows] == [
        ("support", sid("IS", "1"), account, True),
        ("sales", sid("IS", "2"), account, False),
    ]
    assert rows[0].friendly_name == "Customer Support"
    assert rows[0].check_outcome == Outcome.VERIFIED
    history = admin_client.get(url(ChatService, "history", rows[0].pk)).content.decode()
    assert "Added" in history


def test_sync_services_workspaces_and_push_credentials_are_imported_as_defaults(
    twilio: TwilioServer, admin_client: Client, account: Account, page: str
) -> None:
    twilio.sync_services[sid("IS", "3")] = (account.sid, "Documents")
    twilio.workspaces[sid("WS")] = (account.sid, "Agents")
    twilio.credentials = {
        sid("CR", "1"): (account.sid, "Phones", "apn", "False"),
        sid("CR", "2"): (account.sid, "More phones", "apn", "False"),
        sid("CR", "3"): (account.sid, "Development", "apn", "True"),
        sid("CR", "4"): (account.sid, "Robots", "fcm", "False"),
        sid("CR", "5"): (account.sid, "Windows", "wns", "False"),
    }
    titles = [section.title for section in admin_client.get(page).context["sections"]]
    assert titles == [
        *("Chat services", "TwiML Apps", "Push credentials", "Sync services"),
        "TaskRouter workspaces",
    ]
    names = {sid("IS", "3"): "documents", sid("WS"): "agents"}
    names |= {sid("CR", digit): f"push-{digit}" for digit in "1234"}
    assert messages(admin_client.post(page, ticked(*names, **names), follow=True)) == [
        "6 entries were imported."
    ]
    for model in (SyncService, Workspace):
        row = model.objects.get()
        assert (row.is_default, row.check_outcome) == (True, Outcome.VERIFIED)
    stored = PushCredential.objects.values_list("name", "platform", "sandbox", "is_default")
    assert set(stored) == {
        ("push-1", "apn", False, True),
        ("push-2", "apn", False, False),
        ("push-3", "apn", True, True),
        ("push-4", "fcm", False, True),
    }
    unknown = ticked(sid("CR", "5"), **{sid("CR", "5"): "windows"})
    assert "is not a valid choice" in admin_client.post(page, unknown).content.decode()


def test_a_kind_of_the_sites_own_is_offered_if_it_says_where_twilio_has_it(
    rf: RequestFactory, admin_user: User
) -> None:
    site = admin.AdminSite()
    site.register([Account, Stage, InvitedService])
    request = rf.get("/")
    request.user = admin_user
    assert importing.importable(site.get_model_admin(Account), request) == [InvitedService]


def test_a_push_credential_that_is_another_at_twilio_is_told_when_its_name_is_taken_over(
    twilio: TwilioServer, admin_client: Client, push_credential: PushCredential, page: str
) -> None:
    PushCredential.objects.update(friendly_name="Old")
    twilio.credentials[push_credential.sid] = (push_credential.account.sid, "Robots", "fcm")
    admin_client.post(page, ticked(push_credential.sid))
    push_credential.refresh_from_db()
    assert (push_credential.friendly_name, push_credential.platform) == ("Robots", "apn")
    assert push_credential.check_message == "At Twilio, “platform” is “fcm”."


def test_what_twilio_does_not_tell_of_one_product_is_told_beside_the_others(
    twilio: TwilioServer, admin_client: Client, page: str
) -> None:
    twilio.fail(500, host=TASKROUTER)
    response = admin_client.get(page)
    assert [str(each) for each in response.context["messages"]] == [
        "TaskRouter workspaces: Twilio cannot answer right now (HTTP 500). Try again later."
    ]
    assert set(states(response)) == {sid("IS", "1"), sid("IS", "2"), sid("AP", "1")}


def test_nothing_ticked_stores_nothing_and_says_so(
    twilio: TwilioServer, admin_client: Client, page: str
) -> None:
    assert messages(admin_client.post(page, {}, follow=True)) == [
        "Nothing was selected, so nothing was imported."
    ]
    assert not ChatService.objects.exists()


def test_running_it_again_shows_what_is_stored_changed_and_gone(
    twilio: TwilioServer, admin_client: Client, account: Account, page: str
) -> None:
    names = {sid("IS", "1"): "support", sid("IS", "2"): "sales", sid("AP", "1"): "phone"}
    admin_client.post(page, ticked(*names, **names))
    by_hand = ChatService.objects.create(account=account, name="by-hand", sid=sid("IS", "3"))
    twilio.services[by_hand.sid] = (account.sid, "Typed in")
    twilio.services[sid("IS", "1")] = (account.sid, "Renamed")
    del twilio.services[sid("IS", "2")]
    response = admin_client.get(page)
    assert states(response) == {
        sid("IS", "1"): "changed",
        sid("IS", "2"): "gone",
        sid("IS", "3"): "stored",
        sid("AP", "1"): "stored",
    }
    content = response.content.decode()
    assert "was Customer Support" in content
    assert url(ChatService, "change", by_hand.pk) in content

    # A change is taken over under the name that clients know, whatever is posted.
    changed = ticked(sid("IS", "1"), **{sid("IS", "1"): "other"})
    assert messages(admin_client.post(page, changed, follow=True)) == ["1 entry was imported."]
    service = ChatService.objects.get(sid=sid("IS", "1"))
    assert (service.name, service.friendly_name) == ("support", "Renamed")
    assert states(admin_client.get(page))[service.sid] == "stored"


def test_names_that_are_taken_are_not_proposed(
    twilio: TwilioServer, admin_client: Client, account: Account, page: str
) -> None:
    ChatService.objects.create(account=account, name="customer-support", sid=sid("IS", "8"))
    twilio.services[sid("IS", "9")] = (account.sid, "Customer support")
    content = admin_client.get(page).content.decode()
    assert 'value="customer-support-2"' in content
    assert 'value="customer-support-3"' in content
    assert 'value="customer-support"' not in content


@pytest.mark.parametrize(
    ("names", "error"),
    [
        ({"1": "same", "2": "same"}, "You have chosen this name twice."),
        ({"1": "not a slug", "2": "b"}, "Enter a valid"),
        ({"1": "", "2": "b"}, "This field cannot be blank."),
        ({"1": "taken", "2": "b"}, "already exists"),
    ],
)
def test_a_wrong_name_is_told_beside_it_and_nothing_is_stored(
    names: dict[str, str],
    error: str,
    twilio: TwilioServer,
    admin_client: Client,
    other: Account,
    page: str,
) -> None:
    ChatService.objects.filter(name="theirs").update(name="taken")
    chosen = {sid("IS", digit): name for digit, name in names.items()}
    response = admin_client.post(page, ticked(*chosen, **chosen))
    assert error in response.content.decode()
    for name in filter(None, names.values()):
        assert f'value="{name}"' in response.content.decode()
    assert not ChatService.objects.exclude(name="taken").exists()


def test_the_page_has_no_inline_scripts_or_styles(
    twilio: TwilioServer, admin_client: Client, page: str
) -> None:
    for response in (
        admin_client.get(page),
        admin_client.post(page, ticked(sid("IS", "1"), **{sid("IS", "1"): "not a slug"})),
    ):
        content = response.content.decode()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", content)
        assert not re.search(r"<script(?![^>]* src=)", content)


@pytest.fixture
def platform(twilio: TwilioServer, account: Account, secret: str) -> TwilioServer:
    """Twilio, with an account of more than a thousand apps."""
    twilio.apps.clear()
    for number in range(1_200):
        twilio.apps[f"AP{number:032x}"] = (account.sid, f"Tenant {number}")
    return twilio


def test_a_long_list_has_pages_and_says_how_long_it_is(
    platform: TwilioServer, admin_client: Client, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "PER_PAGE", 500)
    responses = [admin_client.get(f"{page}?p={number}") for number in (1, 2, 3)]
    shown = [states(response) for response in responses]
    assert [len(each) for each in shown] == [500, 500, 202]
    assert len(shown[0] | shown[1] | shown[2]) == 1_202
    content = responses[1].content.decode()
    assert "501–1000 of 1202." in content
    for link in ('href="?p=1" rel="prev"', 'href="?p=3" rel="next"'):
        assert link in content


@pytest.mark.parametrize("number", ["0", "-1", "14", "9" * 40, "x", ""])
def test_an_impossible_page_is_the_first_or_the_last(
    number: str, platform: TwilioServer, admin_client: Client, page: str
) -> None:
    response = admin_client.get(page, {"p": number})
    assert response.context["page"].number in (1, 13)


def test_a_page_can_be_stored_that_django_would_have_refused_whole(
    platform: TwilioServer, admin_client: Client, page: str
) -> None:
    """Django takes 1,000 fields, and an answer to all 1,200 apps has more."""
    address = f"{page}?p=2"
    fields = re.findall(r'name="(AP\w+-name)" value="([^"]+)"', admin_client.get(
        address).content.decode())  # fmt: skip
    data = dict(fields) | {name.replace("-name", "-store"): "on" for name, _ in fields}
    response = admin_client.post(address, data, follow=True)
    assert messages(response) == ["100 entries were imported."]
    assert response.redirect_chain == [(address, 302)]
    assert TwiMLApp.objects.count() == 100


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("tenant 1199", 1),
        ("TENANT 119", 11),
        (f"{1_199:x}".rjust(32, "0"), 1),
        ("no such", 0),
        ("<b>", 0),
        ("\x00", 0),
        ("by-hand", 1),
    ],
)
def test_the_search_finds_by_name_and_sid(
    query: str,
    found: int,
    platform: TwilioServer,
    admin_client: Client,
    account: Account,
    page: str,
) -> None:
    TwiMLApp.objects.create(account=account, name="by-hand", sid=f"AP{7:032x}")
    response = admin_client.get(page, {"q": query})
    assert len(states(response)) == found
    assert ("Nothing matches your search." in response.content.decode()) is not found


def test_the_pages_of_a_search_keep_it(
    platform: TwilioServer, admin_client: Client, page: str
) -> None:
    content = admin_client.get(page, {"q": "tenant 1", "p": 2}).content.decode()
    assert "?q=tenant+1&amp;p=1" in content
    assert "?q=tenant+1&amp;p=3" in content


def test_what_was_ticked_is_stored_wherever_it_is_listed_by_then(
    platform: TwilioServer, admin_client: Client, account: Account, page: str
) -> None:
    """Others store what stands before it, and the pages move."""
    chosen, gone, before = (f"AP{number:032x}" for number in (1_150, 1_151, 1_152))
    TwiMLApp.objects.bulk_create(
        TwiMLApp(account=account, name=f"t-{number}", sid=f"AP{number:032x}")
        for number in range(150)
    )
    TwiMLApp.objects.create(account=account, name="before", sid=before)
    del platform.apps[gone]
    names = {chosen: "chosen", gone: "gone", before: "again"}
    response = admin_client.post(f"{page}?p=12", ticked(*names, **names), follow=True)
    assert messages(response) == [
        "1 entry was imported.",
        "1 entry was already stored.",
        "1 entry was not imported: Twilio no longer lists it.",
    ]
    assert TwiMLApp.objects.get(sid=chosen).name == "chosen"
    assert TwiMLApp.objects.get(sid=before).name == "before"


def test_a_second_click_stores_nothing_twice(
    twilio: TwilioServer, admin_client: Client, page: str
) -> None:
    data = ticked(sid("IS", "1"), **{sid("IS", "1"): "support"})
    admin_client.post(page, data)
    response = admin_client.post(page, data, follow=True)
    assert messages(response)[-1] == "1 entry was already stored."
    assert ChatService.objects.count() == 1


@pytest.mark.skipif(
    connection.vendor == "sqlite",
    reason="SQLite has one writer at a time: nothing is concurrent. Set DATABASE_URL.",
)
@pytest.mark.django_db(transaction=True)
def test_two_admins_who_import_at_once_store_each_service_once(
    twilio: TwilioServer, admin_user: User, page: str
) -> None:
    def store(name: str) -> int:
        client = Client()
        client.force_login(admin_user)
        try:
            return client.post(page, ticked(sid("IS", "1"), **{sid("IS", "1"): name})).status_code
        finally:
            disconnect()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(store, ["support", "support", "help", "desk"])) == {302}
    assert ChatService.objects.filter(sid=sid("IS", "1")).count() == 1


def test_a_name_that_somebody_takes_at_that_moment_stores_nothing_and_says_so(
    twilio: TwilioServer, admin_client: Client, account: Account, page: str, monkeypatch: Any
) -> None:
    validate = ChatService.full_clean

    def validate_too_early(row: ChatService, *args: Any, **kwargs: Any) -> None:
        validate(row, *args, **kwargs)
        if row.name == "b":
            ChatService.objects.bulk_create(
                [ChatService(account=account, name="b", sid=sid("IS", "8"))]
            )

    monkeypatch.setattr(ChatService, "full_clean", validate_too_early)
    names = {sid("IS", "1"): "a", sid("IS", "2"): "b"}
    [message] = messages(admin_client.post(page, ticked(*names, **names), follow=True))
    assert message.startswith("Nothing was imported: someone has just taken one")
    assert not ChatService.objects.exists()


def test_a_name_that_the_database_cannot_hold_stores_nothing_and_says_so(
    twilio: TwilioServer, admin_client: Client, page: str
) -> None:
    """As a MariaDB of three-byte characters cannot hold an emoji."""

    def refuse(run: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("INSERT") and "chatservice" in sql:
            raise DataError("Incorrect string value")
        return run(sql, *args)

    data = ticked(sid("IS", "1"), **{sid("IS", "1"): "support"})
    with connection.execute_wrapper(refuse):
        response = admin_client.post(page, data)
    assert messages(admin_client.get(response.url)) == [
        "Nothing was imported: the database cannot store one of the names at Twilio."
    ]
    assert not ChatService.objects.exists()


def test_what_is_stored_is_no_link_for_who_may_not_see_it(
    twilio: TwilioServer, client: Client, user: User, account: Account, page: str
) -> None:
    app = TwiMLApp.objects.create(account=account, name="phone", sid=sid("AP", "1"))
    for permissions, is_linked in (((), False), (("view_twimlapp",), True)):
        client.force_login(permit(user, "view_account", "add_twimlapp", *permissions))
        content = client.get(page).content.decode()
        assert "phone" in content
        assert (url(TwiMLApp, "change", app.pk) in content) is is_linked


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"reset": True}, "Twilio could not be reached"),
        ({"status": 401}, "Twilio rejects the account's API key."),
        ({"status": 429, "headers": {"Retry-After": "999"}}, "Twilio is limiting requests"),
        ({"body": "<h1>Oops</h1>"}, "did not come from Twilio's API"),
    ],
)
def test_when_twilio_does_not_tell_the_page_of_the_account_says_why(
    fault: dict[str, Any],
    message: str,
    twilio: TwilioServer,
    admin_client: Client,
    account: Account,
    page: str,
) -> None:
    twilio.fail(**fault)
    response = admin_client.get(page, follow=True)
    assert response.redirect_chain[0][0] == url(Account, "change", account.pk)
    assert message in messages(response)[0]


def test_an_endless_list_ends_in_a_message(
    twilio: TwilioServer, admin_client: Client, page: str
) -> None:
    twilio.is_endless = True
    assert "does not end" in messages(admin_client.get(page, follow=True))[0]


def test_without_a_key_the_page_of_the_account_says_why(
    account: Account, admin_client: Client, page: str
) -> None:
    message = messages(admin_client.get(page, follow=True))[0]
    assert (
        message == f"Account {account.sid} has no active API key. Add or activate one in the admin."
    )


def test_an_account_without_anything_says_so(
    twilio: TwilioServer, admin_client: Client, page: str
) -> None:
    twilio.services.clear()
    twilio.apps.clear()
    content = admin_client.get(page).content.decode()
    assert "Twilio lists nothing in this account." in content
    assert "Import selected" not in content


def test_each_kind_is_offered_to_who_may_add_it(
    twilio: TwilioServer, client: Client, user: User, account: Account, page: str
) -> None:
    client.force_login(permit(user, "view_account", "add_twimlapp"))
    response = client.get(page)
    assert [section.title for section in response.context["sections"]] == ["TwiML Apps"]
    client.post(page, ticked(sid("IS", "1"), **{sid("IS", "1"): "support"}))
    assert not ChatService.objects.exists()

    client.force_login(permit(user, "view_account"))
    assert page not in client.get(url(Account, "change", account.pk)).content.decode()
    assert client.get(page).status_code == 403
    client.force_login(permit(user, "add_twimlapp"))
    assert client.get(page).status_code == 403


def test_an_account_that_is_not_there_is_not_found(admin_client: Client) -> None:
    assert admin_client.get(url(Account, "import", 999)).status_code == 404
