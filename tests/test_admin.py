"""The admin through its pages, as an operator's browser sees it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from twilio_tokens.crypto import Sealed, generate_key
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import (
    REGION_REFUSED,
    Account,
    APIKey,
    ChatService,
    IssuedToken,
    PushCredential,
    Region,
    SyncService,
    TwiMLApp,
    Workspace,
)

from .console import PREFIXES, errors, filled, url
from .issued import decoded
from .rows import new_secret, sid

EDITABLE = pytest.mark.parametrize("model", PREFIXES)
RESOURCES = [ChatService, TwiMLApp, SyncService, Workspace, PushCredential]
WITH_DEFAULT = pytest.mark.parametrize("model", RESOURCES)
WITH_GROUPS = pytest.mark.parametrize("model", RESOURCES[:-1])


def ciphertext(key: APIKey) -> str:
    return APIKey.objects.values_list("secret", flat=True).get(pk=key.pk).text


def issue(user: User, count: int) -> None:
    """Tokens signed in the past, with the default account's newest key."""
    key = APIKey.objects.latest("created_at")
    now = timezone.now()
    IssuedToken.objects.bulk_create(
        IssuedToken(
            jti=f"jti-{number}",
            user=user,
            identity=user.username,
            api_key=key,
            grants={"video": {"room": "DailyStandup"}, "chat": {}},
            issued_at=now - timedelta(minutes=number),
            expires_at=now + timedelta(minutes=1, seconds=-90 * number),
        )
        for number in range(count)
    )


@EDITABLE
def test_a_row_is_added_listed_changed_and_deleted(model: Any, admin_client: Client) -> None:
    if model is not Account:
        Account.objects.create(name="Main", sid=sid("AC"))
    assert admin_client.get(url(model, "add")).status_code == 200

    added = admin_client.post(url(model, "add"), filled(model))
    row = model.objects.get(name="new")
    assert added.url == url(model, "changelist")
    assert row.sid in admin_client.get(url(model, "changelist")).content.decode()

    assert row.sid in admin_client.get(url(model, "change", row.pk)).content.decode()
    data = filled(model, name="renamed", secret="")
    assert admin_client.post(url(model, "change", row.pk), data).status_code == 302
    row.refresh_from_db()
    assert row.name == "renamed"
    assert "Changed Name" in admin_client.get(url(model, "history", row.pk)).content.decode()

    assert admin_client.get(url(model, "delete", row.pk)).status_code == 200
    admin_client.post(url(model, "delete", row.pk), {"post": "yes"})
    assert not model.objects.filter(pk=row.pk).exists()


def test_all_models_stand_under_one_heading(admin_client: Client) -> None:
    apps = admin_client.get(reverse("admin:index")).context["app_list"]
    [names] = [app["models"] for app in apps if app["name"] == "Twilio tokens"]
    assert {each["object_name"] for each in names} == {
        *(model.__name__ for model in PREFIXES),
        "IssuedToken",
    }


# The secret


def test_the_secret_of_the_form_signs_the_next_token(
    account: Account, admin_client: Client, user: User
) -> None:
    typed = filled(APIKey)
    admin_client.post(url(APIKey, "add"), typed | {"secret": f" {typed['secret']}\n"})
    issued = issue_access_token(user=user, grants=[Video()])
    assert decoded(issued.token, typed["secret"])["iss"] == typed["sid"]


def test_a_secret_typed_into_the_change_form_replaces_the_stored_one(
    api_key: APIKey, admin_client: Client, user: User
) -> None:
    replacement = new_secret()
    admin_client.post(
        url(APIKey, "change", api_key.pk),
        {"name": "Key", "secret": replacement, "is_active": "on"},
    )
    assert decoded(issue_access_token(user=user, grants=[Video()]).token, replacement)


@pytest.mark.parametrize("page", ["add", "change"])
def test_the_secret_has_an_empty_input_that_no_password_manager_fills(
    page: str, api_key: APIKey, admin_client: Client
) -> None:
    response = admin_client.get(url(APIKey, page, *([api_key.pk] if page == "change" else [])))
    [tag] = re.findall(r'<input[^>]*name="secret"[^>]*>', response.content.decode())
    assert 'type="password"' in tag
    assert 'autocomplete="new-password"' in tag
    assert "value=" not in tag
    assert (" required" in tag) is (page == "add")


def test_a_secret_is_not_shown_again_beside_the_error_of_another_field(
    account: Account, admin_client: Client
) -> None:
    typed = filled(APIKey, name="")
    response = admin_client.post(url(APIKey, "add"), typed)
    assert errors(response) == {"name": ["This field is required."]}
    assert typed["sid"] in response.content.decode()
    assert typed["secret"] not in response.content.decode()


#: What the site may have set meanwhile.
RINGS = {"none": None, "another one": [generate_key()], "malformed": ["nonsense"]}


@pytest.mark.parametrize("ring", ["the right one", *RINGS])
@pytest.mark.parametrize("typed", ["", "  "])
def test_an_empty_secret_keeps_the_ciphertext_byte_for_byte(
    ring: str,
    typed: str,
    api_key: APIKey,
    admin_client: Client,
    key_ring: list[str],
    settings: Any,
) -> None:
    before = ciphertext(api_key)
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = RINGS.get(ring, key_ring)
    response = admin_client.post(
        url(APIKey, "change", api_key.pk), {"name": "Renamed", "secret": typed}
    )
    assert response.status_code == 302
    api_key.refresh_from_db()
    assert (api_key.name, api_key.is_active) == ("Renamed", False)
    assert ciphertext(api_key) == before


def test_a_new_key_needs_a_secret(account: Account, admin_client: Client) -> None:
    response = admin_client.post(url(APIKey, "add"), filled(APIKey, secret=" "))
    assert errors(response) == {"secret": ["This field is required."]}


@pytest.mark.parametrize(
    ("ring", "problem"),
    [
        (None, "TWILIO_TOKENS_ENCRYPTION_KEYS is not set"),
        ([generate_key(), generate_key()[:-4]], "Key 2 of TWILIO_TOKENS_ENCRYPTION_KEYS"),
    ],
    ids=["missing", "malformed"],
)
@pytest.mark.parametrize("page", ["add", "change"])
def test_without_a_usable_key_ring_the_secret_is_refused_beside_its_field(
    ring: list[str] | None,
    problem: str,
    page: str,
    api_key: APIKey,
    admin_client: Client,
    settings: Any,
) -> None:
    before = ciphertext(api_key)
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = ring
    typed = filled(APIKey)
    response = admin_client.post(
        url(APIKey, page, *([api_key.pk] if page == "change" else [])), typed
    )
    [message] = errors(response).pop("secret")
    assert message.startswith("The secret cannot be stored: ")
    assert problem in message
    for hidden in (typed["secret"], *(ring or [])):
        assert hidden not in response.content.decode()
    assert ciphertext(APIKey.objects.get()) == before


@pytest.mark.parametrize(
    ("ring", "problem"),
    [
        ("another one", "ts encryption key is not in "),
        ("none", "TWILIO_TOKENS_ENCRYPTION_KEYS is not set"),
        ("malformed", "Key 1 of TWILIO_TOKENS_ENCRYPTION_KEYS"),
    ],
)
def test_the_list_and_the_form_say_that_the_stored_secret_is_unreadable_and_why(
    ring: str, problem: str, api_key: APIKey, admin_client: Client, settings: Any
) -> None:
    for usable in (True, False):
        if not usable:
            settings.TWILIO_TOKENS_ENCRYPTION_KEYS = RINGS[ring]
        for address in (url(APIKey, "changelist"), url(APIKey, "change", api_key.pk)):
            page = admin_client.get(address).content.decode()
            assert ((problem in page), ("unreadable" in page)) == (not usable, not usable)


def test_a_damaged_secret_is_called_unreadable(api_key: APIKey, admin_client: Client) -> None:
    APIKey.objects.update(secret=Sealed("tt1:cut off"))
    page = admin_client.get(url(APIKey, "changelist")).content.decode()
    assert "unreadable" in page
    assert "damaged" in page


def test_who_may_only_view_sees_the_key_but_no_input(
    api_key: APIKey, secret: str, client: Client, user: User
) -> None:
    user.is_staff = True
    user.save()
    user.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    client.force_login(user)
    page = client.get(url(APIKey, "change", api_key.pk)).content.decode()
    assert api_key.sid in page
    assert 'name="secret"' not in page
    assert secret not in page
    assert ciphertext(api_key) not in page
    for page in (url(APIKey, "change", api_key.pk), url(APIKey, "add")):
        assert client.post(page, filled(APIKey)).status_code == 403


# What is refused


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        (sid("AC"), "This is an Account SID (AC…). Expected an API key SID"),
        (sid("SK")[:-1], "This has 33 characters, but an API key SID has 34"),
        (sid("SK") + "0", "This has 35 characters"),
        (sid("SK", "g"), "After SK, only the digits 0–9 and the letters a–f are allowed"),
        ("0123456789abcdef" * 2, "This looks like an auth token, which is a secret"),
        (new_secret() + "!", "This looks like a secret, not a SID"),
        ("my key", "Expected an API key SID: SK and 32 digits"),
    ],
    ids=["AC", "short", "long", "no hex", "auth token", "secret", "words"],
)
def test_a_mix_up_in_the_sid_is_named_and_only_sids_are_shown_again(
    typed: str, names: str, account: Account, admin_client: Client
) -> None:
    response = admin_client.post(url(APIKey, "add"), filled(APIKey, sid=typed))
    [message] = errors(response)["sid"]
    assert message.startswith(names)
    is_sid_like = re.fullmatch("(AC|SK)0+", typed)
    assert (typed in response.content.decode()) is bool(is_sid_like)
    assert not APIKey.objects.exists()


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        (sid("SK", "1"), "This is a SID. The secret is shown once, next to the SID"),
        ("0123456789abcdef" * 2, "This looks like the account's auth token."),
        (new_secret()[:15], "A secret has 16 to 128 letters, digits and symbols"),
        (new_secret() * 4 + "x", "A secret has 16 to 128 letters, digits and symbols"),
        ("two words, which are long enough", "A secret has 16 to 128 letters"),
    ],
    ids=["SID", "auth token", "short", "long", "words"],
)
@pytest.mark.parametrize("page", ["add", "change"])
def test_a_mix_up_in_the_secret_is_named_and_not_shown_again(
    typed: str, names: str, page: str, api_key: APIKey, admin_client: Client
) -> None:
    before = ciphertext(api_key)
    response = admin_client.post(
        url(APIKey, page, *([api_key.pk] if page == "change" else [])),
        filled(APIKey, sid=sid("SK", "2"), secret=typed),
    )
    [message] = errors(response)["secret"]
    assert message.startswith(names)
    assert typed not in response.content.decode()
    assert ciphertext(APIKey.objects.get()) == before


def test_sid_and_secret_pasted_into_each_others_field_are_both_named(
    account: Account, admin_client: Client
) -> None:
    typed = filled(APIKey)
    response = admin_client.post(
        url(APIKey, "add"), typed | {"sid": typed["secret"], "secret": typed["sid"]}
    )
    assert errors(response).keys() == {"sid", "secret"}
    assert typed["secret"] not in response.content.decode()


@EDITABLE
def test_white_space_around_a_sid_is_dropped(
    model: Any, account: Account, admin_client: Client
) -> None:
    data = filled(model)
    admin_client.post(url(model, "add"), data | {"sid": f"\t {data['sid']} \n"})
    assert model.objects.get(name="new").sid == data["sid"]


@EDITABLE
def test_every_kind_of_row_refuses_the_sid_of_another_kind(
    model: Any, account: Account, admin_client: Client
) -> None:
    other = sid("SK" if model is Account else "AC", "2")
    response = admin_client.post(url(model, "add"), filled(model, sid=other))
    [message] = errors(response)["sid"]
    assert f"starts with {PREFIXES[model]}." in message
    assert not model.objects.filter(sid=other).exists()


@pytest.mark.parametrize("region", [each for each in Region if each != Region.US1])
def test_every_region_but_us1_is_refused_with_the_reason_and_what_to_do(
    region: str, account: Account, admin_client: Client
) -> None:
    response = admin_client.post(url(APIKey, "add"), filled(APIKey, region=region))
    assert errors(response) == {"region": [REGION_REFUSED]}
    assert not APIKey.objects.exists()


def test_no_region_is_chosen_beforehand(account: Account, admin_client: Client) -> None:
    page = admin_client.get(url(APIKey, "add")).content.decode()
    [options] = re.findall(r'<select name="region".*?</select>', page, re.DOTALL)
    assert re.findall(r'<option value="([^"]*)" selected>', options) == [""]
    assert set(re.findall(r'<option value="([^"]+)"', options)) == set(Region)
    response = admin_client.post(url(APIKey, "add"), filled(APIKey, region=""))
    assert errors(response) == {"region": ["This field is required."]}


def test_sid_account_and_region_of_a_key_are_read_only_also_when_posted(
    api_key: APIKey, admin_client: Client
) -> None:
    page = admin_client.get(url(APIKey, "change", api_key.pk)).content.decode()
    for name in ("sid", "account", "region"):
        assert f'name="{name}"' not in page
    assert "United States (US1)" in page
    other = Account.objects.create(name="Other", sid=sid("AC", "2"))
    before = ciphertext(api_key)
    admin_client.post(
        url(APIKey, "change", api_key.pk),
        filled(APIKey, account=other.pk, sid=sid("SK", "2"), region="ie1", secret=""),
    )
    stored = APIKey.objects.get()
    assert (stored.sid, stored.account, stored.region) == (sid("SK"), api_key.account, "us1")
    assert (stored.name, ciphertext(stored)) == ("new", before)


def test_the_sid_of_an_account_is_read_only_also_when_posted(
    account: Account, admin_client: Client
) -> None:
    page = admin_client.get(url(Account, "change", account.pk)).content.decode()
    assert 'name="sid"' not in page
    admin_client.post(url(Account, "change", account.pk), filled(Account))
    account.refresh_from_db()
    assert (account.name, account.sid) == ("new", sid("AC"))


@EDITABLE
def test_the_form_says_where_in_the_console_the_sid_is_found(
    model: Any, account: Account, admin_client: Client
) -> None:
    page = admin_client.get(url(model, "add")).content.decode()
    assert f"Starts with {PREFIXES[model]}. Twilio Console: " in page
    address = getattr(model, "console_url", "")
    link = f'<a href="{address}" target="_blank" rel="noreferrer noopener">'
    assert ("Open in the Twilio Console</a>" in page) == bool(address)
    assert not address or link in page


def test_the_links_to_the_console_choose_the_region() -> None:
    start = "https://1console.twilio.com/go?to=/account/__account__"
    assert APIKey.console_url == f"{start}/settings/us1/api-keys/list"
    assert TwiMLApp.console_url == f"{start}/us1/voice/twiml-apps/"


# Defaults


def test_the_first_account_is_proposed_as_default(admin_client: Client) -> None:
    def proposed() -> bool:
        form = admin_client.get(url(Account, "add")).context["adminform"].form
        return bool(form["is_default"].value())

    assert proposed()
    Account.objects.create(name="Main", sid=sid("AC"))
    assert not proposed()


@WITH_DEFAULT
def test_the_first_of_each_kind_is_proposed_as_the_default_of_its_account(
    model: Any, account: Account, admin_client: Client
) -> None:
    def proposed(query: str = "") -> tuple[Any, bool]:
        form = admin_client.get(url(model, "add") + query).context["adminform"].form
        return form["account"].value(), bool(form["is_default"].value())

    assert proposed() == (account.pk, True)
    model.objects.create(account=account, name="first", sid=sid(PREFIXES[model]))
    assert proposed() == (account.pk, False)
    other = Account.objects.create(name="Other", sid=sid("AC", "2"))
    assert proposed(f"?account={other.pk}") == (str(other.pk), True)


@pytest.mark.parametrize("model", [model for model in PREFIXES if model is not Account])
def test_the_default_account_is_chosen_beforehand(model: Any, admin_client: Client) -> None:
    def chosen() -> Any:
        return admin_client.get(url(model, "add")).context["adminform"].form["account"].value()

    assert chosen() is None
    Account.objects.create(name="Main", sid=sid("AC"))
    default = Account.objects.create(name="Other", sid=sid("AC", "2"), is_default=True)
    assert chosen() == default.pk


@WITH_DEFAULT
def test_an_account_in_the_address_that_is_none_is_ignored(
    model: Any, account: Account, admin_client: Client
) -> None:
    assert admin_client.get(url(model, "add") + "?account=none").status_code == 200


@pytest.mark.parametrize("model", [Account, *RESOURCES])
def test_a_second_default_demotes_the_first(
    model: Any, every_row: None, admin_client: Client
) -> None:
    model.objects.update(is_default=True)
    first = model.objects.get()
    response = admin_client.post(url(model, "add"), filled(model, is_default="on", platform="apn"))
    assert response.status_code == 302
    assert model.objects.get(is_default=True).name == "new"

    data = filled(model, name=first.name, sid=first.sid, is_default="on", platform="apn")
    admin_client.post(url(model, "change", first.pk), data)
    assert model.objects.get(is_default=True) == first


# Lists


@pytest.mark.parametrize(
    ("model", "query"),
    [
        (Account, "q=Wanted"),
        (Account, f"q={sid('AC', '1')}"),
        (Account, "is_default__exact=0"),
        (APIKey, "q=Wanted"),
        (APIKey, f"q={sid('SK', '1')}"),
        (APIKey, f"q={sid('AC', '1')}"),
        (APIKey, "is_active__exact=0"),
        (ChatService, "q=wanted"),
        (ChatService, f"q={sid('IS', '1')}"),
        (ChatService, "q=Wanted+account"),
        (ChatService, "is_default__exact=0"),
        (TwiMLApp, "q=wanted"),
        (TwiMLApp, f"q={sid('AC', '1')}"),
        (TwiMLApp, "allow_incoming__exact=0"),
        (PushCredential, "q=wanted"),
        (PushCredential, f"q={sid('CR', '1')}"),
        (PushCredential, "platform__exact=fcm"),
        (SyncService, "q=wanted"),
        (Workspace, f"q={sid('WS', '1')}"),
    ],
)
def test_search_and_filters_find_the_one_row(
    model: Any, query: str, every_row: None, admin_client: Client
) -> None:
    account = Account.objects.create(name="Wanted account", sid=sid("AC", "1"))
    wanted = {"account": account, "name": "wanted", "sid": sid(PREFIXES[model], "1")}
    if model is APIKey:
        wanted |= {"secret": new_secret(), "region": "us1", "is_active": False}
    if model is PushCredential:
        wanted["platform"] = "fcm"
    row = account if model is Account else model.objects.create(**wanted)
    found = admin_client.get(f"{url(model, 'changelist')}?{query}").context["cl"].result_list
    assert list(found) == [row]


@pytest.mark.parametrize("model", [APIKey, *RESOURCES])
def test_a_list_is_filtered_by_account(model: Any, every_row: None, admin_client: Client) -> None:
    other = Account.objects.create(name="Other", sid=sid("AC", "2"))
    for pk, count in ((Account.objects.get(name="Main").pk, 1), (other.pk, 0)):
        query = f"?account__id__exact={pk}"
        response = admin_client.get(url(model, "changelist") + query)
        assert response.context["cl"].result_count == count


@WITH_GROUPS
def test_groups_are_chosen_in_the_form_and_filter_the_list(
    model: Any, account: Account, admin_client: Client
) -> None:
    group = Group.objects.create(name="agents")
    admin_client.post(url(model, "add"), filled(model, groups=[group.pk]))
    assert list(model.objects.get().groups.all()) == [group]
    response = admin_client.get(url(model, "changelist") + f"?groups__id__exact={group.pk}")
    assert response.context["cl"].result_count == 1


# Issued tokens


def test_issued_tokens_are_listed_with_what_they_grant_and_whether_they_live(
    api_key: APIKey, user: User, admin_client: Client
) -> None:
    issue(user, 2)
    response = admin_client.get(url(IssuedToken, "changelist"))
    rows = re.findall(r"<tr>.*?</tr>", response.content.decode(), re.DOTALL)[-2:]
    for row, alive in zip(rows, ("True", "False"), strict=True):
        [products] = re.findall(r'"field-products">(.*?)<', row)
        assert sorted(products.split(", ")) == ["chat", "video"]
        assert user.username in row
        assert f'alt="{alive}"' in row


def test_an_issued_token_is_shown_without_any_input(
    api_key: APIKey, user: User, admin_client: Client
) -> None:
    issue(user, 1)
    page = admin_client.get(url(IssuedToken, "change", IssuedToken.objects.get().pk))
    assert "jti-0" in page.content.decode()
    assert "DailyStandup" in page.content.decode()
    assert 'name="_save"' not in page.content.decode()
    assert not page.context["adminform"].form.fields


@pytest.mark.parametrize(
    "query", ["q=jti-1", "q=berta", "api_key__id__exact={key}", "issued_at__gte={yesterday}"]
)
def test_issued_tokens_are_searched_and_filtered(
    query: str, api_key: APIKey, user: User, admin_client: Client
) -> None:
    issue(user, 1)
    IssuedToken.objects.update(issued_at=timezone.now() - timedelta(days=2))
    key = APIKey.objects.create(
        account=api_key.account, name="K2", sid=sid("SK", "1"), region="us1", secret=new_secret()
    )
    wanted = IssuedToken.objects.create(
        jti="jti-1",
        user=None,
        identity="berta",
        api_key=key,
        grants={},
        issued_at=timezone.now(),
        expires_at=timezone.now(),
    )
    yesterday = quote(str(timezone.now() - timedelta(days=1)))
    query = query.format(key=key.pk, yesterday=yesterday)
    found = admin_client.get(f"{url(IssuedToken, 'changelist')}?{query}").context["cl"].result_list
    assert list(found) == [wanted]


def test_issued_tokens_are_read_only_also_by_post(
    api_key: APIKey, user: User, admin_client: Client
) -> None:
    issue(user, 1)
    record = IssuedToken.objects.get()
    data = {"identity": "someone-else", "post": "yes"}
    for page in (
        url(IssuedToken, "add"),
        *(url(IssuedToken, page, record.pk) for page in ("change", "delete")),
    ):
        assert admin_client.post(page, data).status_code == 403
    admin_client.post(
        url(IssuedToken, "changelist"),
        {"action": "delete_selected", "_selected_action": [record.pk], "post": "yes"},
    )
    record.refresh_from_db()
    assert record.identity == user.username


@pytest.mark.parametrize("model", [APIKey, ChatService, TwiMLApp, PushCredential])
def test_a_longer_list_costs_no_more_queries(
    model: Any, user: User, django_assert_num_queries: Any, admin_client: Client
) -> None:
    def add(number: int) -> None:
        account = Account.objects.create(name=f"{number}", sid=f"AC{number:032}")
        values: dict[str, Any] = {"name": f"{number}", "sid": f"{PREFIXES[model]}{number:032}"}
        if model is APIKey:
            values |= {"region": "us1", "secret": new_secret()}
        model.objects.create(account=account, **values)

    add(1)
    with CaptureQueriesContext(connection) as captured:
        admin_client.get(url(model, "changelist"))
    for number in range(2, 12):
        add(number)
    with django_assert_num_queries(len(captured)):
        page = admin_client.get(url(model, "changelist"))
    assert page.context["cl"].result_count == 11


def test_a_longer_list_of_issued_tokens_costs_no_more_queries(
    api_key: APIKey, user: User, django_assert_num_queries: Any, admin_client: Client
) -> None:
    issue(user, 3)
    with CaptureQueriesContext(connection) as captured:
        admin_client.get(url(IssuedToken, "changelist"))
    IssuedToken.objects.all().delete()
    issue(user, 30)
    with django_assert_num_queries(len(captured)):
        admin_client.get(url(IssuedToken, "changelist"))


# Deleting what has signed tokens


@pytest.mark.parametrize("model", [Account, APIKey])
@pytest.mark.parametrize("page", ["delete", "changelist"])
def test_what_has_signed_tokens_is_protected_without_loading_them(
    model: Any, page: str, api_key: APIKey, user: User, admin_client: Client
) -> None:
    row = api_key if model is APIKey else api_key.account
    address = url(model, page, *([row.pk] if page == "delete" else []))
    data = {"action": "delete_selected", "_selected_action": [row.pk]} if page != "delete" else {}

    def protected_by(count: int) -> int:
        IssuedToken.objects.all().delete()
        issue(user, count)
        with CaptureQueriesContext(connection) as captured:
            asked = admin_client.post(address, data) if data else admin_client.get(address)
            refused = admin_client.post(address, data | {"post": "yes"})
        for response in (asked, refused):
            text = response.content.decode()
            assert f"{count} issued tokens: they are the audit of what was signed." in text
            assert "Deactivate the API key instead." in text
            assert "jti-0" not in text
        assert model.objects.filter(pk=row.pk).exists()
        assert not [query for query in captured if re.search(r"\bjti\b", query["sql"])]
        return len(captured)

    assert protected_by(3) == protected_by(30)


@pytest.mark.parametrize("model", [Account, APIKey])
def test_a_single_issued_token_is_told_of_in_the_singular(
    model: Any, api_key: APIKey, user: User, admin_client: Client
) -> None:
    issue(user, 1)
    row = api_key if model is APIKey else api_key.account
    page = admin_client.get(url(model, "delete", row.pk)).content.decode()
    assert "1 issued token: it is the audit of what was signed." in page


@pytest.mark.parametrize("model", [Account, APIKey])
def test_what_has_signed_nothing_is_deleted_by_the_action_too(
    model: Any, api_key: APIKey, admin_client: Client
) -> None:
    row = api_key if model is APIKey else api_key.account
    data = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    admin_client.post(url(model, "changelist"), data)
    assert not APIKey.objects.exists()
