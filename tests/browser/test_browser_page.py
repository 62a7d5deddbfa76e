"""The JavaScript of docs/browser.md and of docs/tutorial.md, run with Twilio's SDKs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from csp.decorators import csp_exempt
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.template import RequestContext, Template
from django.urls import path
from playwright.sync_api import Page, expect
from rest_framework.authtoken.models import Token

from example_project import urls as example_urls
from tests.prose import REPOSITORY, blocks
from twilio_tokens.models import APIKey, IssuedToken

from .chat_conversations import add_conversation
from .pages import until, wait_past_expiry
from .twilio_sockets import Sockets, Twilio

PAGE = "docs/browser.md"
[TEMPLATE] = blocks(PAGE, "html")
#: By the headings above them.
SNIPPETS = dict(zip(("Voice", "Chat", "Video", "Several", "From"), blocks(PAGE, "js"), strict=True))

pytestmark = pytest.mark.usefixtures("twilio", "chat_service", "twiml_app")


@pytest.fixture
def said(page: Page) -> list[str]:
    """What the snippet writes to the console, and what it forgot to catch."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(f"uncaught: {error}"))
    return said


@pytest.fixture
def serve(page: Page, settings: Any) -> Callable[[str, str], None]:
    """Shows a page of the site, with the program that it loads."""

    def serve(template: str, code: str) -> None:
        def view(request: HttpRequest) -> HttpResponse:
            return HttpResponse(Template(template).render(RequestContext(request)))

        urls = ModuleType("urls")
        vars(urls)["urlpatterns"] = [path("call/", csp_exempt()(view)), *example_urls.urlpatterns]
        settings.ROOT_URLCONF = urls
        page.route(
            "**/mysite/call.js",
            lambda route: route.fulfill(body=code, content_type="text/javascript"),
        )
        page.goto("/call/")

    return serve


@pytest.fixture
def run(page: Page, serve: Callable[[str, str], None]) -> Callable[..., None]:
    """Runs a snippet in the page's template; its last line has run when this returns."""

    def run(name: str, **replaced: str) -> None:
        code = SNIPPETS[name]
        for text, other in replaced.items():
            assert text in code
            code = code.replace(text, other)
        serve(TEMPLATE, f"{code}\nwindow.done = true;")
        until(page, lambda: page.evaluate("window.done"))

    return run


def tokens(twilio: Twilio, product: str) -> list[str]:
    assert {arrival.code for arrival in twilio.of(product)} <= {None}
    return list(dict.fromkeys(arrival.token for arrival in twilio.of(product)))


def registered(twilio: Twilio) -> bool:
    return "anna" in twilio.devices["exchange"].lines


def test_the_snippets_stand_under_these_headings() -> None:
    headings = re.findall(r"^## (\w+)", (REPOSITORY / PAGE).read_text(), re.MULTILINE)
    assert [each for each in headings if each in SNIPPETS] == list(SNIPPETS)


def test_the_sdks_are_where_the_page_says() -> None:
    [settings] = blocks(PAGE)
    names: dict[str, Any] = {"BASE_DIR": REPOSITORY / "example_project"}
    exec(settings, names)  # noqa: S102 - the page's own
    folders = dict(names["STATICFILES_DIRS"])
    for file_name, product in re.findall(
        r"^\| .*? \| `(.*?)` \| `Twilio\.(\w+)` \|$", (REPOSITORY / PAGE).read_text(), re.MULTILINE
    ):
        file = REPOSITORY / "example_project" / "node_modules" / file_name
        assert product in file.read_text()
        assert file.parent in folders.values()
    assert len(folders) == 4
    versions = json.loads((REPOSITORY / "example_project" / "package.json").read_text())
    [install] = blocks(PAGE, "sh")
    assert dict(re.findall(r"(\S+)@(\S+)", install)) == versions["dependencies"]


def test_voice(page: Page, run: Callable[..., None], twilio: Twilio, settings: Any) -> None:
    settings.TWILIO_TOKENS_TTL = {"voice": 8}
    run("Voice")
    assert registered(twilio)
    wait_past_expiry(page, twilio.of("voice")[0])
    assert registered(twilio)
    assert len(tokens(twilio, "voice")) >= 2


def test_chat(
    page: Page, run: Callable[..., None], twilio: Twilio, said: list[str], settings: Any
) -> None:
    settings.TWILIO_TOKENS_TTL = {"chat": 8}
    add_conversation(twilio, "support", "anna")
    run("Chat")
    until(page, lambda: said)
    assert "uncaught" not in said[0]
    first = twilio.of("chat")[0]
    wait_past_expiry(page, first)
    assert len(tokens(twilio, "chat")) >= 2


def test_video(
    page: Page, run: Callable[..., None], twilio: Twilio, sockets: Sockets, settings: Any
) -> None:
    settings.TWILIO_TOKENS_TTL = {"video": 8}
    run("Video")
    (token,) = tokens(twilio, "video")
    wait_past_expiry(page, twilio.of("video")[0])
    sockets.drop()
    until(page, lambda: twilio.of("video")[-1].token != token)
    until(page, lambda: twilio.of("video")[-1].code is None)
    assert [arrival.code for arrival in twilio.of("video") if arrival.code] == [20104]


def test_several_in_one(
    page: Page, run: Callable[..., None], twilio: Twilio, settings: Any
) -> None:
    settings.TWILIO_TOKENS_TTL = {"voice": 8, "chat": 8}
    run("Several")
    until(page, lambda: twilio.of("chat"))
    assert tokens(twilio, "voice") == tokens(twilio, "chat")
    assert IssuedToken.objects.count() == 1
    wait_past_expiry(page, twilio.of("voice")[0])
    assert tokens(twilio, "voice") == tokens(twilio, "chat")
    assert registered(twilio)


@pytest.mark.parametrize("is_active", [True, False])
def test_from_anywhere_with_a_header(
    page: Page, run: Callable[..., None], said: list[str], site: str, is_active: bool
) -> None:
    key = Token.objects.create(user=User.objects.get()).key
    APIKey.objects.update(is_active=is_active)
    page.add_init_script(f"localStorage.setItem('key', '{key}')")
    run("From", **{"https://api.example.com": site})
    if is_active:
        assert said[0].startswith("good until 20")
        assert "token" in said[1]
    else:
        assert any(text.startswith("503 not_configured ") for text in said)


def test_the_call_of_the_tutorial(
    page: Page, twilio: Twilio, serve: Callable[[str, str], None]
) -> None:
    [template], [code] = (blocks("docs/tutorial.md", kind) for kind in ("html", "js"))
    serve(template.partition("-->\n")[2], code)
    page.get_by_role("button", name="Join").click()
    until(page, lambda: twilio.of("video"))
    assert tokens(twilio, "video")
    expect(page.locator("video")).to_have_count(1)
