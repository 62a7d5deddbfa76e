"""Names that others have written, at Twilio, in tokens, of users, on every page and in every
command: they are shown as texts, with all that is in them, and as nothing else."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unicodedata import normalize
from xml.etree.ElementTree import Element

import html5lib
import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command, load_command_class
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.console import AUDIT_LIST, permit, url
from tests.issued import record, signed
from tests.rows import add_key, sid
from tests.twilio_server import Key, TwilioServer
from twilio_tokens.characters import visible
from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    IssuedToken,
    PushCredential,
    SyncService,
    TwiMLApp,
    Workspace,
)

MODELS = (Account, APIKey, ChatService, TwiMLApp, PushCredential, SyncService, Workspace)

#: The first has a bit of all. What is stored may have fifty characters.
HOSTILE = [
    "\"'><img src=x onerror=x>{{ 7|add:1330 }}%s\u202e\x1b[2J\n",
    "<script id=x>alert(1)</script><svg onload=x><!--",
    "\" autofocus onfocus='x' style=x '",
    "</textarea></title></style></select></option><b>",
    "{% debug %} %(name)s %n &lt;b&gt; ${x} #{x}",
    "anna\u202egnp.exe \u2066b\u2069 \u200fc",
    "an\u200bna\ufeff \u00ad \U000e0041\u3164",
    "a\nb\r\n\u2028c\td\x0be",
    "\x1b]0;owned\x07\x1b[31mred\x9b31m\x08\x7f",
    "😀 👩‍👧 電 می‌خواهم",
    '=HYPERLINK("http://x")',
    "javascript:alert(1)?a=b&c=d#e",
]
#: What a name at Twilio or a token may have, and no database stores.
UNSTORABLE = ["a\x00b", "a\ud800b", "<b>" * 300_000, "\U0010ffff\ufdd0"]
PLAIN = [f"name-{number}" for number in range(len(HOSTILE))]


@pytest.fixture
def world(
    twilio: TwilioServer, api_key: APIKey, secret: str, every_row: None, account: Account
) -> TwilioServer:
    """A row of each kind, and of some as many as there are names."""
    twilio.keys[api_key.sid] = Key(secret, account.sid)
    for number in range(1, len(HOSTILE)):
        digit = f"{number:x}"
        group = Group.objects.create(name=f"group-{number}")
        user = User.objects.create(username=f"user-{number}")
        Account.objects.create(name=digit, sid=sid("AC", digit))
        key = add_key(account, is_active=False)
        service = ChatService.objects.create(
            account=account, name=f"row-{number}", sid=sid("IS", digit)
        )
        service.groups.add(group)
        ChatService.objects.get(is_default=True).groups.add(group)
        record(user=user, issued_by=user, api_key=key)
    return twilio


def rows(model: type[Model]) -> list[Any]:
    return list(model._default_manager.order_by("created_at" if model is APIKey else "pk"))


def name_all(twilio: TwilioServer, names: list[str]) -> None:
    """As an old version, a fixture or a site's own code may have stored them."""

    def put(model: type[Model], **values: Any) -> None:
        for row, name in zip(rows(model), names, strict=False):
            named = {key: name if value is str else value for key, value in values.items()}
            model._default_manager.filter(pk=row.pk).update(**named)

    put(Account, name=str)
    checked = {"check_outcome": "refused", "check_message": str, "checked_at": timezone.now()}
    put(APIKey, name=str, **checked)
    for model in (ChatService, TwiMLApp, PushCredential, SyncService, Workspace):
        put(model, name=str, friendly_name=str, **checked)
    put(IssuedToken, identity=str)
    # Django's own widgets show the groups.
    for group, name in zip(rows(Group), map(visible, names), strict=False):
        Group.objects.filter(pk=group.pk).update(name=name)
    for user, name in zip(User.objects.filter(is_staff=False).order_by("pk"), names, strict=False):
        User.objects.filter(pk=user.pk).update(username=name)
    for issued, name in zip(rows(IssuedToken), names, strict=False):
        issued.grants = {"video": {"room": name}, name: {name: [name]}}
        issued.save()
    owner = sid("AC")
    twilio.services = {sid("IS", f"{at:x}"): (owner, name) for at, name in enumerate(names)}
    twilio.apps = {sid("AP", f"{at:x}"): (owner, name) for at, name in enumerate(names)}
    twilio.credentials = {
        sid("CR", f"{at:x}"): (owner, name, name) for at, name in enumerate(names)
    }


def pages(client: Client, names: list[str]) -> Iterator[tuple[str, str]]:
    """Every page of the console, with what it shows."""
    index = [reverse("admin:index"), reverse("admin:app_list", args=["twilio_tokens"])]
    audit = [f"admin:twilio_tokens_issuedtoken_{page}" for page in ("changelist", "test", "decode")]
    addresses = [*index, *map(reverse, audit)]
    for model in MODELS:
        first = rows(model)[0].pk
        addresses += [url(model, page) for page in ("changelist", "add")]
        addresses += [url(model, page, first) for page in ("change", "history", "delete")]
    addresses.append(url(Account, "import", rows(Account)[0].pk))
    addresses.append(url(APIKey, "replace", rows(APIKey)[0].pk))
    addresses += [url(IssuedToken, "change", row.pk) for row in rows(IssuedToken)]
    issued = IssuedToken.objects.latest("pk")
    by_user, by_key = (
        f"?user__id__exact={issued.user_id}",
        f"?api_key__id__exact={issued.api_key_id}",
    )
    addresses += [reverse(AUDIT_LIST) + query for query in (by_user, by_key)]
    for address in addresses:
        response = client.get(address)
        if response.status_code != 403:
            assert response.status_code == 200, (address, response.status_code)
            yield address, response.content.decode()
    for name in names:
        claims = {"iss": name, "jti": name, "grants": {name: name, "identity": name, "video": {}}}
        yield "decode", posted(client, "decode", token=signed(claims))
    every = [str(row.pk) for row in rows(ChatService)]
    for action in ("check_with_twilio", "delete_selected"):
        data = {"action": action, "_selected_action": every}
        response = client.post(url(ChatService, "changelist"), data, follow=True)
        yield action, response.content.decode()
    data = {"action": "check_with_twilio", "_selected_action": [rows(PushCredential)[0].pk]}
    response = client.post(url(PushCredential, "changelist"), data, follow=True)
    yield "platform", response.content.decode()


def posted(client: Client, page: str, **data: str) -> str:
    response = client.post(reverse(f"admin:twilio_tokens_issuedtoken_{page}"), data)
    assert response.status_code in (200, 403)
    return response.content.decode()


def parsed(content: str) -> Element:
    document: Element = html5lib.parse(content, namespaceHTMLElements=False)
    return document


def skeleton(document: Element) -> Counter[tuple[str, ...]]:
    """The elements of a page, with the names of their attributes."""
    return Counter((str(each.tag), *sorted(map(str, each.attrib))) for each in document.iter())


#: What a form posts as it is.
FOR_EDITING = {("input", "value"), ("option", "value")}


def misleading_texts(document: Element) -> list[str]:
    """But for what a form holds to be posted again."""
    texts = []
    for each in document.iter():
        texts += [each.tail, each.text if each.tag != "textarea" else ""]
        texts += [text for name, text in each.attrib.items() if (each.tag, name) not in FOR_EDITING]
    stripped = [text.strip(" \t\n") for text in texts if text]
    return [text for text in stripped if visible(text, has_lines=True) != text]


VIEW_ONLY = [f"view_{model._meta.model_name}" for model in (*MODELS, IssuedToken)]


def test_no_test_token_shows_its_user_as_more_than_a_text(
    world: TwilioServer, admin_client: Client
) -> None:
    def shown(names: list[str], product: str) -> list[Element]:
        name_all(world, names)
        data = {product: "on", "ttl": "60"}
        return [parsed(posted(admin_client, "test", username=name, **data)) for name in names[1:]]

    expected = [skeleton(shown(PLAIN, product)[0]) for product in ("video", "voice")]
    for document in [*shown(HOSTILE, "video"), *shown(HOSTILE, "voice")]:
        assert skeleton(document) in expected
        assert misleading_texts(document) == []


def test_the_browsable_api_shows_names_as_texts(world: TwilioServer, client: Client) -> None:
    user = User.objects.get(username="user-1")
    user.groups.set(Group.objects.all())
    ChatService.objects.filter(is_default=True).first().groups.clear()
    client.force_login(user)

    def shown(names: list[str]) -> list[Element]:
        name_all(world, names)
        addresses = ("/twilio/tokens/", "/twilio/tokens/chat/", "/twilio/tokens/voice/")
        answers = [client.get(each, headers={"Accept": "text/html"}) for each in addresses]
        assert {answer.status_code for answer in answers} == {200}
        return [parsed(answer.content.decode()) for answer in answers]

    for document, expected in zip(shown(HOSTILE), map(skeleton, shown(PLAIN)), strict=True):
        found = skeleton(document)
        # REST framework makes links of the addresses in an answer.
        link = ("a", "href", "rel")
        assert found.pop(link, 0) - expected.pop(link, 0) in (0, 1)
        assert found == expected


@pytest.mark.parametrize("is_superuser", [True, False])
def test_on_no_page_is_a_name_more_than_a_text(
    is_superuser: bool, world: TwilioServer, client: Client
) -> None:
    staff = User.objects.create(username="staff", is_staff=True, is_superuser=is_superuser)
    client.force_login(staff if is_superuser else permit(staff, *VIEW_ONLY))
    name_all(world, PLAIN)
    expected = [skeleton(parsed(content)) for _, content in pages(client, PLAIN)]
    name_all(world, HOSTILE)
    found = list(pages(client, HOSTILE))
    assert len(found) == len(expected) > 30
    for (address, content), elements in zip(found, expected, strict=True):
        document = parsed(content)
        assert skeleton(document) == elements, address
        assert misleading_texts(document) == [], address
        assert "1337" not in content, address


def test_what_no_database_stores_does_not_hinder_the_import(
    world: TwilioServer, admin_client: Client, account: Account
) -> None:
    page = url(Account, "import", account.pk)
    digits = "cdef"
    world.services = {sid("IS", digit): (account.sid, "x") for digit in digits}
    before = skeleton(parsed(admin_client.get(page).content.decode()))
    world.services = {
        sid("IS", digit): (account.sid, name)
        for digit, name in zip(digits, UNSTORABLE, strict=True)
    }
    content = admin_client.get(page).content.decode()
    assert skeleton(parsed(content)) == before
    assert misleading_texts(parsed(content)) == []
    assert len(content) < 100_000
    data = {f"{sid('IS', each)}-store": "on" for each in digits}
    data |= {f"{sid('IS', each)}-name": f"new-{each}" for each in digits}
    assert admin_client.post(page, data).status_code == 302
    names = ChatService.objects.filter(name__startswith="new-").order_by("name")
    assert [row.friendly_name[:9] for row in names] == [
        r"a\x00b",
        r"a\ud800b",
        "<b><b><b>",
        r"\U0010fff",
    ]


def test_a_name_far_too_long_is_no_answer_of_twilios(
    world: TwilioServer, admin_client: Client, account: Account
) -> None:
    world.services = {sid("IS", "c"): (account.sid, "x" * 10_000_000)}
    response = admin_client.get(url(Account, "import", account.pk), follow=True)
    assert response.status_code == 200
    assert len(response.content) < 100_000


@pytest.mark.parametrize("name", [each for each in HOSTILE if "\u202e" in each or "\n" in each])
def test_the_console_takes_no_name_that_misleads(
    name: str, admin_client: Client, account: Account
) -> None:
    data = {"name": name, "sid": account.sid, "is_default": "on", "_save": "Save"}
    response = admin_client.post(url(Account, "change", account.pk), data)
    [message] = response.context["adminform"].form.errors["name"]
    assert "Control characters are not allowed: U+" in message
    account.refresh_from_db()
    assert account.name == "Main"


# Spreadsheets

SIGNS = (
    "=+-@|\u2212"
    "\uff1d\uff0b\uff0d\uff20\uff5c\ufe62\ufe63\ufe66\ufe6b"  # of full width, and small
    "\u207a\u207b\u207c\u208a\u208b\u208c"  # raised, and lowered
)
SKIPPED = [
    *("", " ", "  ", "\xa0", "\u2003", "\u3000", "\u200d", "\ufe0f", "\u180b", "\u034f"),
    *(" \u200d", "\u3000\ufe0f"),
]
#: Shown in ASCII, and so in front of nothing.
ESCAPED = [
    "\t",
    "\r",
    "\n",
    "\x0b",
    "\x1f",
    "\u200b",
    "\ufeff",
    "\u2060",
    "\u00ad",
    "\u202e",
    "\u3164",
]


def cells(client: Client, identities: list[str]) -> list[str]:
    for identity in identities:
        record(identity=identity)
    data = {"action": "export_csv", "_selected_action": "1", "select_across": "1"}
    response = client.post(reverse(AUDIT_LIST), data)
    body = b"".join(response).decode("utf-8-sig")  # type: ignore[call-overload]
    lines = list(csv.DictReader(io.StringIO(body, newline="")))
    return [line["identity"] for line in sorted(lines, key=lambda line: int(line["jti"][4:]))]


def test_no_cell_is_a_formula(api_key: APIKey, admin_client: Client) -> None:
    formulas = [f"{skipped}{sign}SUM(A1)" for skipped in SKIPPED for sign in SIGNS]
    assert cells(admin_client, formulas) == [f"'{each}" for each in formulas]


def test_what_cannot_be_seen_stands_in_a_cell_as_its_number(
    api_key: APIKey, admin_client: Client
) -> None:
    hidden = [f"{each}=SUM(A1)" for each in ESCAPED]
    found = cells(admin_client, [*hidden, *HOSTILE])
    assert found[: len(hidden)] == [visible(each) for each in hidden]
    assert all(each.startswith("\\") for each in found[: len(hidden)])
    for cell, name in zip(found[len(hidden) :], HOSTILE, strict=True):
        assert cell.removeprefix("'") == visible(name)
        assert normalize("NFKD", cell).lstrip()[0] not in "=+-@|"


def test_no_other_cell_is_changed(api_key: APIKey, admin_client: Client) -> None:
    names = ["anna@example.com", "a=b", "Zoë", "電", "ß+", "5-3", " a", "é"]
    assert cells(admin_client, names) == names


# Commands


def said(capsys: pytest.CaptureFixture[str], name: str, *arguments: str) -> str:
    command = load_command_class("twilio_tokens", name)
    try:
        call_command(command, *arguments)
    except CommandError as error:
        # As manage.py does it, which would also close the connection of the tests.
        command.stderr.write(f"CommandError: {error}")
    output = capsys.readouterr()
    return output.out + output.err


def commands(capsys: pytest.CaptureFixture[str], names: list[str], env_file: Path) -> Iterator[str]:
    yield said(capsys, "twilio_verify")
    yield said(capsys, "twilio_verify", "--json")
    yield said(capsys, "twilio_import_env", "--env-file", str(env_file))
    yield said(capsys, "twilio_reencrypt")
    for name in names:
        claims = {"iss": name, "jti": "jti-0", "grants": {name: name, "identity": name}}
        yield said(capsys, "twilio_decode", signed({name: name, **claims}))
        yield said(capsys, "twilio_token", f"={name}", "--video", name)
        yield said(capsys, "twilio_token", name, "--video", "--chat", name)


def test_no_command_prints_what_a_terminal_obeys(
    world: TwilioServer, secret: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    env_file = tmp_path / ".env"
    variables = {
        "TWILIO_ACCOUNT_SID": sid("AC"),
        "TWILIO_API_KEY": sid("SK"),
        "TWILIO_API_SECRET": secret,
        "TWILIO_CHAT_SERVICE_SID": sid("IS", "1"),
        "TWILIO_TWIML_APP_SID": sid("AP"),
    }
    lines = [f"{name}={value}" for name, value in variables.items()]

    def output(names: list[str]) -> list[str]:
        name_all(world, names)
        left_alone = [f"'TWILIO_{name}'=x" for name in names if "'" not in name]
        env_file.write_text("\n".join([*lines, *left_alone]))
        return list(commands(capsys, names, env_file))

    expected = [each.count("\n") for each in output(PLAIN)]
    for text, number in zip(output(HOSTILE), expected, strict=True):
        assert visible(text, has_lines=True) == text
        assert text.count("\n") == number, text
