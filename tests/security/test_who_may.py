"""Who may do what on the pages of the console: the tables of ``who_may.md``."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, transaction
from django.urls import reverse

from tests.console import url
from tests.security.console_rows import MODELS, NEW, RESOURCES, STORED, Console, stored
from tests.security.tables import Table
from tests.twilio_server import TwilioServer
from twilio_tokens.models import Account, APIKey, ChatService, IssuedToken

pytestmark = pytest.mark.django_db

ABOVE = Table("The pages above")
#: The table with the pages of each model.
TABLES: dict[Any, Table] = {
    Account: Table("The pages of accounts"),
    APIKey: Table("The pages of API keys"),
    **dict.fromkeys(RESOURCES, Table("The pages of services, apps and push credentials")),
    IssuedToken: Table("The pages of issued tokens"),
}
SHOWN = Table("What a page shows")
#: Pages of the admin site that show nothing of this app.
NOT_OURS = {"login", "logout", "password_change", "password_change_done", "jsi18n", None}


@pytest.fixture
def console(twilio: TwilioServer) -> Console:
    return Console(twilio, ABOVE.people)


class Writes:
    """Whether a table of this app was written to."""

    were_ours = False

    def __call__(self, execute: Any, sql: str, *args: Any) -> Any:
        self.were_ours |= "twilio_tokens_" in sql and not sql.startswith("SELECT")
        return execute(sql, *args)


def cell(console: Console, model: Any, row: str, person: str) -> str:
    """What comes of the request that a row of the table names; afterwards it is undone."""
    page, method, what = (*row.partition(" GET"),) if " GET" in row else row.partition(" POST")
    above = model is None
    path = console.address_above(page) if above else console.address(model, page)
    data = None
    if method == " POST":
        data = {} if above else console.posted(model, page.split()[-1], what.strip())
    before, writes = console.stored, Writes()
    with transaction.atomic(), connection.execute_wrapper(writes):
        response = console.sent_by(person, path, data)
        after = stored() if writes.were_ours else before
        transaction.set_rollback(True)
    text = b"".join(response) if response.streaming else response.content
    assert console.secret.encode() not in text
    if response.status_code != 200:
        assert not any(name.encode() in text for name in console.names.values())
    marks = {
        "+": after.keys() - before.keys(),
        "-": before.keys() - after.keys(),
        "~": {each for each in before if before[each] != after.get(each, before[each])},
        "?": console.twilio.requests,
    }
    is_login = response.status_code == 302 and response["Location"].startswith(
        reverse("admin:login")
    )
    status = "login" if is_login else str(response.status_code)
    return status + "".join(mark for mark, found in marks.items() if found)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.model_name)
def test_each_page_gives_each_person_what_the_table_says(console: Console, model: Any) -> None:
    table = TABLES[model]
    measured = table.measured(table.rows, lambda row, person: cell(console, model, row, person))
    assert measured == table.lines(table.rows)


def test_so_do_the_pages_above(console: Console) -> None:
    measured = ABOVE.measured(ABOVE.rows, lambda row, person: cell(console, None, row, person))
    assert measured == ABOVE.lines(ABOVE.rows)


def shown(console: Console) -> dict[str, tuple[str, str]]:
    """What to look for, and on which page."""
    address, above = console.address, console.address_above
    service, token = console.rows[ChatService], console.rows[IssuedToken]
    choice = '<option value="{}"'.format
    accounts, account, importing = (
        address(Account, page) for page in ("changelist", "change", "import")
    )
    keys, of_key = address(APIKey, "changelist"), address(APIKey, "change")
    services, of_service = address(ChatService, "changelist"), address(ChatService, "change")
    tokens, test = address(IssuedToken, "changelist"), address(IssuedToken, "test")
    return {
        "start page: the API keys": (above("index"), f'href="{keys}"'),
        "start page: add a key": (above("index"), f'href="{address(APIKey, "add")}"'),
        "overview: Video is ready": (above("app_list"), "Video: ready"),
        "overview: the default service": (above("app_list"), "Chat: ready"),
        "accounts: their names": (accounts, console.names[Account]),
        "accounts: Add": (accounts, f'href="{address(Account, "add")}'),
        "account: Save": (account, 'name="_save"'),
        "account: Delete": (account, f'href="{address(Account, "delete")}"'),
        "account: Import from Twilio": (url(Account, "change", console.main.pk), importing),
        "keys: their names": (keys, console.names[APIKey]),
        "keys: Add": (keys, f'href="{address(APIKey, "add")}'),
        "keys: delete the selected": (keys, choice("delete_selected")),
        "keys: check with Twilio": (keys, choice("check_with_twilio")),
        "key: Save": (of_key, 'name="_save"'),
        "key: a field for the secret": (of_key, 'name="secret"'),
        "key: Delete": (of_key, f'href="{address(APIKey, "delete")}"'),
        "key: Replace this key": (of_key, f'href="{address(APIKey, "replace")}"'),
        "key: check when saved": (of_key, 'name="check_with_twilio"'),
        "key: link to the account": (of_key, f'href="{account}"'),
        "services: their names": (services, service.name),
        "services: check with Twilio": (services, choice("check_with_twilio")),
        "service: Save": (of_service, 'name="_save"'),
        "service: its groups": (of_service, "members"),
        "import: store the new": (importing, f'name="{NEW}-store"'),
        "import: store the renamed": (importing, f'name="{STORED}-store"'),
        "tokens: who has them": (tokens, "anna"),
        "tokens: Issue a test token": (tokens, f'href="{test}"'),
        "tokens: Decode a token": (tokens, f'href="{address(IssuedToken, "decode")}"'),
        "tokens: Dashboard": (tokens, f'href="{address(IssuedToken, "dashboard")}"'),
        "tokens: export": (tokens, choice("export_csv")),
        "token: link to the key": (
            address(IssuedToken, "change"),
            url(APIKey, "change", token.api_key_id),
        ),
        "token: link to the user": (
            address(IssuedToken, "change"),
            reverse("admin:auth_user_change", args=[token.user_id]),
        ),
        "test token: names of services": (test, choice(service.name)),
        "test token: link to the list": (test, f'href="{tokens}"'),
        "dashboard: the busiest users": (
            address(IssuedToken, "dashboard"),
            f'href="{tokens}?q=anna"',
        ),
        "dashboard: link to the key": (address(IssuedToken, "dashboard"), f'href="{of_key}"'),
    }


def test_a_page_shows_each_person_what_the_table_says(console: Console) -> None:
    wanted = shown(console)
    assert [*wanted] == SHOWN.rows
    pages: dict[tuple[str, str], Any] = {}

    def cell(row: str, person: str) -> str:
        path, text = wanted[row]
        if (path, person) not in pages:
            with transaction.atomic():
                pages[path, person] = console.sent_by(person, path, None)
                transaction.set_rollback(True)
        response = pages[path, person]
        if response.status_code != 200:
            return ""
        return "yes" if text in response.content.decode() else "no"

    assert SHOWN.measured(SHOWN.rows, cell) == SHOWN.lines(SHOWN.rows)


def test_no_page_and_no_action_is_missing_in_the_tables() -> None:
    site, ours = admin.site, []
    for model, model_admin in site._registry.items():
        if model._meta.app_label == "twilio_tokens":
            ours.append(model)
            requests = {tuple(row.split(" ", 2)[:2]) for row in TABLES[model].rows}
            prefix = f"twilio_tokens_{model._meta.model_name}_"
            for pattern in model_admin.get_urls():
                page = (pattern.name or "redirect").removeprefix(prefix)
                assert {(page, "GET"), (page, "POST")} <= requests, f"{model}: {page}"
            actions = {*(name for name, _function in site.actions), *(model_admin.actions or ())}
            posted = {row for row in TABLES[model].rows if row.startswith("changelist POST")}
            assert posted == {f"changelist POST {action}" for action in actions}
    assert sorted(ours, key=str) == sorted(MODELS, key=str)
    above = {getattr(each, "name", None) for each in site.get_urls()} - NOT_OURS
    assert {row.split(" ")[0] for row in ABOVE.rows} == above
