"""The JavaScript of the README, run as it stands, with Twilio's SDKs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page
from rest_framework.authtoken.models import Token

from twilio_tokens.models import APIKey, IssuedToken

from .chat_conversations import add_conversation
from .pages import until, wait_past_expiry
from .twilio_sockets import Sockets, Twilio

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
SECTION = README.partition("## In the browser\n")[2].partition("\n## ")[0]
#: By the first word of the bold text before each.
SNIPPETS = dict(re.findall(r"^\*\*(\w+).*?```js\n(.*?)```", SECTION, re.MULTILINE | re.DOTALL))

VIDEO = "twilio-video/twilio-video.min.js"
VOICE = "@twilio/voice-sdk/twilio.min.js"
CHAT = "@twilio/conversations/twilio-conversations.min.js"

pytestmark = pytest.mark.usefixtures("twilio", "chat_service", "twiml_app")


@pytest.fixture
def said(page: Page) -> list[str]:
    """What the snippet writes to the console, and what it forgot to catch."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(f"uncaught: {error}"))
    return said


def run(page: Page, name: str, *sdks: str, **replaced: str) -> None:
    """In a page of the site, as a module; its last line has run when this returns."""
    code = SNIPPETS[name]
    for text, other in replaced.items():
        assert text in code
        code = code.replace(text, other)
    page.route(
        "**/snippet.js",
        lambda route: route.fulfill(
            body=f"{code}\nwindow.done = true;", content_type="text/javascript"
        ),
    )
    page.goto("/")
    for sdk in sdks:
        page.add_script_tag(url=f"/static/{sdk}")
    page.add_script_tag(url="/snippet.js", type="module")
    until(page, lambda: page.evaluate("window.done"))


def tokens(twilio: Twilio, product: str) -> list[str]:
    assert {arrival.code for arrival in twilio.of(product)} <= {None}
    return list(dict.fromkeys(arrival.token for arrival in twilio.of(product)))


def registered(twilio: Twilio) -> bool:
    return "anna" in twilio.devices["exchange"].lines


def test_each_snippet_is_run_here() -> None:
    assert SNIPPETS.keys() == {"Voice", "Chat", "Video", "Several", "From"}
    assert README.count("```js\n") == len(SNIPPETS)


def test_voice(page: Page, twilio: Twilio, settings: Any) -> None:
    settings.TWILIO_TOKENS_TTL = {"voice": 8}
    run(page, "Voice", VOICE)
    assert registered(twilio)
    wait_past_expiry(page, twilio.of("voice")[0])
    assert registered(twilio)
    assert len(tokens(twilio, "voice")) >= 2


def test_chat(page: Page, twilio: Twilio, said: list[str], settings: Any) -> None:
    settings.TWILIO_TOKENS_TTL = {"chat": 8}
    add_conversation(twilio, "support", "anna")
    run(page, "Chat", CHAT)
    until(page, lambda: said)
    assert "uncaught" not in said[0]
    first = twilio.of("chat")[0]
    wait_past_expiry(page, first)
    assert len(tokens(twilio, "chat")) >= 2


def test_video(page: Page, twilio: Twilio, sockets: Sockets, settings: Any) -> None:
    settings.TWILIO_TOKENS_TTL = {"video": 3}
    run(page, "Video", VIDEO)
    (token,) = tokens(twilio, "video")
    wait_past_expiry(page, twilio.of("video")[0])
    sockets.drop()
    until(page, lambda: twilio.of("video")[-1].token != token)
    until(page, lambda: twilio.of("video")[-1].code is None)
    assert [arrival.code for arrival in twilio.of("video") if arrival.code] == [20104]


def test_several_in_one(page: Page, twilio: Twilio, settings: Any) -> None:
    settings.TWILIO_TOKENS_TTL = {"voice": 8, "chat": 8}
    run(page, "Several", VOICE, CHAT)
    until(page, lambda: twilio.of("chat"))
    assert tokens(twilio, "voice") == tokens(twilio, "chat")
    assert IssuedToken.objects.count() == 1
    wait_past_expiry(page, twilio.of("voice")[0])
    assert tokens(twilio, "voice") == tokens(twilio, "chat")
    assert registered(twilio)


@pytest.mark.parametrize("is_active", [True, False])
def test_from_anywhere_with_a_header(
    page: Page, said: list[str], site: str, is_active: bool
) -> None:
    key = Token.objects.create(user=User.objects.get()).key
    APIKey.objects.update(is_active=is_active)
    page.add_init_script(f"localStorage.setItem('key', '{key}')")
    run(page, "From", **{"https://api.example.com": site})
    if is_active:
        assert said[0].startswith("good until 20")
        assert "token" in said[1]
    else:
        assert any(text.startswith("503 not_configured ") for text in said)
