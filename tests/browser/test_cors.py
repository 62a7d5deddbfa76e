"""A front end on another origin: one that the site lists, and one that it does not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, Request
from rest_framework.authtoken.models import Token

from tests.issued import decoded
from twilio_tokens.models import IssuedToken

from .pages import SignedIn

pytestmark = pytest.mark.usefixtures("api_key")

CLIENT = Path("twilio_tokens/static/twilio_tokens")

#: What a front end does: the client is its own copy, the address is the site's.
ASK = """async ([url, options]) => {
  const { TokenSource } = await import("/twilio-tokens.js");
  const { key, csrf, ...rest } = options;
  if (key) rest.headers = () => ({ Authorization: `Token ${key}` });
  if (csrf) rest.headers = () => ({ "X-CSRFToken": csrf });
  try {
    return await new TokenSource(`${url}/twilio/tokens/video/`, {}, rest).get();
  } catch ({ status, code, retryAfter }) {
    return { status, code, retryAfter };
  }
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *values: object) -> None:
        pass


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """Another origin, that serves nothing but its copy of the client."""
    server = ThreadingHTTPServer(("localhost", 0), partial(Quiet, directory=CLIENT))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def allowed(origin: str, settings: Any) -> str:
    settings.CORS_ALLOWED_ORIGINS = settings.CSRF_TRUSTED_ORIGINS = [origin]
    settings.CORS_ALLOW_CREDENTIALS = True
    return origin


@pytest.fixture
def front_end(signed_in: SignedIn, origin: str) -> Page:
    """A page of that origin, in a browser in which anna is signed in at the site."""
    page = signed_in("anna").new_page()
    page.goto("/")
    page.goto(f"{origin}/twilio-tokens.js")
    return page


@pytest.fixture
def cookies(front_end: Page, site: str) -> dict[str, str]:
    """The options of a front end that sends cookies, and the CSRF token as the site gave it."""
    (csrf,) = [
        cookie["value"]
        for cookie in front_end.context.cookies(site)
        if cookie["name"] == "csrftoken"
    ]
    return {"credentials": "include", "csrf": csrf}


def ask(page: Page, site: str, **options: str) -> Any:
    return page.evaluate(ASK, [site, options])


@pytest.mark.usefixtures("allowed")
def test_a_listed_origin_gets_a_token_with_cookies(
    front_end: Page, site: str, cookies: dict[str, str], secret: str
) -> None:
    answer = ask(front_end, site, **cookies)
    assert decoded(answer["token"], secret)["grants"]["identity"] == "anna"


@pytest.mark.usefixtures("allowed")
def test_a_listed_origin_gets_a_token_with_a_header(
    front_end: Page, site: str, secret: str
) -> None:
    key = Token.objects.create(user=User.objects.get()).key
    answer = ask(front_end, site, key=key, credentials="omit")
    assert decoded(answer["token"], secret)["grants"]["identity"] == "anna"


@pytest.mark.usefixtures("allowed")
@pytest.mark.parametrize(
    ("options", "code", "cookie"),
    [({}, "not_authenticated", False), ({"credentials": "include"}, "permission_denied", True)],
)
def test_the_csrf_token_goes_to_another_origin_only_when_the_page_sends_it(
    front_end: Page, site: str, options: dict[str, str], code: str, cookie: bool
) -> None:
    assert "csrftoken" in front_end.evaluate("document.cookie")
    sent: list[Request] = []
    front_end.on("request", lambda request: sent.append(request))
    assert ask(front_end, site, **options)["code"] == code
    headers = next(request for request in sent if request.method == "POST").all_headers()
    assert "x-csrftoken" not in headers
    assert ("cookie" in headers) == cookie


@pytest.mark.usefixtures("allowed")
def test_a_listed_origin_sees_how_long_to_wait(
    front_end: Page, site: str, cookies: dict[str, str], settings: Any
) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = "1/min"
    ask(front_end, site, **cookies)
    error = ask(front_end, site, **cookies)
    assert (error["status"], error["code"]) == (429, "throttled")
    assert 0 < error["retryAfter"] <= 60


@pytest.mark.parametrize("options", [{"credentials": "include"}, {"key": "x"}, {}])
def test_another_origin_is_blocked_by_the_browser(
    front_end: Page, site: str, options: dict[str, str]
) -> None:
    sent = []
    front_end.on("request", lambda request: sent.append(request.method))
    said: list[str] = []
    front_end.on("console", lambda message: said.append(message.text))
    error = ask(front_end, site, **options)
    assert (error["status"], error["code"]) == (0, "network")
    assert any("blocked by CORS policy" in text for text in said)
    assert not IssuedToken.objects.exists()


def test_a_request_that_needs_no_permission_issues_nothing(
    front_end: Page, site: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As any page can send it, with the user's cookies, though it cannot read the answer."""
    outcome = front_end.evaluate(
        """(url) => fetch(url, {
          method: "POST", mode: "no-cors", credentials: "include",
          body: new URLSearchParams({ room: "A" }),
        }).then(() => "answered", () => "kept from the page")""",
        f"{site}/twilio/tokens/video/",
    )
    assert outcome == "kept from the page"
    assert "Forbidden: /twilio/tokens/video/" in caplog.messages
    assert not IssuedToken.objects.exists()
    assert "sessionid" in {cookie["name"] for cookie in front_end.context.cookies(site)}
