"""The pages for issued tokens: the audit list, a test token, a token to decode."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from html import unescape
from typing import Any

import jwt
import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User, UserManager
from django.contrib.messages import get_messages
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.log import AdminEmailHandler
from twilio.jwt.access_token.grants import VideoGrant

from twilio_tokens import issuing
from twilio_tokens.admin import audit_list
from twilio_tokens.grants import Grant, Video, WorkerGrant, base, register, registered
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import (
    APIKey,
    ChatService,
    IssuedToken,
    PushCredential,
    SyncService,
    TwiMLApp,
    Workspace,
)

from .console import AUDIT_LIST, staff
from .issued import decoded, record, signed
from .rows import add_key, new_secret, sid
from .site.models import Stage

TEST = "admin:twilio_tokens_issuedtoken_test"
DECODE = "admin:twilio_tokens_issuedtoken_decode"
UTC = timezone.utc


def text(response: Any) -> str:
    """What a person reads of the page."""
    assert response.status_code == 200
    visible = unescape(re.sub(r"<[^>]+>", " ", response.content.decode()))
    return re.sub(r"\s+", " ", visible)


def listed(client: Client, query: str = "") -> list[IssuedToken]:
    return list(client.get(f"{reverse(AUDIT_LIST)}?{query}").context["cl"].result_list)


def errors(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    return response.context["form"].errors


def token_of(response: Any) -> str:
    found = re.search(r"<textarea[^>]* readonly[^>]*>([^<]+)<", response.content.decode())
    assert found is not None
    return found[1]


# Who sees what


@pytest.mark.parametrize(
    ("permissions", "statuses"),
    [
        ([], [403, 403, 403]),
        (["view_apikey", "change_apikey"], [403, 403, 403]),
        (["view_issuedtoken"], [200, 403, 200]),
        (["issue_test_token"], [403, 200, 403]),
        (["view_issuedtoken", "issue_test_token"], [200, 200, 200]),
        # Nobody changes a record, but Django takes this for a permission to look at it.
        (["change_issuedtoken"], [200, 403, 200]),
    ],
)
@pytest.mark.django_db
def test_each_page_is_for_those_who_may(permissions: list[str], statuses: list[int]) -> None:
    client = staff(*permissions)
    pages = [reverse(name) for name in (AUDIT_LIST, TEST, DECODE)]
    assert [client.get(page).status_code for page in pages] == statuses
    assert [client.post(page, {"token": "x"}).status_code for page in pages] == statuses


@pytest.mark.parametrize("page", [TEST, DECODE])
@pytest.mark.django_db
def test_who_is_not_staff_is_asked_to_sign_in(page: str, client: Client, user: User) -> None:
    for _ in range(2):
        assert "/login/" in client.get(reverse(page)).url
        client.force_login(user)


@pytest.mark.parametrize("may_issue", [True, False])
@pytest.mark.django_db
def test_the_list_links_to_the_pages_that_may_be_used(may_issue: bool) -> None:
    client = staff("view_issuedtoken", *(["issue_test_token"] if may_issue else []))
    page = client.get(reverse(AUDIT_LIST)).content.decode()
    assert (reverse(TEST) in page) is may_issue
    assert reverse(DECODE) in page


@pytest.mark.django_db
def test_who_may_only_issue_is_not_sent_to_the_list() -> None:
    page = staff("issue_test_token").get(reverse(TEST)).content.decode()
    assert reverse(AUDIT_LIST) not in page


@pytest.mark.parametrize("may_follow", [True, False])
def test_a_record_links_only_to_what_may_be_seen(
    may_follow: bool, api_key: APIKey, user: User, admin_user: User
) -> None:
    row = record(user=user, issued_by=admin_user, grants={"video": {"room": "Ä & B"}})
    client = staff("view_issuedtoken", *(["view_user", "view_apikey"] if may_follow else []))
    response = client.get(reverse("admin:twilio_tokens_issuedtoken_change", args=[row.pk]))
    for target in (user, admin_user, api_key):
        name = f"admin:{target._meta.app_label}_{target._meta.model_name}_change"
        assert (reverse(name, args=[target.pk]) in response.content.decode()) is may_follow
        assert str(target) in text(response)
    assert '{ "video": { "room": "Ä & B" } }' in text(response)
    assert "historylink" not in response.content.decode()


def test_a_record_without_user_is_shown_too(api_key: APIKey, admin_client: Client) -> None:
    row = record()
    page = reverse("admin:twilio_tokens_issuedtoken_change", args=[row.pk])
    assert "User: - Issued by:" in text(staff("view_issuedtoken").get(page))
    assert "User: - Issued by:" in text(admin_client.get(page))


def test_no_link_leads_to_a_model_that_is_not_in_the_admin(
    api_key: APIKey, user: User, admin_client: Client
) -> None:
    row = record(user=user)
    model_admin = admin.site._registry.pop(User)
    try:
        page = reverse("admin:twilio_tokens_issuedtoken_change", args=[row.pk])
        assert "User: anna" in text(admin_client.get(page))
    finally:
        admin.site._registry[User] = model_admin


# The audit list


BERTAS = ("chat", "voice", "taskrouter", "live")


@pytest.fixture
def three(api_key: APIKey, user: User) -> dict[str, IssuedToken]:
    berta = User.objects.create_user("berta")
    key = add_key(api_key.account)
    past = datetime(2024, 2, 29, 12, tzinfo=UTC)
    return {
        "anna": record(user=user, identity="anna_40example"),
        "berta": record(user=berta, identity="berta", grants={product: {} for product in BERTAS}),
        "old": record(
            user=user,
            identity="Anna Maria",
            api_key=key,
            issued_at=past,
            expires_at=past + timedelta(hours=1),
        ),
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["berta", "anna", "old"]),
        ("o=1", ["old", "anna", "berta"]),
        ("o=-1", ["berta", "anna", "old"]),
        ("state=live", ["berta", "anna"]),
        ("state=expired", ["old"]),
        ("product=video", ["anna", "old"]),
        ("product=voice", ["berta"]),
        ("product=sync", []),
        ("product=taskrouter", ["berta"]),
        ("product=live", ["berta"]),
        ("user__id__exact={user}", ["anna", "old"]),
        ("user__id__exact=999999", []),
        ("api_key__id__exact={key}", ["old"]),
        ("product=video&state=expired&user__id__exact={user}", ["old"]),
        ("q=anna_", ["anna"]),
        ("q=Anna%20Maria", ["old"]),
        ("q=anna", ["anna", "old"]),  # by username
        ("q=berta", ["berta"]),
        ("q=jti-2", ["old"]),
        ("q=%20", ["berta", "anna", "old"]),
        ("q=jti", []),
        ("issued_at__year=2024", ["old"]),
        ("issued_at__year=2024&issued_at__month=2", ["old"]),
        ("issued_at__year=2024&issued_at__month=2&issued_at__day=29", ["old"]),
        ("issued_at__year=2024&issued_at__month=3", []),
    ],
)
def test_the_list_is_filtered_searched_and_sorted(
    query: str, found: list[str], three: dict[str, IssuedToken], admin_client: Client
) -> None:
    query = query.format(user=three["anna"].user_id, key=three["old"].api_key_id)
    names = {row.pk: name for name, row in three.items()}
    assert [names[row.pk] for row in listed(admin_client, query)] == found


@pytest.mark.parametrize(
    "query",
    [
        "state=dead",
        "product=fax",
        "product=%00",
        "user__id__exact=anna",
        "api_key__id__exact=1",
        "issued_at__year=never",
        "issued_at__year=9999",
        "issued_at__year=0",
        "p=99",
        "p=99999999999999999999",
        "p=-1",
        f"user__id__exact={'9' * 5_000}",
        "user__id__exact=1%00",
        "user__id__exact=",
        "api_key__id__exact=%00",
        "issued_at__year=999999",
        "issued_at__year=-1",
        "issued_at__year=2024&issued_at__month=13",
        "issued_at__year=2024&issued_at__month=2&issued_at__day=30",
        "issued_at__year=9999&issued_at__month=12&issued_at__day=31",
        "issued_at__month=%00",
        "issued_at__month=x",
        "issued_at__gte=never",
        "issued_at__gte=99999-01-01",
        "nothing=1",
    ],
)
def test_an_address_that_says_nonsense_leads_back_to_the_list(
    query: str, three: dict[str, IssuedToken], admin_client: Client, monkeypatch: Any
) -> None:
    monkeypatch.setattr(admin.site.get_model_admin(IssuedToken), "list_per_page", 1)
    response = admin_client.get(f"{reverse(AUDIT_LIST)}?{query}")
    assert (response.status_code, response.url) == (302, f"{reverse(AUDIT_LIST)}?e=1")


@pytest.mark.parametrize(
    "query",
    [
        "q=%00",
        "q=a%00b",
        "q=%ED%A0%80",
        "q=" + "x" * 5_000,
        "q=%25",
        "q='%20OR%201=1--",
        "o=99",
        "o=x",
        "o=-99999999999999999999.1",
        "o=",
        "p=x",
        "p=",
        "all=",
        "all=x",
        "_facets=x",
        "_popup=1",
        "_to_field=id",
        "e=1",
        f"user__id__exact={10**19}",
        f"user__id__exact={-(10**40)}",
        "issued_at__year=1&issued_at__month=1&issued_at__day=1",
        "issued_at__day=99999999999999999999",
        "issued_at__gte=0001-01-01%2000:00%2B14:00",
        "issued_at__isnull=maybe",
        "grants__video__room=x",
        "api_key__account__id__exact=99999999999999999999",
    ],
)
@pytest.mark.parametrize("number", [0, 1])
def test_an_odd_address_breaks_nothing(
    query: str, number: int, api_key: APIKey, admin_client: Client
) -> None:
    for _ in range(number):
        record()
    response = admin_client.get(f"{reverse(AUDIT_LIST)}?{query}", follow=True)
    assert response.status_code in (200, 400)  # 400 is Django's, to a lookup that no filter has


def test_a_click_on_a_user_or_key_filters_by_it(
    three: dict[str, IssuedToken], admin_client: Client
) -> None:
    page = admin_client.get(reverse(AUDIT_LIST))
    assert "By user" not in text(page)
    user = three["berta"].user
    assert f'<a href="?user__id__exact={user.pk}">berta</a>' in page.content.decode()
    key = three["old"].api_key
    assert f'<a href="?api_key__id__exact={key.pk}">{key.name}</a>' in page.content.decode()

    page = admin_client.get(f"{reverse(AUDIT_LIST)}?user__id__exact={user.pk}")
    assert "By user All berta" in text(page)


def test_of_many_keys_the_newest_and_the_chosen_stand_beside_the_list(
    api_key: APIKey, admin_client: Client, monkeypatch: Any
) -> None:
    monkeypatch.setattr(audit_list, "LISTED_KEYS", 2)
    newer = [add_key(api_key.account, name=name) for name in ("second", "third")]
    page = text(admin_client.get(reverse(AUDIT_LIST)))
    assert f"All third (…{newer[1].sid[-6:]}) second (…{newer[0].sid[-6:]}) ↓" in page.replace(
        "By issued", "↓"
    )
    page = text(admin_client.get(f"{reverse(AUDIT_LIST)}?api_key__id__exact={api_key.pk}"))
    assert f"{api_key.name} (…{api_key.sid[-6:]})" in page


def test_a_token_of_nobody_is_listed(api_key: APIKey, admin_client: Client) -> None:
    record()
    page = admin_client.get(reverse(AUDIT_LIST)).content.decode()
    assert 'field-user_in_list">-<' in page


# Dates


def dates(client: Client, query: str = "") -> tuple[str, list[str]]:
    """The way back, and the choices."""
    shown = client.get(f"{reverse(AUDIT_LIST)}?{query}").context["cl"].dates
    return (shown["back"] or {"title": ""})["title"], [each["title"] for each in shown["choices"]]


def test_dates_lead_from_years_to_days(api_key: APIKey, admin_client: Client) -> None:
    for day in (datetime(2023, 11, 5, tzinfo=UTC), datetime(2024, 2, 20, tzinfo=UTC)):
        record(issued_at=day, expires_at=day)
    assert dates(admin_client) == ("", ["2023", "2024"])
    assert dates(admin_client, "issued_at__year=2024") == (
        "All dates",
        ["January 2024", "February 2024"],
    )
    back, days = dates(admin_client, "issued_at__year=2023&issued_at__month=11")
    assert (back, days[0], days[-1]) == ("2023", date_format(FIRST, "MONTH_DAY_FORMAT"), days[-1])
    assert days[-1] == "November 30"
    query = "issued_at__year=2024&issued_at__month=2&issued_at__day=20"
    assert dates(admin_client, query) == ("February 2024", ["February 20"])
    link = (
        admin_client.get(f"{reverse(AUDIT_LIST)}?state=expired").context["cl"].dates["choices"][0]
    )
    assert link["link"] == "?issued_at__year=2023&state=expired"


#: Where the site of the tests lives, the 5th has not begun yet at midnight UTC.
FIRST = datetime(2023, 11, 4)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("last", "choices"),
    [
        (datetime(2024, 3, 12, 12, tzinfo=UTC), ["March 10", "March 11", "March 12"]),
        (datetime(2024, 4, 1, 12, tzinfo=UTC), ["March 2024", "April 2024"]),
    ],
)
def test_dates_begin_where_there_is_a_choice(
    last: datetime, choices: list[str], api_key: APIKey, admin_client: Client
) -> None:
    for day in (datetime(2024, 3, 10, 12, tzinfo=UTC), last):
        record(issued_at=day, expires_at=day)
    assert dates(admin_client) == ("", choices)


@pytest.mark.django_db
def test_an_empty_list_offers_no_dates(admin_client: Client) -> None:
    assert "Filter by issued" not in text(admin_client.get(reverse(AUDIT_LIST)))


# A million rows


def test_nothing_is_counted_beyond_the_longest_list(
    api_key: APIKey, admin_client: Client, monkeypatch: Any
) -> None:
    monkeypatch.setattr(audit_list, "LONGEST_LIST", 2)
    for _ in range(2):
        record()
    assert "2 issued tokens" in text(page := admin_client.get(reverse(AUDIT_LIST)))
    assert "twilio-capped" not in page.content.decode()
    record()
    with CaptureQueriesContext(connection) as captured:
        page = admin_client.get(reverse(AUDIT_LIST))
    counts = [each["sql"] for each in captured if "COUNT(" in each["sql"]]
    assert counts
    assert all("LIMIT 3" in sql for sql in counts)
    assert "There are more than" in text(page)
    assert "2 results" not in text(page)
    assert not [each for each in captured if " JOIN " in each["sql"] and "jti" in each["sql"]]


def test_a_longer_list_and_more_keys_cost_no_more_queries(
    api_key: APIKey, user: User, django_assert_num_queries: Any, admin_client: Client
) -> None:
    record(user=user)
    with CaptureQueriesContext(connection) as captured:
        admin_client.get(reverse(AUDIT_LIST))
    for number in range(10):
        record(user=User.objects.create_user(f"{number}"), api_key=add_key(api_key.account))
    with django_assert_num_queries(len(captured)):
        admin_client.get(reverse(AUDIT_LIST))


# A test token


def filled(**values: Any) -> dict[str, Any]:
    return {"username": "anna", "video": "on"} | values


@pytest.fixture
def tester(user: User) -> Client:
    return staff("issue_test_token", "view_issuedtoken", "view_apikey")


def test_the_form_has_every_product_and_every_name(
    tester: Client, chat_service: ChatService, twiml_app: TwiMLApp, push_credential: PushCredential
) -> None:
    form = tester.get(reverse(TEST)).context["form"]
    names = {name: [key for key, _label in field.choices] for name, field in form.fields.items()
             if hasattr(field, "choices")}  # fmt: skip
    assert names == {
        "chat-service": ["", "support"],
        "voice-app": ["", "phone"],
        "voice-incoming": ["", "yes", "no"],
        "sync-service": [""],
        "taskrouter-workspace": [""],
        "live-stage": [""],
        **{
            f"{product}-{name}": choices
            for product in ("chat", "voice")
            for name, choices in {
                "push_credential": ["", "ios"],
                "platform": ["", "ios", "apn", "android", "fcm"],
                "sandbox": ["", "yes", "no"],
            }.items()
        },
    }
    assert {"ttl", "video-room", "voice-params", *registered()} <= form.fields.keys()


def test_a_token_is_issued_shown_and_recorded_with_who_made_it(
    tester: Client,
    user: User,
    api_key: APIKey,
    secret: str,
    chat_service: ChatService,
    twiml_app: TwiMLApp,
    push_credential: PushCredential,
) -> None:
    data = {
        "username": "anna",
        "ttl": "600",
        "video": "on",
        "video-room": " Daily ",
        "chat": "on",
        "chat-service": "support",
        "chat-push_credential": "ios",
        "voice": "on",
        "voice-incoming": "yes",
        "voice-params": '{"a": "b"}',
    }
    response = tester.post(reverse(TEST), data)
    claims = decoded(token_of(response), secret)
    assert claims["grants"] == {
        "identity": "anna",
        "video": {"room": " Daily "},
        "chat": {"service_sid": chat_service.sid, "push_credential_sid": push_credential.sid},
        "voice": {
            "incoming": {"allow": True},
            "outgoing": {"application_sid": twiml_app.sid, "params": {"a": "b"}},
        },
    }
    row = IssuedToken.objects.get()
    assert (row.user, row.issued_by.username, row.jti) == (user, "staff", claims["jti"])

    page = text(response)
    assert "Identity anna Valid for 600" in page
    assert "As far as this site can tell, the token is valid" in page
    assert reverse("admin:twilio_tokens_apikey_change", args=[api_key.pk]) in (
        response.content.decode()
    )
    assert reverse("admin:twilio_tokens_issuedtoken_change", args=[row.pk]) in (
        response.content.decode()
    )
    for sentence in (
        "Gives access only to the room “ Daily ”.",
        "the user is disconnected with error 20104",
        f"Gives access to the Chat service {chat_service.sid}.",
        "3 minutes before the token expires",
        f"Outgoing calls use the TwiML App {twiml_app.sid}.",
        "can be called as “anna”",
        "10 seconds before the token expires",
        f"push credential {push_credential.sid}",
    ):
        assert re.sub(r"\s+", " ", sentence) in page
    assert response.context["form"]["video-room"].value() == " Daily "


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"video": "on"}, "Gives access to every room of the account."),
        ({"voice": "on", "ttl": "10"}, "causes an endless loop"),
        ({"voice": "on", "voice-incoming": "no"}, "The Device cannot be called"),
        ({"chat": "on", "ttl": "179"}, "The event never fires"),
        ({"chat": "on", "ttl": "180"}, "3 minutes before the token expires"),
        ({"voice": "on", "ttl": "11"}, "10 seconds before the token expires"),
    ],
)
def test_what_the_sdks_do_depends_on_the_token(
    data: dict[str, str],
    sentence: str,
    tester: Client,
    api_key: APIKey,
    chat_service: ChatService,
    twiml_app: TwiMLApp,
) -> None:
    assert sentence in text(tester.post(reverse(TEST), data | {"username": "anna"}))


@pytest.mark.parametrize(
    ("product", "model", "prefix", "payload", "note"),
    [
        (
            "sync",
            SyncService,
            "IS",
            {"data_sync": {"service_sid": sid("IS")}},
            "Gives access to the Sync",
        ),
        (
            "taskrouter",
            Workspace,
            "WS",
            {
                "task_router": {
                    "workspace_sid": sid("WS"),
                    "worker_sid": sid("WK"),
                    "role": "supervisor",
                }
            },
            "Acts as the supervisor",
        ),
        ("live", Stage, "VL", {"player": {"stage": sid("VL")}}, ""),
    ],
)
def test_every_registered_product_is_issued_and_decoded(
    product: str,
    model: Any,
    prefix: str,
    payload: dict[str, Any],
    note: str,
    tester: Client,
    api_key: APIKey,
    secret: str,
    settings: Any,
) -> None:
    settings.TWILIO_TOKENS_WORKER = lambda user, workspace: WorkerGrant(sid("WK"), "supervisor")
    model.objects.create(account=api_key.account, name="one", sid=sid(prefix), is_default=True)
    response = tester.post(reverse(TEST), {"username": "anna", product: "on"})
    assert decoded(token_of(response), secret)["grants"] == {"identity": "anna", **payload}
    page = text(response)
    assert note in page
    assert "As far as this site can tell, the token is valid" in page
    assert page.count(f"Grant {registered()[product].label}") == 1


@pytest.mark.parametrize(
    ("asked", "digit"), [({}, "1"), ({"chat-sandbox": "no"}, "1"), ({"chat-sandbox": "yes"}, "2")]
)
def test_a_platform_chooses_its_default_push_credential(
    asked: dict[str, str],
    digit: str,
    tester: Client,
    chat_service: ChatService,
    api_key: APIKey,
    secret: str,
) -> None:
    for name, digit_of_row in (("live", "1"), ("sandbox", "2")):
        PushCredential.objects.create(
            account=api_key.account,
            name=name,
            sid=sid("CR", digit_of_row),
            platform="apn",
            sandbox=name == "sandbox",
            is_default=True,
        )
    data = {"username": "anna", "chat": "on", "chat-platform": "ios", **asked}
    grants = decoded(token_of(tester.post(reverse(TEST), data)), secret)["grants"]
    assert grants["chat"]["push_credential_sid"] == sid("CR", digit)


def test_a_grant_of_the_sites_own_has_fields_of_each_type(
    tester: Client, api_key: APIKey, secret: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(base, "_registry", {})

    @register
    @dataclass(frozen=True)
    class Recording(Grant):
        product = "call_recording"
        seconds: int | None = None

        def to_twilio(self, user: Any, resources: Any) -> Any:
            return VideoGrant(room=f"for {self.seconds} s")

    assert "Grant Call recording Seconds: " in text(tester.get(reverse(TEST)))
    data = {"username": "anna", "call_recording": "on", "call_recording-seconds": "30"}
    claims = decoded(token_of(tester.post(reverse(TEST), data)), secret)
    assert claims["grants"]["video"] == {"room": "for 30 s"}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ZeroDivisionError("a mistake"), "No token was issued: Unexpected error: ZeroDivision"),
        (DjangoPermissionDenied("Not on Sundays."), "Not on Sundays."),
        (DjangoPermissionDenied(), "You do not have permission to get this Access Token."),
    ],
)
def test_why_a_grant_of_the_sites_own_fails_is_told(
    tester: Client,
    api_key: APIKey,
    error: Exception,
    told: str,
    monkeypatch: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*args: Any) -> None:
        raise error

    monkeypatch.setattr(Video, "authorize", fail)
    response = tester.post(reverse(TEST), {"username": "anna", "video": "on"})
    assert response.status_code == 200
    assert told in text(response)
    assert ("a mistake" in caplog.text) == ("a mistake" in str(error))
    assert not IssuedToken.objects.exists()


def test_details_of_a_product_that_is_not_ticked_do_not_count(
    tester: Client, api_key: APIKey, secret: str
) -> None:
    response = tester.post(reverse(TEST), filled(**{"chat-service": "", "voice-params": "{}"}))
    assert {*decoded(token_of(response), secret)["grants"]} == {"identity", "video"}


@pytest.mark.parametrize(
    ("data", "field", "message"),
    [
        ({"username": ""}, "username", "This field is required."),
        ({"username": "nobody"}, "username", "This user does not exist."),
        ({"username": "inactive"}, "username", "Only active users who are signed in"),
        ({"username": "an@na", "voice": "on"}, "username", "“@”"),
        ({"video": ""}, "__all__", "Request at least one product."),
        ({"video-room": "x" * 129}, "video-room", "no more than 128"),
        ({"video-room": "  "}, "video-room", "may not be blank"),
        ({"ttl": "0"}, "ttl", "greater than or equal to 1"),
        ({"ttl": "86401"}, "ttl", "less than or equal to 86400"),
        ({"ttl": "soon"}, "ttl", "Enter a whole number."),
        (
            {"chat": "on", "chat-service": "agents"},
            "chat-service",
            "with this name is available to you",
        ),
        ({"chat": "on", "chat-service": "none"}, "chat-service", "Select a valid choice."),
        ({"voice": "on", "voice-incoming": "yes"}, "__all__", "does not allow incoming"),
        ({"voice": "on", "voice-incoming": "x"}, "voice-incoming", "Select a valid choice."),
        (
            {"chat": "on", "chat-platform": "fcm"},
            "chat-platform",
            "no matching default push credential",
        ),
        ({"chat": "on", "chat-platform": "palm"}, "chat-platform", "Select a valid choice."),
        ({"chat": "on", "chat-sandbox": "yes"}, "chat-sandbox", "requires a platform"),
        ({"live": "on"}, "__all__", "has no default stage"),
        ({"voice": "on", "voice-params": "{"}, "voice-params", "valid JSON"),
        ({"voice": "on", "voice-params": "[" * 100_000}, "voice-params", "valid JSON"),
        ({"voice": "on", "voice-params": "[1]"}, "voice-params", "an object"),
        ({"chat": "on", "chat-service": "theirs"}, "__all__", "belong to the same Twilio account"),
    ],
)
def test_a_refusal_stands_where_it_belongs_and_the_input_stays(
    data: dict[str, str],
    field: str,
    message: str,
    tester: Client,
    api_key: APIKey,
    chat_service: ChatService,
    twiml_app: TwiMLApp,
    push_credential: PushCredential,
    other: Any,
) -> None:
    User.objects.create_user("inactive", is_active=False)
    User.objects.create_user("an@na")
    TwiMLApp.objects.update(allow_incoming=False)
    agents = ChatService.objects.create(account=api_key.account, name="agents", sid=sid("IS", "2"))
    agents.groups.add(Group.objects.create(name="agents"))
    if data.get("chat-service") == "theirs":
        data |= {"chat-push_credential": "ios"}
    response = tester.post(reverse(TEST), filled(**data))
    assert list(errors(response)) == [field]
    assert message in unescape(str(errors(response)))
    assert message in text(response)
    form = response.context["form"]
    for name, value in filled(**data).items():
        if name not in registered():
            assert form[name].value() == value
    assert not IssuedToken.objects.exists()


@pytest.mark.parametrize(
    "params",
    [
        '{"a": "\\ud800"}',
        '{"\\u0000": "x"}',
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": {}}',
        '{"a": null}',
        '"a"',
        "NaN",
        "9" * 5_000,
        '{"a": "' + "x" * 2_000 + '"}',
        "{'a': 'b'}",
        "\ufeff{}",
    ],
)
def test_hostile_parameters_are_refused_beside_their_field(
    params: str, tester: Client, api_key: APIKey, twiml_app: TwiMLApp
) -> None:
    data = {"username": "anna", "voice": "on", "voice-params": params}
    response = tester.post(reverse(TEST), data)
    assert list(errors(response)) == ["voice-params"]
    assert not IssuedToken.objects.exists()


class IgnoringCase(UserManager):  # type: ignore[type-arg]
    """As sites have it that let users sign in however they write their names."""

    def get_by_natural_key(self, username: str) -> Any:
        return self.get(username__iexact=username)


@pytest.fixture
def ignoring_case(monkeypatch: Any) -> None:
    manager = IgnoringCase()
    manager.model = User
    monkeypatch.setattr(User._meta, "default_manager", manager)


def test_of_users_whose_names_differ_in_case_the_exact_one_is_meant(
    ignoring_case: None, tester: Client, api_key: APIKey, user: User
) -> None:
    try:
        with transaction.atomic():
            other = User.objects.create_user("ANNA")
    except IntegrityError:
        pytest.skip("MariaDB takes both for one.")
    tester.post(reverse(TEST), filled(username="ANNA"))
    assert IssuedToken.objects.get().user == other
    assert list(errors(tester.post(reverse(TEST), filled(username="aNNa")))["username"]) == [
        "Several users have this name in different capitalization. Enter the exact name of one of "
        "them."
    ]
    assert len(listed(tester, "q=ANNA")) == 1


@pytest.mark.parametrize(
    "username", ["\x00", "a\x00b", "😀", "x" * 5_000, "%", "' OR 1=1 --", "\u202eanna"]
)
def test_an_odd_username_is_nobodys(username: str, tester: Client, api_key: APIKey) -> None:
    assert list(errors(tester.post(reverse(TEST), filled(username=username)))) == ["username"]


def test_the_room_policy_of_the_site_holds(tester: Client, api_key: APIKey, settings: Any) -> None:
    settings.TWILIO_TOKENS_ROOM_POLICY = lambda user, room: user.username != "anna"
    response = tester.post(reverse(TEST), filled())
    assert errors(response) == {"__all__": ["You may not join this room."]}


def test_a_product_that_vanished_is_refused_beside_it(
    tester: Client, api_key: APIKey, monkeypatch: Any
) -> None:
    monkeypatch.setattr(issuing, "registered", dict)
    response = tester.post(reverse(TEST), filled())
    assert errors(response) == {"video": ["This product is not registered."]}


def test_why_the_site_cannot_issue_is_told_to_the_operator(
    unavailable: str, tester: Client, caplog: Any
) -> None:
    response = tester.post(reverse(TEST), {"username": "anna", "chat": "on", "ttl": "60"})
    [logged] = [each for each in caplog.records if each.name == "twilio_tokens.exceptions"]
    [message] = errors(response)["__all__"]
    assert message == f"No token was issued: {logged.args[0]}"
    assert response.context["form"]["ttl"].value() == "60"


def test_without_the_audit_the_page_says_so(tester: Client, api_key: APIKey, settings: Any) -> None:
    settings.TWILIO_TOKENS_AUDIT = False
    assert "Audit Not recorded here" in text(tester.post(reverse(TEST), filled()))


# Decode


@pytest.fixture
def reader(db: None) -> Client:
    return staff("view_issuedtoken")


def decode(client: Client, token: str) -> Any:
    return client.post(reverse(DECODE), {"token": token})


@pytest.mark.parametrize("may_follow", [True, False])
def test_a_good_token_is_told_apart(may_follow: bool, api_key: APIKey, user: User) -> None:
    issued = issue_access_token(user=user, grants=[Video(room="Daily")])
    client = staff("view_issuedtoken", *(["view_apikey"] if may_follow else []))
    response = decode(client, f"  {issued.token[:50]}\n{issued.token[50:]}\n")
    page = text(response)
    assert "As far as this site can tell, the token is valid" in page
    assert f"API key {api_key} Signature valid Audit {issued.jti}" in page
    assert '"room": "Daily"' in page
    key_url = reverse("admin:twilio_tokens_apikey_change", args=[api_key.pk])
    assert (key_url in response.content.decode()) is may_follow
    row = IssuedToken.objects.get()
    assert reverse("admin:twilio_tokens_issuedtoken_change", args=[row.pk]) in (
        response.content.decode()
    )


def test_a_changed_expired_token_meets_errors(api_key: APIKey, reader: Client) -> None:
    claims = {"iss": api_key.sid, "sub": api_key.account.sid, "iat": 0, "exp": 60, "grants": {}}
    response = decode(reader, signed(claims))
    page = text(response)
    assert "Signature not valid" in page
    assert re.search(r"Expires Dec\. 31, 1969, 18:01:00 \(\d+ years.* ago\)", page)
    for code in (20104, 20107, 20106):
        assert f'href="https://www.twilio.com/docs/api/errors/{code}"' in response.content.decode()


def test_a_foreign_token_is_decoded_too(reader: Client) -> None:
    page = text(decode(reader, signed({"iss": sid("SK"), "nbf": 4_000_000_000})))
    assert "API key Not stored here Signature not checked" in page
    assert "Audit Not recorded here" in page
    assert "Not valid before" in page
    assert "(in " in page


def test_a_secret_that_does_not_open_checks_nothing(
    api_key: APIKey, user: User, reader: Client, settings: Any
) -> None:
    issued = issue_access_token(user=user, grants=[Video()])
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = []
    page = text(decode(reader, issued.token))
    assert "Signature not checked The stored secret cannot be read." in page


@pytest.mark.parametrize(
    "token", ["", "hello", "a.b.c", "e30.e30", "\x00", "é.é.é", "." * 20_000, "W10.W10.W10"]
)
def test_what_is_no_token_is_refused_beside_the_field(token: str, reader: Client) -> None:
    assert list(errors(decode(reader, token))) == ["token"]


@pytest.mark.parametrize(
    "claims",
    [
        {"jti": "\ud800"},
        {"iss": "\ud800", "sub": "\x00", "jti": "\x00"},
        {"grants": {"identity": "\ud800", "\ud800": 1, "voice": {}}},
        {"iat": -62135596800, "nbf": 0, "exp": 253402300799},
        {"iat": 1e300, "exp": "soon", "nbf": True},
        {"jti": ["x"], "iss": {}, "sub": 1, "grants": []},
        {"x": "<script>alert(1)</script>"},
    ],
)
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Adak"])
def test_no_claim_breaks_the_page(
    claims: dict[str, Any], zone: str, reader: Client, settings: Any
) -> None:
    settings.TIME_ZONE = zone
    response = decode(reader, signed(claims))
    assert "Contents" in text(response)
    assert "<script>alert" not in response.content.decode()


def test_a_deeply_nested_token_breaks_nothing(reader: Client) -> None:
    nested: Any = []
    for _ in range(900):
        nested = [nested]
    (message,) = errors(decode(reader, jwt.encode({"x": nested}, new_secret())))["token"]
    assert message.startswith("This is not an Access Token")


# Nothing remains


def test_a_token_remains_nowhere(
    api_key: APIKey, admin_client: Client, user: User, caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    response = admin_client.post(reverse(TEST), filled())
    token = token_of(response)
    shown = [response, decode(admin_client, token), decode(admin_client, token[:-9])]
    shown.append(decode(admin_client, token + "."))
    for each in shown:
        assert "no-store" in each["Cache-Control"]
        assert not list(get_messages(each.wsgi_request))
        assert token not in each.wsgi_request.get_full_path()
    for each in shown[1:]:
        assert token not in each.content.decode()
    signature = token.rpartition(".")[2]
    remains = [
        *(str(vars(entry)) for entry in LogEntry.objects.all()),
        *(str(session.get_decoded()) for session in Session.objects.all()),
        *(str(vars(row)) for row in IssuedToken.objects.all()),
        *(each.getMessage() for each in caplog.records),
    ]
    assert not [text for text in remains if signature in text]
    assert [entry.object_repr for entry in LogEntry.objects.all()] == ["anna"]


@pytest.mark.parametrize("page", [TEST, DECODE])
@pytest.mark.parametrize("debug", [True, False])
def test_an_error_page_shows_no_token(
    page: str,
    debug: bool,
    api_key: APIKey,
    user: User,
    admin_client: Client,
    settings: Any,
    monkeypatch: Any,
) -> None:
    """Neither as it was pasted or issued, nor its parts; neither in the mail to ADMINS."""
    settings.DEBUG = debug
    tokens: list[str] = []

    def fail(token: str) -> Any:
        tokens.append(token)
        signed_part, _, signature = token.rpartition(".")
        raise RuntimeError(f"{len(signed_part)} {len(signature)}")

    monkeypatch.setattr("twilio_tokens.admin.tokens.decode", fail)
    mails: list[str] = []

    class Handler(AdminEmailHandler):
        def send_mail(self, subject: str, message: str, *args: Any, **kwargs: Any) -> None:
            mails.extend([message, kwargs["html_message"]])

    handler = Handler(include_html=True)
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    admin_client.raise_request_exception = False
    issued = issue_access_token(user=user, grants=[Video()])
    response = admin_client.post(
        reverse(page), {"token": issued.token} if page == DECODE else filled()
    )
    logger.removeHandler(handler)
    assert response.status_code == 500
    [token] = tokens
    assert len(mails) == 2
    for report in (response.content.decode(), *mails):
        for part in token.split(".")[1:]:
            assert part not in report
            assert part[8:30] not in report
    assert all("RuntimeError" in mail for mail in mails)
    assert ("RuntimeError" in response.content.decode()) is debug


def test_no_page_has_inline_scripts_or_styles(api_key: APIKey, tester: Client, user: User) -> None:
    issued = issue_access_token(user=user, grants=[Video()])
    pages = [
        tester.get(reverse(TEST)),
        tester.post(reverse(TEST), filled()),
        tester.post(reverse(TEST), filled(video="")),
        tester.get(reverse(DECODE)),
        decode(tester, issued.token),
        tester.get(reverse(AUDIT_LIST)),
    ]
    for page in pages:
        content = page.content.decode()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", content)
        assert not re.search(r"<script(?![^>]* src=)", content)


def test_every_input_has_a_label(tester: Client, api_key: APIKey) -> None:
    for page in (tester.post(reverse(TEST), filled()), tester.get(reverse(DECODE))):
        content = page.content.decode()
        labels = set(re.findall(r'<label[^>]* for="([^"]+)"', content))
        inputs = re.findall(r"<(?:input|select|textarea)[^>]*>", content)
        ids = {
            found[1]
            for tag in inputs
            if not re.search(r'type="(hidden|submit)"', tag)
            and (found := re.search(r' id="([^"]+)"', tag))
        } - {"nav-filter"}
        assert ids
        assert ids <= labels


def test_a_wrong_setting_leaves_the_page_usable(
    tester: Client, api_key: APIKey, settings: Any
) -> None:
    settings.TWILIO_TOKENS_MAX_TTL = "1h"
    assert tester.get(reverse(TEST)).status_code == 200
    assert "TWILIO_TOKENS_MAX_TTL" in str(errors(tester.post(reverse(TEST), filled())))
