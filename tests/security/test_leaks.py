"""Secrets, tokens and encryption keys are nowhere to be read but where they were asked for."""

from __future__ import annotations

import csv
import gc
import pickle
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.forms.models import model_to_dict
from django.test import override_settings
from django.test.utils import ContextList
from django.urls import reverse
from rest_framework.renderers import JSONRenderer
from rest_framework.serializers import ModelSerializer

from tests import twilio_server
from tests.console import url
from tests.rows import sid
from twilio_tokens.crypto import Sealed
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey, IssuedToken
from twilio_tokens.signals import access_token_issued

from .story import API, Story, every_logger

pytestmark = pytest.mark.django_db

CONSOLE = ("account", "apikey", "chatservice", "twimlapp", "pushcredential", "issuedtoken")


# Each function returns all text of one place. A text that must be there proves that it has
# looked at the right one.


def admin_pages(story: Story) -> str:
    addresses = [reverse("admin:index"), url(IssuedToken, "dashboard")]
    for name in CONSOLE:
        model = apps.get_model("twilio_tokens", name)
        addresses.append(url(model, "changelist"))
        addresses += [
            url(model, page, row.pk)
            for row in model._default_manager.all()
            for page in ("change", "history", "delete", "replace")
            if model is APIKey or page != "replace"
            if model is not IssuedToken or page != "delete"
        ]
    pages = [story.operator.get(address, follow=True) for address in addresses]
    assert {page.status_code for page in pages} == {200}
    asked = [each for each in story.operator.answers if "text/html" in each["Content-Type"]]
    texts = [story.unasked(each) for each in asked]
    assert sum("SID" in text for text in texts) > 30
    return story.without_ciphertext("\n".join(texts))


def history(story: Story) -> str:
    entries = str(list(LogEntry.objects.values()))
    assert sid("SK", "1") in entries
    return entries


def messages_and_sessions(story: Story) -> str:
    story.save()
    text = f"{story.operator.cookies} {[each.get_decoded() for each in Session.objects.all()]}"
    assert "was changed successfully" in text
    assert story.key.sid in text
    return text


def headers_and_redirects(story: Story) -> str:
    """Cookies, too."""
    answers = [hop for each in story.answers for hop in (each, *getattr(each, "history", ()))]
    assert {"/admin/twilio_tokens/apikey/", f"{API}video/"} <= {
        each.get("Location") for each in answers
    }
    return "\n".join(f"{each.headers} {each.cookies}" for each in answers)


def api_answers(story: Story) -> str:
    answers = story.caller.answers
    assert {answer.status_code for answer in answers} == {200, 201, 301, 400}
    text = "\n".join(f"{answer.headers} {story.unasked(answer)}" for answer in answers)
    return story.without_ciphertext(text)


def logs(story: Story) -> str:
    text = "\n".join(f"{record.getMessage()} {vars(record)}" for record in story.records)
    assert {
        "django.db.backends",
        "django.template",
        "twilio.http_client",
        "urllib3.connectionpool",
    } <= {record.name for record in story.records}
    assert story.key.secret.text in text
    return text


def command_output(story: Story) -> str:
    assert "Signature  valid" in story.said
    assert "TWILIO_AUTH_TOKEN" in story.said
    assert "20101" in story.said
    assert "Key 1 of TWILIO_TOKENS_ENCRYPTION_KEYS" in story.said
    return story.without_ciphertext(story.said)


def dumped_data(story: Story) -> str:
    text = ""
    for format_ in ("json", "jsonl", "xml", "yaml"):
        output = StringIO()
        call_command("dumpdata", format=format_, stdout=output)
        assert story.key.secret.text in output.getvalue()
        text += output.getvalue()
    return text


def rows(story: Story) -> str:
    key = story.key
    texts = [str(key), repr(key), str(vars(key)), str(model_to_dict(key)), f"{key.secret}"]
    for model in (APIKey, IssuedToken):
        texts += [str(model.objects.values()), str(list(model.objects.values_list()))]
    assert "hidden" in texts[2]
    assert "video" in texts[-1]
    return "\n".join(texts)


def pickles(story: Story) -> str:
    text = ""
    for model in (APIKey, IssuedToken):
        rows = [*model.objects.all(), model.objects.all(), list(model.objects.values())]
        text += pickle.dumps([rows, list(model.objects.values_list())]).decode("latin-1")
    assert story.key.secret.text in text
    return text


def model_serializers(story: Story) -> str:
    """As a site may write them, over all fields."""
    text = ""
    for each in (APIKey, IssuedToken):
        meta = type("Meta", (), {"model": each, "fields": "__all__"})
        serializer = type("AllFields", (ModelSerializer,), {"Meta": meta})
        shown = serializer(each._default_manager.all(), many=True)
        text += f"{shown!r} {shown.data} {JSONRenderer().render(shown.data).decode()}"
    assert sid("SK", "1") in text
    assert "• • • hidden • • •" in text
    return story.without_ciphertext(text)


def csv_files(story: Story) -> str:
    """The console's, and one of a site's own making."""
    [export] = [each for each in story.operator.answers if "text/csv" in each["Content-Type"]]
    own = StringIO()
    csv.writer(own).writerows([*APIKey.objects.values_list(), *IssuedToken.objects.values_list()])
    text = export.getvalue().decode() + own.getvalue()
    assert IssuedToken.objects.latest("pk").jti in text
    assert "hidden" in text
    return story.without_ciphertext(text)


def caches(story: Story) -> str:
    """The credentials that are remembered, and Django's cache, where the throttle counts."""
    [key] = [value for value in story.remembered if isinstance(value, APIKey)]
    assert isinstance(key.secret, Sealed)
    assert story.cached
    pickled = pickle.dumps([story.remembered, story.cached]).decode("latin-1")
    return f"{story.remembered} {vars(key)} {story.cached} {pickled}"


def issued_tokens(story: Story) -> str:
    """What jobs and receivers of the signal hold."""
    records: list[Any] = []

    def receiver(**kwargs: Any) -> None:
        records.append(
            (kwargs, [vars(each) for each in kwargs.values() if isinstance(each, IssuedToken)])
        )

    access_token_issued.connect(receiver)
    issued = issue_access_token(user=story.user, grants=[Video()])
    access_token_issued.disconnect(receiver)
    story.tokens.append(issued.token)
    assert issued.jti in str(records)
    return f"{records} {pickle.dumps(records[0][1]).decode('latin-1')} {issued!r} {issued}"


def objects_in_memory(story: Story) -> str:
    """Of the app's own types, with their attributes, once the requests are over."""
    saved = story.key
    saved.secret = story.secret()
    saved.save()
    # What the tests themselves keep alive: answers, tracebacks in logs, contexts of templates.
    story.forget()
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
    headers_and_redirects,
    api_answers,
    logs,
    command_output,
    dumped_data,
    rows,
    pickles,
    model_serializers,
    csv_files,
    caches,
    issued_tokens,
    objects_in_memory,
]


@pytest.fixture(scope="module")
def told(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    """Told once, on a site that logs everything, and in no transaction."""
    folder = tmp_path_factory.mktemp("story")
    session_messages = "django.contrib.messages.storage.session.SessionStorage"
    with (
        override_settings(DEBUG=True, MESSAGE_STORAGE=session_messages),
        twilio_server.running(django_settings) as twilio,
        every_logger() as records,
    ):
        try:
            with django_db_blocker.unblock():
                story = Story(django_settings, twilio, records, folder)
                story.tell()
            yield story
        finally:
            with django_db_blocker.unblock():
                call_command("flush", verbosity=0, interactive=False)


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_no_token_and_no_encryption_key_is_to_be_read(
    place: Callable[[Story], str], told: Story, settings: Any
) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = told.encryption_keys[1:]
    assert told.leaked(place(told)) == set()
