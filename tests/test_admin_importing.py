"""Taking over an account's services and apps from Twilio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from twilio_tokens.models import Account, APIKey, ChatService, Outcome, TwiMLApp

from .conftest import sid
from .test_admin import url
from .test_admin_keys import messages, permit
from .twilio_server import Key, TwilioServer, running


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
        (row.listed or row.stored).sid: row.state
        for section in response.context["sections"]
        for row in section.rows
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
        row.form.prefix: row.form["name"].value()
        for section in response.context["sections"]
        for row in section.rows
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
    assert messages(response) == ["2 were stored."]
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


def test_nothing_ticked_stores_nothing_and_says_so(
    twilio: TwilioServer, admin_client: Client, page: str
) -> None:
    assert messages(admin_client.post(page, {}, follow=True)) == ["0 were stored."]
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
    assert messages(admin_client.post(page, changed, follow=True)) == ["1 was stored."]
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
        ({"1": "same", "2": "same"}, "This name is chosen twice."),
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
    for name in names.values():
        assert f'value="{name}"' in response.content.decode() or not name
    assert not ChatService.objects.exclude(name="taken").exists()


def test_all_pages_of_a_long_list_are_shown(
    twilio: TwilioServer, admin_client: Client, account: Account, page: str
) -> None:
    for number in range(150):
        twilio.services[f"IS{number:032x}"] = (account.sid, f"Service {number}")
    assert len(states(admin_client.get(page))) == 153


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"reset": True}, "Twilio could not be reached"),
        ({"status": 401}, "Twilio refuses the account's API key."),
        ({"status": 429, "headers": {"Retry-After": "999"}}, "Twilio is limiting requests"),
        ({"body": "<h1>Oops</h1>"}, "is not Twilio's API"),
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
    assert message == f"Account {account.sid} has no active API key."


def test_an_account_without_anything_says_so(
    twilio: TwilioServer, admin_client: Client, page: str
) -> None:
    twilio.services.clear()
    twilio.apps.clear()
    content = admin_client.get(page).content.decode()
    assert content.count("Twilio has none in this account.") == 2
    assert "Store what is ticked" not in content


def test_each_kind_is_offered_to_who_may_add_it(
    twilio: TwilioServer, client: Client, user: User, account: Account, page: str
) -> None:
    client.force_login(permit(user, "view_account", "add_twimlapp"))
    response = client.get(page)
    assert [section.model for section in response.context["sections"]] == [TwiMLApp]
    client.post(page, ticked(sid("IS", "1"), **{sid("IS", "1"): "support"}))
    assert not ChatService.objects.exists()

    client.force_login(permit(user, "view_account"))
    assert page not in client.get(url(Account, "change", account.pk)).content.decode()
    assert client.get(page).status_code == 403
    client.force_login(permit(user, "add_twimlapp"))
    assert client.get(page).status_code == 403


def test_an_account_that_is_not_there_is_not_found(admin_client: Client) -> None:
    assert admin_client.get(url(Account, "import", 999)).status_code == 404
