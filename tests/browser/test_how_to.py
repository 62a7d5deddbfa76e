"""The JavaScript of the how-to pages, run as it stands. Twilio's part is acted out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Page
from rest_framework.authtoken.models import Token

from tests.how_to.front_ends import site_of
from tests.issued import decoded
from tests.prose import blocks, section
from twilio_tokens.models import IssuedToken

from .pages import SignedIn, until

TABS = "docs/how-to/use-several-tabs-and-devices.md"
PEOPLE = "docs/how-to/show-who-calls.md"
ORIGIN = "docs/how-to/serve-a-front-end-on-another-origin.md"
CLIENT = Path("twilio_tokens/static/twilio_tokens")

#: An SDK's part: events that the test sends, and what was done.
ACT = """
class Acted {
  #listeners = {};
  on(event, listener) { (this.#listeners[event] ??= []).push(listener); return this; }
  once(event, listener) { return this.on(event, listener); }
  emit(event, ...values) { this.#listeners[event]?.forEach((each) => each(...values)); }
  async register() { window.registered = true; }
}
Object.assign(window, { Acted, device: new Acted(), room: new Acted(), client: new Acted() });
const { device, room, client } = window;
"""
BODY = "".join(f'<p id="{each}"></p>' for each in ("status", "caller", "joined", "author"))

pytestmark = pytest.mark.usefixtures("api_key")


@pytest.fixture
def context(signed_in: SignedIn) -> BrowserContext:
    return signed_in("anna")


def run(context: BrowserContext, *snippets: str) -> Page:
    """In a page of the site, as one module; its last line has run when this returns."""
    page = context.new_page()
    code = "\n".join([ACT, *snippets, "window.done = true;"])
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.route("**/page", lambda route: route.fulfill(body=BODY, content_type="text/html"))
    page.route(
        "**/snippet.js",
        lambda route: route.fulfill(body=code, content_type="text/javascript"),
    )
    page.goto("/page")
    page.add_script_tag(url="/snippet.js", type="module")
    until(page, lambda: said or page.evaluate("window.done"))
    assert said == []
    return page


def text(page: Page, selector: str) -> str:
    until(page, lambda: page.locator(selector).text_content())
    return page.locator(selector).text_content() or ""


def test_the_tab_that_is_replaced_says_so(context: BrowserContext) -> None:
    page = run(context, *section(TABS, "Video: tell the first tab", "js"))
    page.evaluate("room.emit('disconnected', room, { code: 53205 })")
    assert text(page, "#status") == "You have joined in another tab."


def test_each_tab_keeps_a_number_of_its_own(
    context: BrowserContext, settings: Any, secret: str
) -> None:
    [code] = section(TABS, "Video: an identity for each tab", "js")
    context.new_page().goto("/")  # the site gives its CSRF cookie
    with site_of(TABS, settings):
        pages = [run(context, code, "window.tokens = tokens;") for _ in range(2)]
        identities = []
        for page in [*pages, pages[0]]:
            token = page.evaluate("tokens.get().then((answer) => answer.token)")
            identities.append(decoded(token, secret)["grants"]["identity"])
    key = User.objects.get(username="anna").pk
    assert all(each.startswith(f"{key}_tab") for each in identities)
    assert identities[0] == identities[2] != identities[1]


def test_one_tab_registers_and_the_next_takes_over(context: BrowserContext) -> None:
    first_block, answered = section(TABS, "Voice: let one tab ring", "js")
    first, second = (run(context, first_block, answered) for _ in range(2))
    until(first, lambda: first.evaluate("window.registered"))
    assert not second.evaluate("window.registered")
    first.close()
    until(second, lambda: second.evaluate("window.registered"))
    second.evaluate("window.call = new Acted(); device.emit('incoming', call); call.emit('cancel')")
    assert text(second, "#status") == "No longer ringing."


def test_pages_show_names_and_no_markup(context: BrowserContext, settings: Any) -> None:
    User.objects.create_user("bo", first_name="Bo", last_name="<b>Diddley</b>")
    with site_of(PEOPLE, settings):
        page = run(context, *blocks(PEOPLE, "js"))
        page.evaluate("device.emit('incoming', { parameters: { From: 'client:bo' } })")
        page.evaluate("room.emit('participantConnected', { identity: 'anna' })")
        page.evaluate("client.emit('messageAdded', { author: '+15005550006' })")
        assert text(page, "#caller") == "Bo <b>Diddley</b>"
        assert text(page, "#joined") == "anna"
        assert text(page, "#author") == "+15005550006"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *values: object) -> None:
        pass


@pytest.fixture
def app() -> Iterator[str]:
    """Another origin, with its own copy of the client."""
    server = ThreadingHTTPServer(("localhost", 0), partial(Quiet, directory=CLIENT))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["tokens", "withCookies"])
def test_the_app_of_another_origin_gets_its_token(
    context: BrowserContext, site: str, app: str, settings: Any, secret: str, name: str
) -> None:
    settings.CORS_ALLOWED_ORIGINS = settings.CSRF_TRUSTED_ORIGINS = [app]
    settings.CORS_ALLOW_CREDENTIALS = name == "withCookies"
    code = "\n".join(blocks(ORIGIN, "js"))
    assert code.count("https://api.example.com") == 1
    page = context.new_page()
    page.route(
        "**/app.js",
        lambda route: route.fulfill(
            body=code.replace("https://api.example.com", site), content_type="text/javascript"
        ),
    )
    page.goto("/")  # the site gives its CSRF cookie
    page.goto(f"{app}/twilio-tokens.js")
    key = Token.objects.create(user=User.objects.get(username="anna")).key
    token = page.evaluate(
        """async ([name, key]) => {
          sessionStorage.setItem("key", key);
          return (await (await import("/app.js"))[name].get()).token;
        }""",
        [name, key if name == "tokens" else ""],
    )
    grants = decoded(token, secret)["grants"]
    assert grants == {"identity": "anna", "video": {"room": "Daily"}}
    assert IssuedToken.objects.count() == 1
