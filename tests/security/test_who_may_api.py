"""Who may ask the API for what: the tables “A product” and “A product without resources”."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client, override_settings
from django.urls import reverse
from drf_spectacular.generators import SchemaGenerator
from rest_framework.request import Request

from tests.console import permit
from tests.issued import decoded
from tests.rows import add_key, new_secret, sid
from tests.security.tables import Table
from twilio_tokens import urls
from twilio_tokens.grants import Grant, registered
from twilio_tokens.grants.taskrouter import WorkerGrant
from twilio_tokens.models import Account, IssuedToken, PushCredential
from twilio_tokens.views import TokenViewSet

# What is remembered of credentials is remembered outside of transactions only.
pytestmark = pytest.mark.django_db(transaction=True)

WITH_RESOURCES = Table("A product")
WITHOUT_RESOURCES = Table("A product without resources")

#: The usual code of a status; any other stands beside it in the table.
CODES = {
    400: "does_not_exist",
    401: "not_authenticated",
    405: "method_not_allowed",
    503: "not_configured",
}
#: The resources of a product, by what the table calls them.
NAMES = {
    "open": "for-everyone",
    "closed": "for-members",
    "theirs": "of-the-tenant",
    "shut": "of-a-deleted-group",
    "push": "our-phones",
    "their push": "their-phones",
}
RIGHTS = {"staff": "", "view only": "view", "change only": "change"}
products = pytest.mark.parametrize(
    "product", [p for p, grant in registered().items() if grant.needed]
)
PAGES = ("its page", "the page of all")
pages = pytest.mark.parametrize("page", PAGES)


class Site:
    """Two accounts with resources of one product each, and everybody who may ask for them."""

    def __init__(self, settings: Any, grant: type[Grant]) -> None:
        self.grant = grant
        settings.TWILIO_TOKENS_THROTTLE_RATE = None
        settings.TWILIO_TOKENS_WORKER = lambda user, workspace: WorkerGrant(sid("WK"), "worker")
        self.main, self.other = (
            Account.objects.create(name=name, sid=sid("AC", digit))
            for name, digit in (("Main", "0"), ("Other", "1"))
        )
        self.secrets = {}
        for account in (self.main, self.other):
            self.secrets[account.sid] = new_secret()
            add_key(account, secret=self.secrets[account.sid])
        self.members = Group.objects.create(name="members")
        self.sids: dict[str, str] = {}
        if grant.needed:
            self._add("open", self.main)
            self._add("closed", self.main, is_default=True).groups.add(self.members)
            self._add("theirs", self.other, is_default=True)
            self._add("shut", self.main).groups.add(Group.objects.create(name="deleted"))
            Group.objects.get(name="deleted").delete()
        for name, account in (("push", self.main), ("their push", self.other)):
            PushCredential.objects.create(
                account=account, name=NAMES[name], sid=sid("CR", account.sid[-1]), platform="apn"
            )
        self.users = {each: self._user(each) for each in WITH_RESOURCES.people}
        self.clients = {each: Client() for each in self.users}
        for person in self.users.keys() - {"anonymous"}:
            self.clients[person].force_login(self.users[person])
        User.objects.filter(username="inactive").update(is_active=False)  # signed in, still

    def _add(self, name: str, account: Account, **values: Any) -> Any:
        assert self.grant.needed is not None
        model: Any = self.grant.resources[self.grant.needed]
        prefix = model._meta.get_field("sid").kind.prefix
        self.sids[name] = sid(prefix, str(len(self.sids)))
        return model.objects.create(
            account=account, name=NAMES[name], sid=self.sids[name], **values
        )

    def _user(self, person: str) -> User:
        """Named so that every product takes the identity."""
        user = User.objects.create_user(re.sub(r"\W+", "_", person))
        user.is_superuser = person.startswith("superuser")
        if person in RIGHTS:
            rights = Permission.objects.filter(content_type__app_label="twilio_tokens")
            rights = rights.filter(codename__startswith=RIGHTS[person])
            return permit(user, *rights.values_list("codename", flat=True))
        if "member" in person or person == "tenant":
            user.groups.add(self.members)
        user.save()
        return user

    def sent_by(self, person: str, send: Callable[[Client], Any]) -> Any:
        """The answer to what ``send`` sends as ``person``."""
        tenants: dict[str, Any] = {
            "tenant": lambda user: self.other,
            "no tenant": lambda user: None,
        }
        client = self.clients[person]
        # Undone each time: what the fixture sets is looked up through all that it has set before.
        with override_settings(TWILIO_TOKENS_ACCOUNT=tenants.get(person)):
            if person == "removed":
                self.users[person].groups.add(self.members)
                send(client)
                self.users[person].groups.clear()
            return send(client)


@pytest.fixture
def product() -> str:
    return "chat"


@pytest.fixture
def site(settings: Any, product: str) -> Site:
    return Site(settings, registered()[product])


def send(client: Client, product: str, page: str, row: str) -> Any:
    """The request that a row of the table names."""
    method, _space, asked_for = row.partition(" ")
    path = reverse(f"twilio_tokens:{product if page == 'its page' else 'tokens'}")
    body: dict[str, str] = {}
    field = registered()[product].needed
    if asked_for in ("push", "their push"):
        body = {"push_credential": NAMES[asked_for]}
    elif method == "POST" and asked_for not in ("", "nothing"):
        assert field is not None
        body = {field: NAMES.get(asked_for, "nobodys")}
    content = json.dumps(body if page == "its page" else {product: body})
    headers = {"Accept": "text/html" if asked_for == "as a page" else "application/json"}
    data = content if method == "POST" else ""
    return client.generic(method, path, data, "application/json", headers=headers)


def cell(site: Site, product: str, page: str, row: str, person: str) -> str:
    issued = IssuedToken.objects.count()
    response = site.sent_by(person, partial(send, product=product, page=page, row=row))
    assert response["Cache-Control"] == "no-store"
    text = response.content.decode()
    if response.status_code == 201:
        assert site.users[person].username == response.json()["identity"]
        return f"201 {granted(site, response.json())}".strip()
    assert person == "removed" or IssuedToken.objects.count() == issued
    if response.status_code == 200:
        return " ".join(
            ["200", *(name for name in ("open", "closed", "theirs", "shut") if NAMES[name] in text)]
        )
    assert not any(name in text for name in NAMES.values())
    usual = CODES[response.status_code]
    code = usual if row in ("HEAD", "GET as a page") else response.json()["code"]
    return str(response.status_code) if code == usual else f"{response.status_code} {code}"


def granted(site: Site, answer: Any) -> str:
    """Which of the resources stands in the token."""
    claims = decoded(answer["token"], site.secrets[answer["account_sid"]])
    assert claims["sub"] == answer["account_sid"]
    assert claims["grants"]["identity"] == answer["identity"]
    text = json.dumps(claims["grants"])
    return " ".join(name for name, each in site.sids.items() if each in text)


@pages
@products
def test_a_products_page_gives_each_person_what_the_table_says(
    site: Site, product: str, page: str
) -> None:
    table = WITH_RESOURCES
    has_push = "push_credential" in site.grant.resources
    rows = [row for row in table.rows if has_push or "push" not in row]
    if page == "the page of all":  # its other methods stand in the other table
        rows = [row for row in rows if row.startswith(("GET", "POST"))]
    measured = table.measured(rows, lambda row, who: cell(site, product, page, row, who))
    assert measured == table.lines(rows)


@pages
@pytest.mark.parametrize("product", [p for p, grant in registered().items() if not grant.needed])
def test_so_does_that_of_a_product_without_resources(site: Site, product: str, page: str) -> None:
    table = WITHOUT_RESOURCES
    measured = table.measured(table.rows, lambda row, who: cell(site, product, page, row, who))
    assert measured == table.lines(table.rows)


def test_no_address_and_no_method_of_the_api_is_missing_in_the_tables() -> None:
    addresses = {pattern.name for pattern in urls.urlpatterns}
    assert addresses == {"tokens", *registered()}
    assert all(pattern.callback.cls is TokenViewSet for pattern in urls.urlpatterns)
    methods = {each.upper() for each in TokenViewSet.http_method_names}
    for table in (WITH_RESOURCES, WITHOUT_RESOURCES):
        assert {row.partition(" ")[0] for row in table.rows} == methods


# Existence is not told


#: Of a page; Django masks it anew each time.
CSRF_TOKEN = re.compile(rb"\b\w{64}\b")


def told(site: Site, product: str, person: str) -> list[Any]:
    """All that is answered about the members' resource, byte for byte."""
    rows = ["GET", "GET as a page", "OPTIONS", "POST closed"]
    answers = [
        site.sent_by(person, partial(send, product=product, page=page, row=row))
        for page in PAGES
        for row in rows
    ]
    form = {site.grant.needed: NAMES["closed"]}
    page, headers = f"/twilio/tokens/{product}/", {"Accept": "text/html"}
    answers.append(site.sent_by(person, lambda client: client.post(page, form, headers=headers)))
    return [(each.status_code, each.headers, CSRF_TOKEN.sub(b"", each.content)) for each in answers]


@products
def test_what_is_not_for_a_person_is_answered_as_if_it_were_not_there(
    site: Site, product: str
) -> None:
    people = ("outsider", "staff", "superuser", "removed", "tenant")
    model: Any = site.grant.resources[str(site.grant.needed)]
    model.objects.filter(name=NAMES["closed"]).update(is_default=False)
    there = {person: told(site, product, person) for person in people}
    model.objects.get(name=NAMES["closed"]).delete()
    for person in people:
        assert told(site, product, person) == there[person]


def test_the_schema_names_nothing_that_is_stored(
    site: Site, django_assert_num_queries: Any, rf: Any
) -> None:
    request = rf.get("/")
    request.user = site.users["superuser, member"]
    with django_assert_num_queries(0):
        schema = json.dumps(SchemaGenerator().get_schema(request=Request(request), public=True))
    assert "/tokens/chat/" in schema
    assert not any(name in schema for name in NAMES.values())
