"""One secret, typed into the admin's form, and then looked for wherever text comes out."""

from __future__ import annotations

import base64
import gc
import logging
import pickle
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.forms.models import model_to_dict
from django.test import Client
from django.test.utils import ContextList
from django.urls import reverse
from rest_framework.test import APIClient

from twilio_tokens.credentials import cache as credential_cache
from twilio_tokens.crypto import Sealed
from twilio_tokens.models import Account, APIKey, ChatService, IssuedToken, TwiMLApp

from .issued import decoded
from .rows import new_secret, sid

# The credentials cache remembers only what no open transaction has changed.
pytestmark = pytest.mark.django_db(transaction=True)


class Story:
    """What a secret goes through: an operator types it, users get tokens signed with it."""

    def __init__(self, admin: Client, api: APIClient, logs: pytest.LogCaptureFixture) -> None:
        self.secret = new_secret()
        self.admin, self.api, self.logs = admin, api, logs
        self.pages: list[str] = []

    def run(self) -> None:
        account = Account.objects.create(name="Main", sid=sid("AC"))
        ChatService.objects.create(account=account, name="s", sid=sid("IS"), is_default=True)
        TwiMLApp.objects.create(account=account, name="a", sid=sid("AP"), is_default=True)
        typed = {"account": account.pk, "name": "Key", "sid": sid("SK"), "region": "us1"}
        typed |= {"secret": self.secret, "is_active": "on"}
        add = reverse("admin:twilio_tokens_apikey_add")
        for mistake in ({"name": ""}, {"sid": self.secret}, {"region": "ie1"}, {}):
            self.pages.append(self.admin.post(add, typed | mistake).content.decode())
        change = reverse("admin:twilio_tokens_apikey_change", args=[self.key.pk])
        for mistake in ({"name": ""}, {"sid": self.secret}):
            self.pages.append(self.admin.post(change, typed | mistake).content.decode())

    @property
    def key(self) -> APIKey:
        return APIKey.objects.get()

    def answers(self) -> list[Any]:
        bodies: dict[str, Any] = {"video/": {}, "chat/": {}, "voice/": {}, "": {"video": {}}}
        return [
            *(self.api.post(f"/twilio/tokens/{each}", bodies[each], "json") for each in bodies),
            *(self.api.post(f"/twilio/tokens/{each}", {"x": 1}, "json") for each in bodies),
            *(
                method(f"/twilio/tokens/{each}", headers={"accept": accept})
                for method in (self.api.get, self.api.options)
                for accept in ("application/json", "text/html")
                for each in bodies
            ),
        ]


@pytest.fixture
def story(
    admin_client: Client, api: APIClient, caplog: pytest.LogCaptureFixture, settings: Any
) -> Story:
    settings.DEBUG = True  # so that SQL is logged
    settings.MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
    for name in ("", *logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, name)
    story = Story(admin_client, api, caplog)
    story.run()
    return story


# Each function returns all text of one place. A text that must be there proves that it has
# looked at the right one.


def admin_pages(story: Story) -> str:
    names = ("account", "apikey", "chatservice", "twimlapp", "pushcredential", "issuedtoken")
    story.api.post("/twilio/tokens/video/")
    addresses = [reverse("admin:index")]
    for name in names:
        addresses.append(reverse(f"admin:twilio_tokens_{name}_changelist"))
        model = APIKey._meta.apps.get_model("twilio_tokens", name)
        addresses += [
            reverse(f"admin:twilio_tokens_{name}_{page}", args=[row.pk])
            for row in model.objects.all()
            for page in ("change", "history", "delete")
            if (name, page) != ("issuedtoken", "delete")
        ]
    responses = [story.admin.get(address) for address in addresses]
    assert {response.status_code for response in responses} == {200}
    pages = story.pages + [response.content.decode() for response in responses]
    assert sum("SID" in page for page in pages) > 10
    return "\n".join(pages)


def history(story: Story) -> str:
    entries = list(LogEntry.objects.values())
    assert sid("SK") in str(entries)
    return str(entries)


def messages_and_sessions(story: Story) -> str:
    text = f"{story.admin.cookies} {[each.get_decoded() for each in Session.objects.all()]}"
    assert "was changed successfully" in text
    assert sid("SK") in text
    return text


def logs(story: Story) -> str:
    story.answers()
    records = [*story.logs.get_records("setup"), *story.logs.records]
    text = "\n".join(f"{record.getMessage()} {vars(record)}" for record in records)
    assert {"django.db.backends", "django.template"} <= {record.name for record in records}
    assert story.key.secret.text in text
    return text


def dumped_data(story: Story) -> str:
    text = ""
    for format_ in ("json", "jsonl", "xml"):
        output = StringIO()
        call_command("dumpdata", "twilio_tokens", format=format_, stdout=output)
        assert story.key.secret.text in output.getvalue()
        text += output.getvalue()
    return text


def api_answers(story: Story) -> str:
    answers = story.answers()
    tokens = [answer.json()["token"] for answer in answers if answer.status_code == 201]
    assert [decoded(token, story.secret)["iss"] for token in tokens] == [sid("SK")] * 4
    assert {answer.status_code for answer in answers} == {200, 201, 400}
    return "\n".join(f"{answer.headers} {answer.content.decode()}" for answer in answers)


def rows(story: Story) -> str:
    key = story.key
    texts = [str(key), repr(key), str(vars(key)), str(model_to_dict(key)), f"{key.secret}"]
    texts += [str(APIKey.objects.values()), str(list(APIKey.objects.values_list()))]
    assert "hidden" in texts[2]
    return "\n".join(texts)


def pickles(story: Story) -> str:
    pickled = pickle.dumps([story.key, APIKey.objects.all(), list(APIKey.objects.values())])
    assert story.key.secret.text.encode() in pickled
    return pickled.decode("latin-1")


def credentials_cache(story: Story) -> str:
    story.api.post("/twilio/tokens/video/")
    entries = dict(credential_cache._entries)
    [key] = [value for _loaded_at, value in entries.values() if isinstance(value, APIKey)]
    assert isinstance(key.secret, Sealed)
    return f"{entries} {vars(key)} {pickle.dumps(list(entries.values())).decode('latin-1')}"


def audit_records(story: Story) -> str:
    story.api.post("/twilio/tokens/video/")
    text = str(IssuedToken.objects.values())
    assert "video" in text
    return text


def objects_in_memory(story: Story) -> str:
    """Of the app's own types, with their attributes, once the requests are over."""
    story.api.post("/twilio/tokens/video/")
    saved = story.key
    saved.secret = story.secret
    saved.save()
    # What the tests themselves keep alive: tracebacks in logs, contexts of rendered templates.
    for phase in ("setup", "call"):
        story.logs.get_records(phase).clear()
    for contexts in [each for each in gc.get_objects() if type(each) is ContextList]:
        contexts.clear()
    gc.collect()
    package = "twilio_tokens."
    ours = [each for each in gc.get_objects() if str(type(each).__module__).startswith(package)]
    assert any(each is saved for each in ours)
    return "\n".join(f"{each!r} {getattr(each, '__dict__', '')}" for each in ours)


PLACES = [
    admin_pages,
    history,
    messages_and_sessions,
    logs,
    dumped_data,
    api_answers,
    rows,
    pickles,
    credentials_cache,
    audit_records,
    objects_in_memory,
]


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_typed_into_the_admin_is_nowhere_to_be_read(
    place: Callable[[Story], str], story: Story
) -> None:
    text = place(story)
    plain = story.secret.encode()
    for form in (story.secret, plain.hex(), base64.b64encode(plain).decode().rstrip("=")):
        assert form not in text


def test_the_ciphertext_is_shown_by_no_page_and_no_answer(story: Story) -> None:
    body = story.key.secret.text
    assert body not in admin_pages(story)
    assert body not in api_answers(story)


def test_dumped_data_loads_back_and_signs(story: Story, tmp_path: Any) -> None:
    path = tmp_path / "dump.json"
    call_command("dumpdata", "twilio_tokens", output=str(path))
    Account.objects.all().delete()
    call_command("loaddata", str(path), verbosity=0)
    token = story.api.post("/twilio/tokens/video/").json()["token"]
    assert decoded(token, story.secret)["iss"] == sid("SK")
