"""Twilio's samples on the site of docs/how-to, and a page of another origin beside it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Page, Route

from tests.how_to.front_ends import site_of
from tests.issued import decoded
from twilio_tokens.models import IssuedToken

from .pages import SignedIn

PAGE = "docs/how-to/serve-video-samples.md"
APPS, QUICKSTART = "The Video apps", "video-quickstart-js"

#: As the React app asks.
ASK = """async (url) => {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user_identity: "A", room_name: "R", create_conversation: false }),
  });
  return [response.status, await response.json()];
}"""
ASK_AS_TEXT = """async () => {
  const response = await fetch("/token?identity=Bold Anna Berlin");
  return response.text();
}"""
#: Every page can send these, with the user's cookies where the browser takes it for the same site.
FOREIGN = [
    """(url) => fetch(url, { method: "POST", mode: "no-cors", credentials: "include",
      body: '{"room_name": "R"}' })""",
    """(url) => fetch(url, { method: "POST", mode: "no-cors", credentials: "include",
      body: new URLSearchParams({ room_name: "R" }) })""",
    """(url) => fetch(url, { method: "POST", credentials: "include",
      headers: { "content-type": "application/json" }, body: '{"room_name": "R"}' })""",
]
#: The header of each token is the same, so another page can have a variable of that name.
RUN = """([url, header]) => new Promise((resolve) => {
  const read = [];
  const spy = new Proxy({}, { get: (target, name) => { read.push(name); return spy; } });
  window[header] = spy;
  const script = document.createElement("script");
  script.onload = script.onerror = () => resolve(read);
  script.src = url;
  document.head.append(script);
})"""


class Blank(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, *values: object) -> None:
        pass


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """Another port is another origin, and the same site: cookies go along."""
    server = ThreadingHTTPServer(("localhost", 0), Blank)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def page(request: pytest.FixtureRequest, signed_in: SignedIn, settings: Any) -> Iterator[Page]:
    with site_of(PAGE, settings, request.param):
        page = signed_in("anna").new_page()
        page.goto("/admin/login/")
        yield page
        page.close()


def following(section: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", [section], indirect=True, ids=[""])


pytestmark = pytest.mark.usefixtures("api_key")


@following(APPS)
def test_the_react_app_needs_no_csrf_token(page: Page, secret: str) -> None:
    status, answer = page.evaluate(ASK, "/token")
    assert (status, answer["room_type"]) == (201, "group")
    assert decoded(answer["token"], secret)["grants"]["video"] == {"room": "R"}


@following(APPS)
@pytest.mark.parametrize("foreign", FOREIGN)
def test_another_page_causes_no_token_of_the_react_app(
    page: Page, site: str, origin: str, foreign: str
) -> None:
    statuses: list[int] = []
    page.goto(origin)
    page.on("response", lambda response: statuses.append(response.status))
    page.evaluate(f"(url) => ({foreign})(url).catch(() => {{}})", f"{site}/token")
    assert not IssuedToken.objects.exists()
    assert 201 not in statuses


@following(QUICKSTART)
def test_the_quickstart_reads_the_token_as_text(page: Page, secret: str) -> None:
    token = page.evaluate(ASK_AS_TEXT)
    assert decoded(token, secret)["grants"] == {"identity": "anna", "video": {}}


@following(QUICKSTART)
@pytest.mark.parametrize(
    ("missing", "is_read"),
    [
        ([], False),
        (["cross-origin-resource-policy"], False),  # older browsers know only the other one
        (["cross-origin-resource-policy", "x-content-type-options"], True),
    ],
    ids=["as_it_is", "nosniff_alone", "without_either"],
)
def test_another_page_cannot_run_the_token_as_a_script(
    page: Page, site: str, origin: str, missing: list[str], is_read: bool
) -> None:
    """Without the headers, the page has all of the token."""
    header = page.evaluate(ASK_AS_TEXT).partition(".")[0]
    given: list[str] = []

    def answer(route: Route) -> None:
        response = route.fetch()
        # Not every token is a script: a minus sign ends a name, and no name begins with a digit.
        payload = response.text().split(".")[1].replace("-", "_")
        given.append(f"{header}.{payload}.signature")
        headers = {k: v for k, v in response.headers.items() if k not in missing}
        route.fulfill(status=200, headers=headers, body=given[0])

    page.goto(origin)
    page.route(f"{site}/token", answer)
    read = page.evaluate(RUN, [f"{site}/token", header])
    assert len(given) == 1
    assert read == (given[0].split(".")[1:] if is_read else [])
