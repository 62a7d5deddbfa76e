"""The console in each language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html import unescape
from typing import Any

import pytest
from babel.messages.pofile import read_po
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.translation import to_language

from supply.messages import LANGUAGES, ROOT
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
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

from .console import AUDIT_LIST, url
from .rows import sid
from .twilio_server import Key, TwilioServer, running

MODELS = (Account, APIKey, ChatService, TwiMLApp, PushCredential, SyncService, Workspace)
#: What is not text that people read.
TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.DOTALL)


@cache
def left_untranslated(language: str) -> frozenset[str]:
    """English texts that must not be seen: sentences of the catalogue that have no variables."""
    path = ROOT / "twilio_tokens" / "locale" / language / "LC_MESSAGES" / "django.po"
    with path.open("rb") as file:
        messages = [each for each in read_po(file, locale=language) if each.id]
    return frozenset(
        each.id
        for each in messages
        if isinstance(each.id, str) and len(each.id) > 15 and each.id != each.string
        if not re.search(r"[%{<]", each.id)
    )


@pytest.fixture(params=LANGUAGES)
def language(request: pytest.FixtureRequest, settings: Any) -> Iterator[str]:
    settings.LANGUAGE_CODE = to_language(request.param)
    with translation.override(settings.LANGUAGE_CODE):
        yield request.param


@pytest.fixture
def twilio(settings: Any, api_key: APIKey, secret: str) -> Iterator[TwilioServer]:
    """Twilio, with the stored key and a service to import."""
    with running(settings) as server:
        server.keys[api_key.sid] = Key(secret, api_key.account.sid)
        server.services[sid("IS", "9")] = (api_key.account.sid, "Support")
        yield server


@pytest.fixture
def rows(
    chat_service: ChatService, twiml_app: TwiMLApp, api_key: APIKey, account: Account
) -> list[Any]:
    PushCredential.objects.create(account=account, name="ios", sid=sid("CR"), platform="apn")
    SyncService.objects.create(account=account, name="docs", sid=sid("IS", "2"))
    Workspace.objects.create(account=account, name="support", sid=sid("WS"))
    return [model.objects.get() for model in MODELS]


def test_no_page_of_the_console_has_english_left(
    language: str,
    rows: list[Any],
    twilio: TwilioServer,
    admin_client: Client,
    admin_user: Any,
) -> None:
    token = issue_access_token(user=admin_user, grants=[Video(room="Lobby")]).token
    pages = [reverse("admin:index"), reverse(AUDIT_LIST)]
    pages += [url(model, page) for model in MODELS for page in ("changelist", "add")]
    pages += [url(type(row), page, row.pk) for row in rows for page in ("change", "history")]
    pages += [url(APIKey, "replace", rows[1].pk), url(Account, "import", rows[0].pk)]
    pages += [url(IssuedToken, page) for page in ("dashboard", "test", "decode")]
    pages += [url(IssuedToken, "change", IssuedToken.objects.get().pk)]
    shown = {page: admin_client.get(page) for page in pages}
    shown["issued"] = admin_client.post(
        url(IssuedToken, "test"), {"username": "admin", "video": "on", "video-room": "Lobby"}
    )
    shown["refused"] = admin_client.post(url(IssuedToken, "test"), {"username": "nobody"})
    shown["decoded"] = admin_client.post(url(IssuedToken, "decode"), {"token": token})
    shown["checked"] = admin_client.post(
        url(APIKey, "changelist"),
        {"action": "check_with_twilio", "_selected_action": [rows[1].pk]},
        follow=True,
    )
    shown["mixed up"] = admin_client.post(url(Account, "add"), {"name": "x", "sid": sid("SK")})
    for page, response in shown.items():
        assert response.status_code == 200, page
        html = response.content.decode()
        assert f'<html lang="{to_language(language)}"' in html
        text = unescape(TAGS.sub("\n", html))
        assert [each for each in left_untranslated(language) if each in text] == [], page
