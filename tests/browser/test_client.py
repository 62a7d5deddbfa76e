"""The JavaScript client, in a page of the site and with the real site behind it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, Error, Page, Route
from rest_framework.authtoken.models import Token

from tests.issued import decoded
from twilio_tokens.models import APIKey, IssuedToken

from .pages import SignedIn, until

pytestmark = pytest.mark.usefixtures("api_key")

VIDEO = "/twilio/tokens/video/"

#: Stands where an SDK's object would, and notes what it is given.
PREPARE = """async () => {
  Object.assign(window, await import("/static/twilio_tokens/twilio-tokens.js"));
  window.told = [];
  window.options = {
    onToken: ({ jti }) => told.push(jti),
    onError: (error, retryIn) => told.push([error.code, retryIn]),
  };
  window.Recorder = class {
    listeners = {};
    given = [];
    on(event, listener) { (this.listeners[event] ??= []).push(listener); }
    emit(event, ...values) { for (const listener of this.listeners[event]) listener(...values); }
    updateToken(token) { this.given.push(token); }
  };
}"""

#: An answer as the site gives it.
TOKEN = """() => {
  const iso = (seconds) => new Date(Date.now() + 1000 * seconds).toISOString();
  return { token: "token", identity: "anna", issued_at: iso(0), refresh_at: iso(3300),
    expires_at: iso(3600), expires_in: 3600 };
}"""

SUPPLY = """async ([url, ask]) => {
  window.tokens = new TokenSource(url, ask, options);
  window.sdk = new Recorder();
  window.first = await tokens.get();
  tokens.supply(sdk);
}"""

THROWN = """async ([url, ask, tries]) => {
  try {
    return await new TokenSource(url, ask, window.options).get({ tries });
  } catch (error) {
    const { name, status, code, detail, retryAfter, message } = error;
    return { name, status, code, detail, retryAfter, message };
  }
}"""

#: A site that answers as the test says, within the page's own time.
STUB = """() => {
  window.asked = [];
  window.answer = (status, body = "", headers = {}) => ({
    status, ok: status < 300, type: "basic", headers: new Headers(headers),
    text: async () => (typeof body === "string" ? body : JSON.stringify(body)),
  });
  window.token = (ttl = 3600, changes = {}) => {
    const iso = (seconds) => new Date(Date.now() + 1000 * seconds).toISOString();
    return answer(201, {
      token: `token ${asked.length}`, identity: "anna", issued_at: iso(0), expires_at: iso(ttl),
      expires_in: ttl, refresh_at: iso(ttl - Math.min(300, ttl / 2)), ...changes,
    });
  };
  window.site = () => token();
  window.fetch = async (url, how) => {
    asked.push(performance.now());
    return site(how);
  };
}"""


def prepare(page: Page) -> Page:
    page.goto("/")
    page.evaluate(PREPARE)
    return page


@pytest.fixture
def client(page: Page) -> Page:
    """A page with the client's classes and an ``options`` that notes everything in ``told``."""
    return prepare(page)


@pytest.fixture
def timed(page: Page) -> Page:
    """The same, and its time stands until the test moves it."""
    page.clock.install()
    prepare(page)
    page.clock.pause_at(page.evaluate("Date.now() / 1000 + 1"))
    return page


@pytest.fixture
def stubbed(timed: Page) -> Page:
    """The same, with a ``site`` of the test's in place of the real one."""
    timed.evaluate(STUB)
    return timed


def get(page: Page, url: str = VIDEO, ask: dict[str, Any] | None = None) -> Any:
    return page.evaluate(THROWN, [url, ask or {}, 1])


def supplied(page: Page, ask: dict[str, Any] | None = None, url: str = VIDEO) -> None:
    page.evaluate(SUPPLY, [url, ask or {}])


def wait_for(page: Page, expression: str) -> None:
    until(page, lambda: page.evaluate(expression))


def settle(page: Page) -> None:
    """Wait for what should not come; the page's own time may stand still."""
    page.wait_for_timeout(500)


def tokens_given(page: Page) -> int:
    return page.evaluate("sdk.given.length")


# Getting a token


def test_a_signed_in_user_gets_a_token_by_session_and_csrf(client: Page, secret: str) -> None:
    answer = get(client, ask={"room": "Ärzte 会議室", "ttl": 60})
    claims = decoded(answer["token"], secret)
    assert claims["grants"] == {"identity": "anna", "video": {"room": "Ärzte 会議室"}}
    assert claims["exp"] - claims["iat"] == answer["expires_in"] == 60


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("CSRF_COOKIE_HTTPONLY", True),
        ("CSRF_USE_SESSIONS", True),
        ("CSRF_COOKIE_NAME", "xsrf"),
        ("CSRF_COOKIE_PATH", "/twilio/"),
    ],
)
def test_the_csrf_token_may_be_in_a_form_or_a_meta_element(
    page: Page, settings: Any, setting: str, value: object
) -> None:
    setattr(settings, setting, value)
    prepare(page)
    assert "csrftoken" not in page.evaluate("document.cookie")
    assert get(page)["identity"] == "anna"
    page.evaluate(
        """() => {
          const meta = document.createElement("meta");
          [meta.name, meta.content] = ["csrf-token", document.forms[0].csrfmiddlewaretoken.value];
          document.head.append(meta);
          for (const input of document.querySelectorAll("input")) input.remove();
        }"""
    )
    assert get(page)["identity"] == "anna"


def test_the_csrf_cookie_and_header_may_have_other_names(page: Page, settings: Any) -> None:
    settings.CSRF_COOKIE_NAME = "__x.csrf"
    settings.CSRF_HEADER_NAME = "HTTP_X_XSRF_TOKEN"
    prepare(page)
    page.evaluate("document.querySelectorAll('input').forEach((input) => input.remove())")
    page.evaluate("document.cookie = 'csrftoken=left-over'")
    assert "CSRF token missing" in get(page)["detail"]
    page.evaluate("window.options = { csrfCookie: '__x.csrf', csrfHeader: 'X-XSRF-TOKEN' }")
    assert get(page)["identity"] == "anna"


def test_a_left_over_csrf_cookie_can_be_ignored(page: Page, settings: Any) -> None:
    settings.CSRF_USE_SESSIONS = True
    prepare(page)
    page.evaluate("document.cookie = 'csrftoken=left-over'")
    assert "incorrect length" in get(page)["detail"]
    page.evaluate("window.options = { csrfCookie: '' }")
    assert get(page)["identity"] == "anna"


def test_the_csrf_token_is_the_newest_and_the_one_that_django_takes(page: Page, site: str) -> None:
    page.context.add_cookies(
        [
            {"name": name, "value": "x" * 32, "domain": "localhost", "path": path}
            for name, path in (
                ("csrftoken", "/phone/"),
                ("xcsrftoken", "/"),
                ("csrftoken2", "/"),
            )
        ]
    )
    page.goto("/phone/")
    page.evaluate(PREPARE)
    assert page.evaluate("document.cookie").count("csrftoken=") == 3
    assert get(page)["identity"] == "anna"
    # As signing in in another tab does; the page's own form is then out of date.
    page.context.add_cookies([{"name": "csrftoken", "value": "y" * 32, "url": site}])
    assert get(page)["identity"] == "anna"


def test_a_sandboxed_page_may_not_read_cookies_and_asks_without(timed: Page) -> None:
    source = Path("twilio_tokens/static/twilio_tokens/twilio-tokens.js").read_text()
    answer = timed.evaluate(TOKEN)
    sent: list[dict[str, str]] = []
    anyone = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Headers": "*"}

    def site(route: Route) -> None:
        if route.request.method == "POST":
            sent.append(route.request.all_headers())
        route.fulfill(status=201, json=answer, headers=anyone)

    timed.route(f"**{VIDEO}", site)
    timed.route(
        "**/sandboxed/",
        lambda route: route.fulfill(
            body="<p>", headers={"Content-Security-Policy": "sandbox allow-scripts"}
        ),
    )
    timed.goto("/sandboxed/")
    timed.evaluate(
        "async (source) => Object.assign(window,"
        " await import(`data:text/javascript,${encodeURIComponent(source)}`))",
        source,
    )
    assert get(timed)["identity"] == "anna"
    assert "x-csrftoken" not in sent[0]


@pytest.mark.usefixtures("chat_service", "twiml_app")
def test_one_token_for_several_products(client: Page, secret: str) -> None:
    ask = {"video": {"room": "A"}, "chat": {}, "voice": {"incoming": False}}
    grants = decoded(get(client, "/twilio/tokens/", ask)["token"], secret)["grants"]
    assert grants.keys() == {"identity", "video", "chat", "voice"}


@pytest.mark.parametrize("function", ["() =>", "async () => new Headers"])
def test_a_header_function_authenticates_without_cookies(
    browser: Browser, site: str, user: User, function: str
) -> None:
    context = browser.new_context(base_url=site)
    page = prepare(context.new_page())
    key = Token.objects.create(user=user).key
    answer = page.evaluate(
        f"""async (key) => {{
          const headers = {function} ({{ Authorization: `Token ${{key}}` }});
          return new TokenSource("{VIDEO}", {{}}, {{ headers, credentials: "omit" }}).get();
        }}""",
        key,
    )
    context.close()
    assert answer["identity"] == "anna"


def test_callers_at_the_same_time_share_one_request_and_later_ones_get_a_new_token(
    client: Page,
) -> None:
    jtis = client.evaluate(
        """async (url) => {
          const tokens = new TokenSource(url);
          const all = await Promise.all([tokens.get(), tokens.get(), tokens.get()]);
          return [...all, await tokens.get()].map(({ jti }) => jti);
        }""",
        VIDEO,
    )
    assert len(jtis) == 4
    assert jtis[0] == jtis[1] == jtis[2] != jtis[3]
    assert set(IssuedToken.objects.values_list("jti", flat=True)) == set(jtis)


# Errors


@pytest.mark.parametrize(
    ("url", "ask", "code", "detail"),
    [
        (VIDEO, {"rooom": "A"}, "unknown_field", "rooom: "),
        ("/twilio/tokens/", {"video": {"room": ""}}, "blank", "video: room: "),
        (VIDEO, {"a": 1, "b": 2}, "unknown_field", "a: Unknown field. b: Unknown field."),
        ("/twilio/tokens/", {}, "required", "Request at least one product"),
    ],
)
def test_wrong_fields_are_told_by_name(
    client: Page, url: str, ask: dict[str, Any], code: str, detail: str
) -> None:
    error = get(client, url, ask)
    assert (error["name"], error["status"], error["code"]) == ("TokenError", 400, code)
    assert error["detail"].startswith(detail)


def test_a_stranger_is_not_authenticated(browser: Browser, site: str) -> None:
    context = browser.new_context(base_url=site)
    error = get(prepare(context.new_page()))
    context.close()
    assert (error["status"], error["code"]) == (401, "not_authenticated")
    assert error["message"] == error["detail"] == "Authentication credentials were not provided."


def test_a_site_without_a_key_is_not_configured(client: Page) -> None:
    APIKey.objects.update(is_active=False)
    error = get(client)
    assert (error["status"], error["code"], error["retryAfter"]) == (503, "not_configured", None)


@pytest.mark.parametrize(("path", "status"), [("/admin/login/", 200), ("/nowhere/", 404)])
def test_what_is_no_token_is_an_error(client: Page, path: str, status: int) -> None:
    error = get(client, path)
    assert (error["status"], error["code"]) == (status, "unexpected_answer")
    assert error["detail"] == f"The site answered {status}, but not with an access token."


def test_no_network_is_an_error_of_the_same_class(client: Page) -> None:
    client.context.set_offline(True)
    error = get(client)
    client.context.set_offline(False)
    assert (error["name"], error["status"], error["code"]) == ("TokenError", 0, "network")


def test_a_site_that_never_answers_is_given_up(timed: Page) -> None:
    held: list[Route] = []
    timed.route(f"**{VIDEO}", lambda route: held.append(route))
    timed.evaluate(
        """(url) => {
          new TokenSource(url).get().catch(({ status, code }) => (window.thrown = [status, code]));
        }""",
        VIDEO,
    )
    timed.clock.run_for(19_000)
    assert not timed.evaluate("window.thrown")
    timed.clock.run_for(1_000)
    wait_for(timed, "window.thrown")
    assert timed.evaluate("thrown") == [0, "network"]


class Dripping(BaseHTTPRequestHandler):
    """Begins an answer, and goes on with it for as long as somebody listens."""

    def do_POST(self) -> None:
        self.send_response(201)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(b" ")
                time.sleep(0.05)

    def do_OPTIONS(self) -> None:
        self.send_response(204)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Headers", "Content-Type")
        self.end_headers()

    def log_message(self, *values: object) -> None:
        pass


def test_an_answer_that_never_ends_is_given_up(timed: Page) -> None:
    timed.route("**/", lambda route: route.fulfill(body="<p>"))  # No policy keeps it from asking.
    timed.goto("/")
    timed.evaluate(PREPARE)
    with ThreadingHTTPServer(("localhost", 0), Dripping) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        timed.evaluate(
            """(url) => {
              window.thrown = null;
              new TokenSource(url).get().catch((error) => (thrown = error));
            }""",
            f"http://localhost:{server.server_port}/dripping",
        )
        settle(timed)
        timed.clock.run_for(20_000)
        wait_for(timed, "thrown")
        server.shutdown()
    assert timed.evaluate("[thrown.code, thrown.temporary]") == ["network", True]


def test_a_retry_waits_as_retry_after_says(timed: Page, settings: Any) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = "1/min"
    get(timed)
    error = get(timed)
    assert (error["status"], error["code"]) == (429, "throttled")
    assert 50 < error["retryAfter"] <= 60

    timed.evaluate(
        "(url) => { window.result = null;"
        " new TokenSource(url, {}, options).get({ tries: 2 }).then((got) => (result = got)); }",
        VIDEO,
    )
    wait_for(timed, "told.length > 1")
    code, retry_in = timed.evaluate("told.at(-1)")
    assert code == "throttled"
    assert 50 < retry_in <= 90
    settings.TWILIO_TOKENS_THROTTLE_RATE = None
    timed.clock.run_for(49_000)
    assert timed.evaluate("result") is None
    settle(timed)
    assert IssuedToken.objects.count() == 1
    timed.clock.run_for(1000 * retry_in - 49_000)
    wait_for(timed, "result?.identity === 'anna'")


def test_retry_after_may_be_a_date(timed: Page) -> None:
    """As proxies and maintenance pages send it."""
    date = timed.evaluate("new Date(Date.now() + 90_000).toUTCString()")
    timed.route(
        f"**{VIDEO}",
        lambda route: route.fulfill(
            status=503, headers={"Retry-After": date}, body="<h1>Back soon"
        ),
    )
    error = get(timed)
    assert (error["status"], error["code"]) == (503, "unexpected_answer")
    assert 85 < error["retryAfter"] <= 90


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ("async () => { throw new Error('no JWT'); }", "no JWT"),
        ("() => Promise.reject()", "undefined"),
        ("() => new Promise(() => {})", "did not answer in time"),
    ],
)
def test_a_header_function_that_fails_is_a_failure_that_may_pass(
    timed: Page, headers: str, said: str
) -> None:
    timed.evaluate(
        f"(url) => {{ new TokenSource(url, {{}}, {{ headers: {headers} }}).get()"
        ".catch((error) => (window.thrown = error)); }",
        VIDEO,
    )
    timed.clock.run_for(20_000)
    wait_for(timed, "window.thrown")
    assert timed.evaluate("[thrown.status, thrown.code]") == [0, "network"]
    assert said in timed.evaluate("thrown.detail")
    assert not IssuedToken.objects.exists()


def test_a_room_that_is_undefined_is_no_token_for_every_room(client: Page) -> None:
    for ask in ("{ room: undefined }", "() => ({ room: 'A' })", "{ video: undefined }"):
        code = client.evaluate(
            f"(url) => new TokenSource(url, {ask}).get().catch(({{ status }}) => status)", VIDEO
        )
        assert code == 400, ask


def test_tries_that_are_no_number_are_one(stubbed: Page) -> None:
    stubbed.evaluate("() => { window.site = () => answer(503); }")
    for number, tries in enumerate(("0", "-1", "NaN", "null", "'many'", "1"), start=1):
        stubbed.evaluate(f"new TokenSource('/').get({{ tries: {tries} }}).catch(() => 0)")
        assert len(stubbed.evaluate("asked")) == number, tries


def test_a_redirect_is_not_followed(client: Page) -> None:
    sent: list[str] = []
    client.on("request", lambda request: sent.append(request.url))
    moves = list(product((301, 302, 307, 308), (VIDEO, "http://127.0.0.1:9/")))
    left = iter(moves)

    def move(route: Route) -> None:
        status, target = next(left)
        route.fulfill(status=status, headers={"Location": target})

    client.route("**/moved/", move)
    for each in moves:
        error = get(client, "/moved/")
        assert (error["name"], error["code"]) == ("TokenError", "unexpected_answer"), each
        assert "redirects" in error["message"]
    assert [url.endswith("/moved/") for url in sent] == [True] * len(moves)


def test_an_address_without_its_slash_is_told(client: Page) -> None:
    error = get(client, VIDEO.rstrip("/"), {"room": "A"})
    assert "does the address end in “/”" in error["message"]
    assert not IssuedToken.objects.exists()


VALID = "2026-01-01T00:00:00Z", "2026-01-01T00:55:00Z", "2026-01-01T01:00:00Z"
TIMES = dict(zip(("issued_at", "refresh_at", "expires_at"), VALID, strict=True))
NO_TOKENS: list[dict[str, Any]] = [
    *({field: value} for field in TIMES for value in (None, "", "soon", 0, 1_764_000_000, [])),
    {"issued_at": VALID[2]},
    *({"refresh_at": f"{year}-01-01T00:00:00Z"} for year in (1970, 2100)),
    *({"expires_at": f"{year}-01-01T01:00:00Z"} for year in (1970, 2100)),
    {"issued_at": "1970-01-01T00:00:00Z", "expires_in": 1_767_229_200},
    *({"expires_in": value} for value in (None, "3600", 0, -3600, 1e9, 7200)),
    *({field: value} for field in ("token", "identity") for value in (None, "", 5, {})),
]


def test_an_answer_without_valid_times_is_no_token(stubbed: Page) -> None:
    errors = stubbed.evaluate(
        """async ([times, all]) => {
          const errors = [];
          const tokens = new TokenSource("/", {}, options);
          tokens.supply((window.sdk = new Recorder()));
          await tokens.get();
          const camel = (fields) => JSON.parse(JSON.stringify(fields).replace(/_a/g, "A"));
          for (const changes of all) {
            site = () => token(3600, { ...times, ...changes });
            errors.push(await new TokenSource("/").get().catch((error) => error));
          }
          site = () => answer(201, camel({ ...times, token: "secret", identity: "anna" }));
          errors.push(await tokens.get().catch((error) => error));
          site = () => token(3600, times);
          await tokens.get();
          return errors.map(({ name, status, code, message }) => [name, status, code, message]);
        }""",
        [TIMES, NO_TOKENS],
    )
    for changes, (name, status, code, message) in zip([*NO_TOKENS, {}], errors, strict=True):
        assert (name, status, code) == ("TokenError", 201, "unexpected_answer"), changes
        assert "secret" not in message
    assert len(stubbed.evaluate("sdk.given")) == 2


BODIES = [
    (200, "'<!DOCTYPE html><form>'"),
    (204, "''"),
    (201, "'null'"),
    (201, "'[]'"),
    (400, "'\"No\"'"),
    (502, "'[\"No\"]'"),
    (400, "'['.repeat(5000) + ']'.repeat(5000)"),
    (400, "'{\"a\":'.repeat(5000) + 1 + '}'.repeat(5000)"),
    (400, "{ code: {}, detail: { a: ['x'] } }"),
    (400, "{ detail: 'x'.repeat(10_000_000) }"),
]


def test_whatever_the_body_it_is_an_error_of_ours(stubbed: Page) -> None:
    for status, body in BODIES:
        stubbed.evaluate(f"() => {{ window.site = () => answer({status}, {body}); }}")
        error = get(stubbed)
        assert (error["name"], error["status"]) == ("TokenError", status)
        assert isinstance(error["code"], str)
        assert 0 < len(error["message"]) <= 1000


# Storms

BACKOFF = range(16, 26)
ONE = range(1, 2)
EVERY_30_SECONDS = range(18, 22)

#: What the site does, and how often it is asked in ten minutes.
SITES = {
    "token()": EVERY_30_SECONDS,
    "token(10)": range(100, 122),
    "token(1)": range(500, 602),
    "token(86_400, { refresh_at: new Date().toISOString() })": range(18, 22),
    "token(1, { token: 'the same' })": range(500, 602),
    "token(3600, { refresh_at: null })": EVERY_30_SECONDS,
    "answer(200, '<form>')": EVERY_30_SECONDS,
    "answer(401, { code: 'not_authenticated' })": EVERY_30_SECONDS,
    "answer(503)": BACKOFF,
    "answer(429)": BACKOFF,
    **{
        f"answer(429, '', {{ 'Retry-After': '{after}' }})": BACKOFF
        for after in (
            "0",
            "-1",
            "0.001",
            "1",
            "NaN",
            "Infinity",
            "1e9",
            "0x10",
            "soon",
            "Wed, 21 Oct 2015 07:28:00 GMT",
        )
    },
    "answer(429, '', { 'Retry-After': '60' })": range(7, 12),
    **{
        f"answer(503, '', {{ 'Retry-After': {after} }})": ONE
        for after in ("2200000", "'9'.repeat(400)", "new Date(Date.now() + 40 * 86_400_000)")
    },
    "Promise.reject(new TypeError('Failed to fetch'))": range(500, 602),
}


def test_the_site_is_never_stormed(stubbed: Page) -> None:
    """By SDKs that ask every second, a flapping network and a tab that is shown and hidden."""
    for answer, requests in SITES.items():
        stubbed.evaluate(
            f"""() => {{
              window.site = () => {answer};
              window.asked = [];
              window.tokens = new TokenSource("/");
              const sdks = [new Recorder(), new Recorder()];
              // As Voice does with a token of ten seconds or less.
              sdks[0].updateToken = () => sdks[0].emit("tokenWillExpire");
              for (const sdk of [...sdks, ...sdks]) tokens.supply(sdk);
              window.bursts = setInterval(() => {{
                for (const sdk of sdks) sdk.emit("tokenWillExpire");
                for (let i = 0; i < 5; i++) dispatchEvent(new Event("online"));
                for (let i = 0; i < 5; i++) document.dispatchEvent(new Event("visibilitychange"));
              }}, 1000);
            }}"""
        )
        stubbed.clock.run_for(600_000)
        asked = stubbed.evaluate("() => { tokens.stop(); clearInterval(bursts); return asked; }")
        assert len(asked) in requests, answer
        assert all(later - earlier >= 999 for earlier, later in pairwise(asked)), answer


# Supplying


def test_an_sdk_gets_a_new_token_when_the_answer_says_so(timed: Page, secret: str) -> None:
    supplied(timed, {"ttl": 3600})
    timed.clock.run_for(3_295_000)
    settle(timed)
    assert tokens_given(timed) == 0
    timed.clock.run_for(10_000)
    wait_for(timed, "sdk.given.length === 1")
    assert decoded(timed.evaluate("sdk.given[0]"), secret)["grants"]["identity"] == "anna"
    assert timed.evaluate("sdk.given[0] !== first.token")
    timed.clock.run_for(3_295_000)
    settle(timed)
    assert tokens_given(timed) == 1
    timed.clock.run_for(10_000)
    wait_for(timed, "sdk.given.length === 2")


def test_a_laptop_that_slept_refreshes_when_it_wakes(timed: Page) -> None:
    """The time has gone on, and its timers have not."""
    supplied(timed, {"ttl": 3600})
    timed.clock.set_system_time(timed.evaluate("Date.now() / 1000 + 36_000"))
    assert tokens_given(timed) == 0
    timed.clock.run_for(30_000)
    wait_for(timed, "sdk.given.length === 1")


@pytest.mark.parametrize(
    ("target", "event"), [("document", "visibilitychange"), ("window", "online")]
)
def test_a_tab_that_wakes_looks_at_the_clock(timed: Page, target: str, event: str) -> None:
    supplied(timed, {"ttl": 3600})
    # The clock goes on, but no timer fires, as in a tab that the browser has put to sleep.
    timed.clock.set_fixed_time(timed.evaluate("Date.now() / 1000 + 3400"))
    assert tokens_given(timed) == 0
    timed.evaluate(f"{target}.dispatchEvent(new Event('{event}'))")
    wait_for(timed, "sdk.given.length === 1")


@pytest.mark.parametrize("days", [-2, 2])
def test_a_clock_that_is_wrong_by_days_changes_nothing(page: Page, days: int) -> None:
    page.clock.install(time=time.time() + days * 86_400)
    prepare(page)
    page.clock.pause_at(page.evaluate("Date.now() / 1000 + 1"))
    supplied(page, {"ttl": 3600})
    page.clock.run_for(3_290_000)
    assert tokens_given(page) == 0
    page.clock.run_for(20_000)
    wait_for(page, "sdk.given.length === 1")


def test_a_clock_that_is_set_back_delays_no_refresh(timed: Page) -> None:
    supplied(timed, {"ttl": 3600})
    timed.clock.run_for(60_000)
    timed.clock.set_system_time(timed.evaluate("Date.now() / 1000 - 86_400"))
    timed.clock.run_for(3_235_000)
    assert tokens_given(timed) == 0
    timed.clock.run_for(10_000)
    wait_for(timed, "sdk.given.length === 1")


def test_a_wait_is_over_when_a_laptop_wakes_up_after_it(stubbed: Page) -> None:
    stubbed.evaluate(
        """() => {
          site = () => answer(503, "", { "Retry-After": "3000" });
          new TokenSource("/").get({ tries: 2 }).catch(() => {});
        }"""
    )
    stubbed.clock.run_for(60_000)
    assert len(stubbed.evaluate("asked")) == 1
    stubbed.clock.set_system_time(stubbed.evaluate("Date.now() / 1000 + 36_000"))
    stubbed.clock.run_for(30_000)
    assert len(stubbed.evaluate("asked")) == 2


def test_the_date_of_retry_after_is_by_the_clock_of_the_site(stubbed: Page) -> None:
    stubbed.evaluate(
        """() => {
          site = () => answer(503, "", {
            "Date": "Wed, 21 Oct 2015 07:28:00 GMT", "Retry-After": "Wed, 21 Oct 2015 07:30:00 GMT",
          });
        }"""
    )
    assert get(stubbed)["retryAfter"] == 120


@pytest.mark.parametrize(
    ("events", "asked"),
    [
        (
            {
                "tokenWillExpire": "sdk",
                "tokenAboutToExpire": "1",
                "tokenExpired": "undefined",
                "error": "{ code: 20104 }",
                "connectionError": "{ errorCode: 20104, terminal: true }",
            },
            1,
        ),
        # A new token would be refused as well.
        ({"error": "{ code: 20101 }", "connectionError": "{ errorCode: 20101 }"}, 0),
        ({"error": "undefined", "connectionError": "null"}, 0),
    ],
)
def test_an_sdk_gets_a_new_token_when_it_asks(
    stubbed: Page, events: dict[str, str], asked: int
) -> None:
    supplied(stubbed, url="/")
    for number, (event, value) in enumerate(events.items(), start=1):
        stubbed.clock.run_for(30_000)
        stubbed.evaluate(f"sdk.emit('{event}', {value})")
        stubbed.clock.run_for(1)
        assert tokens_given(stubbed) == number * asked, event


def test_a_token_that_the_page_asks_for_goes_to_the_sdk_too(client: Page) -> None:
    supplied(client)
    token = client.evaluate("async () => (await tokens.get()).token")
    assert client.evaluate("sdk.given") == [token]


def test_two_sdks_share_the_tokens_of_one_source(timed: Page) -> None:
    supplied(timed, {"ttl": 3600})
    timed.evaluate("() => { window.second = new Recorder(); tokens.supply(second); }")
    timed.clock.run_for(3_305_000)
    wait_for(timed, "sdk.given.length === 1")
    assert timed.evaluate("second.given[0] === sdk.given[0]")
    assert IssuedToken.objects.count() == 2


def test_a_site_that_is_down_is_asked_less_and_less_often_until_it_is_back(timed: Page) -> None:
    supplied(timed, {"ttl": 3600})
    APIKey.objects.update(is_active=False)
    timed.clock.run_for(3_301_000)
    waits = []
    for tries in range(1, 10):
        wait_for(timed, f"told.length === 1 + {tries}")
        code, retry_in = timed.evaluate("told.at(-1)")
        assert code == "not_configured"
        waits.append(retry_in)
        assert min(30, 2 ** (tries - 1)) <= retry_in <= 1.5 * min(30, 2 ** (tries - 1))
        timed.clock.run_for(1000 * retry_in - 1)
        assert timed.evaluate("told.length") == 1 + tries
        timed.clock.run_for(1)
    wait_for(timed, "told.length === 11")
    assert len(set(waits)) == len(waits), "waits without jitter"
    APIKey.objects.update(is_active=True)
    timed.clock.run_for(1000 * timed.evaluate("told.at(-1)[1]"))
    wait_for(timed, "sdk.given.length === 1")


def test_the_network_coming_back_ends_the_wait(timed: Page) -> None:
    supplied(timed, {"ttl": 3600})
    timed.context.set_offline(True)
    timed.clock.run_for(3_301_000)
    wait_for(timed, "told.at(-1)[0] === 'network'")
    timed.context.set_offline(False)
    # Not at once, as it may flap.
    timed.clock.run_for(1000)
    wait_for(timed, "sdk.given.length === 1")


def test_a_user_who_is_signed_out_is_told_once_until_the_sdk_asks_again(
    timed: Page, signed_in: SignedIn
) -> None:
    supplied(timed, {"ttl": 3600})
    cookies = timed.context.cookies()
    timed.context.clear_cookies(name="sessionid")
    timed.clock.run_for(3_301_000)
    wait_for(timed, "told.length === 2")
    assert timed.evaluate("told.at(-1)") == ["not_authenticated", None]
    timed.clock.run_for(3_600_000)
    settle(timed)
    assert timed.evaluate("told.length") == 2
    timed.context.add_cookies(cookies)
    timed.evaluate("sdk.emit('tokenExpired')")
    wait_for(timed, "sdk.given.length === 1")


def test_an_sdk_that_does_not_take_the_token_is_told_to_the_page(client: Page) -> None:
    supplied(client)
    client.evaluate("() => { sdk.updateToken = () => { throw new Error('destroyed'); }; }")
    client.evaluate(
        "async () => { options.onError = ({ message }) => told.push(message); await tokens.get(); }"
    )
    wait_for(client, "told.includes('destroyed')")


def test_an_sdk_gets_the_newer_token_though_it_refused_the_older(stubbed: Page) -> None:
    stubbed.evaluate(
        """async () => {
          const options = { onError: ({ message }) => told.push(message) };
          const tokens = new TokenSource("/", {}, options);
          window.sdk = new Recorder();
          await tokens.get();
          sdk.updateToken = (token) => {
            sdk.given.push(token);
            return new Promise((_, reject) => (sdk.refuse ??= () => reject(new Error("no"))));
          };
          tokens.supply(sdk);
          await tokens.get();
          await tokens.get();
          sdk.refuse();
        }"""
    )
    wait_for(stubbed, "sdk.given.length === 2")
    assert stubbed.evaluate("[told, sdk.given]") == [["no"], ["token 2", "token 3"]]


def test_a_token_that_the_page_gets_after_a_refusal_is_refreshed_as_any(stubbed: Page) -> None:
    stubbed.evaluate(
        """async () => {
          site = () => answer(401);
          window.tokens = new TokenSource("/");
          window.sdk = new Recorder();
          tokens.supply(sdk);
        }"""
    )
    stubbed.clock.run_for(60_000)
    assert len(stubbed.evaluate("asked")) == 1
    stubbed.evaluate("() => { site = () => token(); return tokens.get(); }")
    stubbed.clock.run_for(3_300_000)
    assert tokens_given(stubbed) == 2


@pytest.mark.parametrize("name", ["onToken", "onError"])
def test_a_callback_that_throws_is_the_pages_error_and_stops_nothing(
    stubbed: Page, name: str
) -> None:
    uncaught: list[str] = []
    stubbed.on("pageerror", lambda error: uncaught.append(str(error)))
    stubbed.evaluate(
        f"""async () => {{
          const tokens = new TokenSource("/", {{}}, {{ {name}() {{ throw new Error("mine"); }} }});
          window.sdk = new Recorder();
          site = () => [token(), answer(503), token(), answer(401), token()][asked.length - 1];
          await tokens.get();
          tokens.supply(sdk);
        }}"""
    )
    stubbed.clock.run_for(6_700_000)
    stubbed.evaluate("sdk.emit('tokenExpired')")
    wait_for(stubbed, "sdk.given.length === 2")
    assert uncaught
    assert all("mine" in text for text in uncaught)


def test_no_wait_leaves_its_listener_on_the_signal_of_stop(stubbed: Page) -> None:
    stubbed.evaluate(
        """() => {
          window.left = 0;
          const { addEventListener, removeEventListener } = AbortSignal.prototype;
          Object.assign(AbortSignal.prototype, {
            addEventListener(...how) { left++; addEventListener.apply(this, how); },
            removeEventListener(...how) { left--; removeEventListener.apply(this, how); },
          });
        }"""
    )
    supplied(stubbed, url="/")
    stubbed.clock.run_for(61 * 3_300_000)
    assert len(stubbed.evaluate("asked")) == 62
    stubbed.evaluate("() => { sdk.connectionState = 'disconnecting'; return tokens.get(); }")
    stubbed.clock.run_for(5_000)
    assert stubbed.evaluate("left") <= 1
    stubbed.clock.run_for(60_000)
    assert stubbed.evaluate("[left, sdk.given.length]") == [0, 62]


def test_another_user_ends_it_before_an_sdk_gets_the_token(timed: Page, site: str) -> None:
    """Who signed in in another tab."""
    supplied(timed, {"ttl": 3600})
    boss = Client()
    boss.force_login(User.objects.create_user("boss"))
    session = boss.cookies["sessionid"].value
    timed.context.add_cookies([{"name": "sessionid", "value": session, "url": site}])
    timed.clock.run_for(3_305_000)
    wait_for(timed, "told.length === 2")
    assert timed.evaluate("told.at(-1)") == ["identity_changed", None]
    assert IssuedToken.objects.filter(identity="boss").count() == 1
    timed.evaluate("sdk.emit('tokenExpired')")
    timed.clock.run_for(7_200_000)
    settle(timed)
    assert tokens_given(timed) == 0
    assert IssuedToken.objects.count() == 2
    assert len(timed.evaluate("told")) == 2


def test_who_asks_for_the_token_of_another_user_is_told_too(stubbed: Page) -> None:
    stubbed.evaluate("() => { site = () => token(3600, { identity: `user ${asked.length}` }); }")
    told = stubbed.evaluate(
        """async () => {
          const tokens = new TokenSource("/", {}, options);
          await tokens.get();
          const failed = await tokens.get().catch(({ code, message }) => [code, message]);
          return [...failed, told.at(-1), await tokens.get().catch(({ name }) => name)];
        }"""
    )
    assert told[0] == "identity_changed"
    assert "user 2" in told[1]
    assert "token 2" not in told[1]
    assert told[2:] == [["identity_changed", None], "AbortError"]


def test_an_sdk_is_given_one_token_after_the_other(timed: Page) -> None:
    """A Conversations Client sends the first of two that overlap, and forgets the second."""
    supplied(timed)
    timed.evaluate(
        """() => {
          sdk.updateToken = (token) => {
            sdk.given.push(token);
            return new Promise((resolve) => (sdk.taken = resolve));
          };
        }"""
    )
    for _ in range(3):
        newest = timed.evaluate("async () => (await tokens.get()).token")
    assert tokens_given(timed) == 1
    timed.evaluate("sdk.taken()")
    wait_for(timed, "sdk.given.length === 2")
    assert timed.evaluate("sdk.given[1]") == newest
    timed.evaluate("sdk.taken()")
    timed.clock.run_for(60_000)
    assert tokens_given(timed) == 2


def test_an_sdk_that_never_answers_gets_the_next_token_all_the_same(timed: Page) -> None:
    supplied(timed)
    timed.evaluate(
        """() => {
          sdk.updateToken = (token) => {
            sdk.given.push(token);
            return new Promise(() => {});
          };
        }"""
    )
    timed.evaluate("() => tokens.get().then(() => tokens.get()).then(() => (window.got = true))")
    wait_for(timed, "window.got")
    assert tokens_given(timed) == 1
    timed.clock.run_for(10_000)
    wait_for(timed, "sdk.given.length === 2")


def test_a_client_that_is_being_disconnected_gets_its_token_afterwards(timed: Page) -> None:
    supplied(timed)
    timed.evaluate("() => { sdk.connectionState = 'disconnecting'; return tokens.get(); }")
    timed.clock.run_for(3000)
    assert tokens_given(timed) == 0
    timed.evaluate("sdk.connectionState = 'disconnected'")
    timed.clock.run_for(100)
    wait_for(timed, "sdk.given.length === 1")


def test_a_client_that_goes_on_being_disconnected_gets_its_token_all_the_same(
    stubbed: Page,
) -> None:
    supplied(stubbed, url="/")
    stubbed.evaluate("() => { sdk.connectionState = 'disconnecting'; return tokens.get(); }")
    stubbed.clock.run_for(9_000)
    assert tokens_given(stubbed) == 0
    stubbed.clock.run_for(2_000)
    assert tokens_given(stubbed) == 1


def test_an_sdk_that_was_made_without_us_gets_a_token_at_once(client: Page) -> None:
    client.evaluate(
        "(url) => { window.sdk = new Recorder(); new TokenSource(url).supply(sdk); }", VIDEO
    )
    wait_for(client, "sdk.given.length === 1")


# Stopping


@pytest.mark.usefixtures("twiml_app")
def test_a_destroyed_device_is_supplied_no_longer(timed: Page) -> None:
    timed.add_script_tag(url="/static/@twilio/voice-sdk/twilio.min.js")
    timed.evaluate(
        """async () => {
          const tokens = new TokenSource("/twilio/tokens/voice/", {}, options);
          window.device = new Twilio.Device((await tokens.get()).token);
          tokens.supply(device);
        }"""
    )
    timed.clock.run_for(3_305_000)
    wait_for(timed, "told.length === 2")
    timed.evaluate("device.destroy()")
    timed.clock.run_for(7_200_000)
    settle(timed)
    assert IssuedToken.objects.count() == 2
    assert len(timed.evaluate("told")) == 2


def test_after_stop_nothing_is_asked_any_more(timed: Page) -> None:
    supplied(timed, {"ttl": 3600})
    timed.evaluate("tokens.stop()")
    timed.evaluate("sdk.emit('tokenExpired')")
    timed.clock.run_for(7_200_000)
    with pytest.raises(Error, match="AbortError"):
        timed.evaluate("tokens.get()")
    settle(timed)
    assert IssuedToken.objects.count() == 1
    assert tokens_given(timed) == 0
    assert len(timed.evaluate("told")) == 1


def test_stop_ends_a_refresh_silently(timed: Page) -> None:
    supplied(timed, {"ttl": 3600})
    APIKey.objects.update(is_active=False)
    timed.clock.run_for(3_301_000)
    wait_for(timed, "told.length === 2")
    timed.evaluate("tokens.stop()")
    timed.clock.run_for(60_000)
    settle(timed)
    assert len(timed.evaluate("told")) == 2


@pytest.mark.parametrize(
    ("answer", "options"),
    [
        ("new Promise(() => {})", "headers: () => new Promise(() => {})"),
        (
            "new Promise((_, reject) => { how.signal.onabort = () => reject(how.signal.reason); })",
            "",
        ),
        (
            "({ text: () => new Promise((_, no) => { how.signal.onabort = () => no('body'); }) })",
            "",
        ),
        ("answer(503)", ""),
        ("answer(503)", "onError: () => tokens.stop()"),
    ],
    ids=["headers", "answer", "body", "retry", "its own callback"],
)
def test_stop_ends_whatever_it_waits_for(stubbed: Page, answer: str, options: str) -> None:
    stubbed.evaluate(
        f"""() => {{
          window.site = (how) => {answer};
          window.tokens = new TokenSource("/", {{}}, {{ {options} }});
          tokens.get({{ tries: 5 }}).catch(({{ name }}) => (window.ended = name));
        }}"""
    )
    stubbed.clock.run_for(100)
    asked = stubbed.evaluate("() => { tokens.stop(); return asked.length; }")
    wait_for(stubbed, "window.ended === 'AbortError'")
    stubbed.clock.run_for(120_000)
    assert len(stubbed.evaluate("asked")) == asked


@pytest.mark.parametrize("state", ["connected", "disconnecting"])
def test_stop_ends_the_handing_over(stubbed: Page, state: str) -> None:
    supplied(stubbed, url="/")
    stubbed.evaluate(
        """async (state) => {
          sdk.connectionState = state;
          sdk.updateToken = (token) => { sdk.given.push(token); return new Promise(() => {}); };
          for (let i = 0; i < 3; i++) await tokens.get();
          tokens.stop();
        }""",
        state,
    )
    stubbed.clock.run_for(60_000)
    assert tokens_given(stubbed) == (state == "connected")


def test_a_device_that_is_destroyed_while_it_is_given_a_token_stays_so(stubbed: Page) -> None:
    supplied(stubbed, url="/")
    stubbed.evaluate(
        """async () => {
          sdk.updateToken = async () => sdk.emit("destroyed");
          await tokens.get();
        }"""
    )
    stubbed.clock.run_for(7_200_000)
    assert len(stubbed.evaluate("asked")) == 2
