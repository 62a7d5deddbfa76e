"""Attacks on the pages of the console, by other pages and by staff."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import reverse

from tests.console import filled, url
from tests.rows import sid
from tests.security.console_rows import MODELS, RESOURCES, Console, stored
from tests.security.test_who_may import TABLES
from tests.twilio_server import TwilioServer
from twilio_tokens.crypto import Sealed
from twilio_tokens.models import Account, APIKey, ChatService, IssuedToken

pytestmark = pytest.mark.django_db


@pytest.fixture
def console(twilio: TwilioServer) -> Console:
    return Console(twilio, ["superuser"])


# Pages of other sites


def posts(console: Console) -> list[tuple[str, dict[str, Any]]]:
    """Everything that can be posted to the console."""
    found = []
    for model in MODELS:
        for row in TABLES[model].rows:
            page, is_post, what = row.partition(" POST")
            if is_post and " " not in page:
                address = console.address(model, page)
                found.append((address, console.posted(model, page, what.strip())))
    return found


def test_a_foreign_page_changes_nothing_in_the_console(console: Console) -> None:
    client = Client(enforce_csrf_checks=True, headers={"origin": "https://evil.example"})
    client.force_login(console.users["superuser"])
    for address, data in posts(console):
        assert client.post(address, data).status_code == 403, address
    assert stored() == console.stored
    assert console.twilio.requests == []


FRAMES = "django.middleware.clickjacking.XFrameOptionsMiddleware"


def test_no_page_lets_itself_be_framed(console: Console, settings: Any) -> None:
    client = console.clients["superuser"]
    with override_settings(MIDDLEWARE=[*settings.MIDDLEWARE, FRAMES]):
        pages = {address for address, _data in posts(console)}
        pages |= {f"{url(model, 'add')}?_popup=1" for model in MODELS}
        pages |= {reverse("admin:app_list", args=["twilio_tokens"]), "/twilio/tokens/"}
        for address in pages:
            assert client.get(address)["X-Frame-Options"] == "DENY", address


def test_no_parameter_leads_off_the_site(console: Console, settings: Any) -> None:
    client, evil = console.clients["superuser"], "//evil.example/"
    query = f"next={evil}&_changelist_filters={evil}&_popup=&e=1&p=1&redirect_to={evil}"
    for address, data in posts(console):
        extra = {"next": evil, "_changelist_filters": evil, "redirect_to": evil}
        response = client.post(f"{address}?{query}", data | extra)
        location = response.headers.get("Location", "/")
        assert location.startswith("/admin/") or location == "/", location
        assert f'href="{evil}' not in (b"" if response.streaming else response.content).decode()


# What forms do not ask for

SMUGGLED = {
    "id": "00000000-0000-4000-8000-000000000000",
    "pk": "7",
    "created_at": "2000-01-01",
    "updated_at": "2000-01-01",
    "retired_at": "2000-01-01",
    "checked_at": "2000-01-01",
    "check_outcome": "verified",
    "check_code": "1",
    "check_message": "smuggled",
    "friendly_name": "smuggled",
    "default_marker": "smuggled",
    "user": "1",
    "issued_by": "1",
}


@pytest.mark.parametrize("model", [Account, APIKey, *RESOURCES], ids=lambda model: model.__name__)
def test_a_form_takes_no_field_that_it_does_not_show(console: Console, model: Any) -> None:
    client, row = console.clients["superuser"], console.rows[model]
    added = client.post(url(model, "add"), console.posted(model, "add", "") | SMUGGLED)
    assert added.status_code == 302
    changed = console.posted(model, "change", "") | SMUGGLED
    changed |= {"name": "changed-again", "account_id": console.main.pk}
    assert client.post(url(model, "change", row.pk), changed).status_code == 302
    for name in ("changed", "changed-again"):
        values = model.objects.values().get(name=name)
        taken = {each for each in SMUGGLED if str(values.get(each)).startswith(SMUGGLED[each])}
        assert taken == set()
    if model is APIKey:  # signed tokens and its sealed secret belong to the one account
        assert APIKey.objects.get(pk=row.pk).account == row.account


def test_a_replacement_stays_in_the_account_of_the_key_that_it_replaces(console: Console) -> None:
    client, key = console.clients["superuser"], console.rows[APIKey]
    data = filled(APIKey, sid=sid("SK", "9"), account=console.main.pk, is_active="")
    data |= {"replaced": APIKey.objects.exclude(pk=key.pk).get().pk, **SMUGGLED}
    for way_to_write in (key.pk.hex, key.pk.urn, f"{{{key.pk}}}", str(key.pk).upper()):
        page = client.get(f"{url(APIKey, 'changelist')}{way_to_write}/replace/")
        assert page.status_code == 200, "one key, however it is written"
        assert page.context["replaced"] == key
    assert client.post(url(APIKey, "replace", key.pk), data).status_code == 302
    new = APIKey.objects.get(sid=sid("SK", "9"))
    assert (new.account, new.is_active, new.retired_at) == (key.account, True, None)
    assert new.pk != UUID(SMUGGLED["id"])
    assert APIKey.objects.get(name="first").is_active


@pytest.mark.parametrize(
    "name", ["secret", "__class__", "account__name", "nothing", "check_message"]
)
@pytest.mark.parametrize("model", [APIKey, ChatService])
def test_a_popup_hands_back_no_field_of_the_senders_choice(
    console: Console, model: Any, name: str
) -> None:
    client = console.clients["superuser"]
    data = console.posted(model, "add", "") | {"_popup": "1", "_to_field": name}
    assert client.post(url(model, "add"), data).status_code == 400
    assert client.get(f"{url(model, 'add')}?_popup=1&_to_field={name}").status_code == 400
    assert not model.objects.filter(name="changed").exists()


# A list that answers questions about what it does not show

SEALED = "tt1:"
#: Each is a question of which the first answer is true and the second false.
QUESTIONS = {
    APIKey: [
        ("secret__startswith", SEALED, "tt2:"),
        ("secret__gt", "a", "z"),
        ("secret__regex", "^tt1", "^tt2"),
        ("account__api_keys__secret__startswith", SEALED, "tt2:"),
        ("issued_tokens__user__password__startswith", "md5", "pbkdf2"),
    ],
    ChatService: [
        ("account__api_keys__secret__startswith", SEALED, "tt2:"),
        ("groups__user__password__startswith", "md5", "pbkdf2"),
        ("groups__user__is_superuser", "True", "False"),
    ],
    IssuedToken: [
        ("api_key__secret__startswith", SEALED, "tt2:"),
        ("user__password__startswith", "md5", "pbkdf2"),
        ("user__email__startswith", "anna", "bert"),
        ("user__is_superuser", "False", "True"),
        ("user__session__session_key__startswith", "a", "b"),
        ("api_key__account__api_keys__secret__startswith", SEALED, "tt2:"),
    ],
    Account: [
        ("api_keys__secret__startswith", SEALED, "tt2:"),
        ("api_keys__issued_tokens__user__password__startswith", "md5", "pbkdf2"),
    ],
}


@pytest.mark.parametrize(
    ("model", "lookup", "true", "false"),
    [(model, *question) for model, questions in QUESTIONS.items() for question in questions],
)
def test_no_filter_asks_about_a_secret_or_a_password(
    console: Console, model: Any, lookup: str, true: str, false: str
) -> None:
    client = console.clients["superuser"]
    answers = [client.get(url(model, "changelist"), {lookup: value}) for value in (true, false)]
    for answer in answers:
        assert answer.status_code in (302, 400)
        assert answer.headers.get("Location", "").endswith("?e=1") or answer.status_code == 400


def test_no_search_and_no_order_goes_by_a_secret(console: Console) -> None:
    client = console.clients["superuser"]
    sealed = APIKey.objects.get(pk=console.rows[APIKey].pk).secret
    assert isinstance(sealed, Sealed)
    password = User.objects.get(username="anna").password
    for model in MODELS:
        for term in (sealed.text, sealed.text[:20], console.secret, password[:9]):
            found = client.get(url(model, "changelist"), {"q": term})
            assert not found.context["cl"].result_list
        for order in ("secret", "-secret", "user__password", "99", "-99.1", "account__secret"):
            assert client.get(url(model, "changelist"), {"o": order}).status_code == 200
    autocomplete = console.address_above("autocomplete")
    assert client.get(f"{autocomplete}&term=tt1").json()["results"] == []
    for field in ("secret", "name", "account__default_marker"):
        address = autocomplete.replace("field_name=account", f"field_name={field}")
        assert client.get(address).status_code == 403


def test_who_may_issue_test_tokens_is_told_which_users_there_are_and_nobody_else(
    console: Console,
) -> None:
    client = console.clients["superuser"]
    test = url(IssuedToken, "test")
    for name, is_there in (("anna", True), ("annabel", False), ("ann", False)):
        page = client.post(test, {"username": name, "video": "on"}).content.decode()
        assert ("This user does not exist." in page) is not is_there
    User.objects.filter(username="superuser").update(is_superuser=False)
    assert client.post(test, {"username": "anna"}).status_code == 403
