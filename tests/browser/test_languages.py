"""The example's pages in each language: a walk, on a narrow screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po
from django.conf import settings as site_settings
from django.contrib.auth.models import User
from django.utils.translation import to_locale
from playwright.sync_api import ConsoleMessage, Page, expect

from example_project.models import Meeting
from supply.messages import LANGUAGES

from .pages import SignedIn

LOCALES = Path(__file__).resolve().parents[2] / "example_project" / "locale"
CODES = [code for code, _ in site_settings.LANGUAGES]

#: All that people read: text, and what is shown or spoken in its place.
READ = """
() => {
  const texts = [document.title];
  for (const each of document.querySelectorAll("body, body *")) {
    if (each.closest("script, noscript, footer")) continue;
    for (const name of ["aria-label", "placeholder", "title"]) texts.push(each.getAttribute(name));
    for (const node of each.childNodes) if (node.nodeType === 3) texts.push(node.data);
  }
  return texts.filter(Boolean).map((text) => text.trim().replace(/\\s+/g, " "));
}
"""


def english(code: str) -> Iterator[str]:
    """Pieces of the example's messages that are something else in this language."""
    for path in (LOCALES / to_locale(code) / "LC_MESSAGES").glob("*.po"):
        with path.open("rb") as file:
            messages = [message for message in read_po(file) if message.id]
        for message in messages:
            text = message.id if isinstance(message.id, str) else message.id[0]
            translation = message.string if isinstance(message.string, str) else message.string[0]
            pieces, translated = (
                {piece.strip() for piece in re.split(r"<[^>]*>|%\(\w+\)s|%s", each)}
                for each in (text, translation)
            )
            yield from (piece for piece in pieces - translated if re.search(r"[a-z]{2}", piece))


def left_over(code: str, texts: list[str]) -> set[str]:
    """A single word may stand in a sentence of the language; several may not."""
    found = set()
    for piece in english(code):
        if any(piece == text or (" " in piece and piece in text) for text in texts):
            found.add(piece)
    return found


def is_ours(message: ConsoleMessage) -> bool:
    """Voice complains of a call that nobody answers."""
    return message.type == "error" and "[TwilioVoice]" not in message.text


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    found: list[str] = []
    yield found
    assert found == []


@pytest.fixture
def page(signed_in: SignedIn, complaints: list[str]) -> Page:
    """Of staff, who are shown the most."""
    user = User.objects.create_superuser("staff")
    Meeting.objects.create(room="DailyStandup").users.add(user)
    page = signed_in("staff").new_page()
    page.set_viewport_size({"width": 390, "height": 800})
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda each: complaints.append(each.text) if is_ours(each) else None)
    return page


@pytest.mark.usefixtures("twilio", "chat_service", "twiml_app")
@pytest.mark.parametrize("code", CODES)
def test_all_pages_are_in_the_language_that_one_chooses(
    code: str, page: Page, complaints: list[str]
) -> None:
    texts = []

    def read() -> None:
        here = f"{code}, {page.url}"
        assert page.evaluate("document.documentElement.lang") == code, here
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, here
        texts.extend(page.evaluate(READ))

    page.goto("/video/?room=Closed")
    page.locator(f"footer [value={code}]").click()
    page.wait_for_url("**/video/?room=Closed")
    expect(page.locator("footer [aria-current]")).to_have_attribute("value", code)
    read()
    page.locator("#join button").click()
    expect(page.locator("#leave")).to_be_visible()
    expect(page.locator("#mute")).to_be_visible()
    read()
    page.goto("/")
    read()
    page.goto("/chat/")
    expect(page.locator("#chat")).to_be_visible()
    read()
    page.goto("/token/")
    page.locator("#ask .bar button").first.click()
    expect(page.locator("#facts")).to_be_visible()
    read()
    page.goto("/phone/")
    page.locator("#go-online").click()
    expect(page.locator("#call")).to_be_visible()
    page.locator("#to").fill("nobody")
    page.locator("#call button").click()
    expect(page.locator("#problem")).to_contain_text("31404")
    read()
    page.locator("header form button").click()
    page.wait_for_url("**/accounts/logout/")
    read()
    page.goto("/accounts/login/")
    read()
    page.goto("/")
    read()
    assert left_over(code, texts) == set() or code == "en"
    assert code != "en" or left_over("de", texts)


def test_the_example_offers_the_languages_that_have_catalogues() -> None:
    assert {to_locale(code) for code in CODES} == {"en", *LANGUAGES}


def test_without_a_choice_it_is_the_browsers_language(client: Any, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    for accepted, lang in (("pt-BR,pt;q=0.9", "pt-br"), ("fr-CA", "fr"), ("sv", "en")):
        answer = client.get("/accounts/login/", headers={"Accept-Language": accepted})
        assert f'<html lang="{lang}">' in answer.content.decode()
