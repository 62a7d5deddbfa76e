from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from twilio_tokens import twilio_api
from twilio_tokens.exceptions import ListingFailed
from twilio_tokens.twilio_api import LONGEST_TEXT, Answer, Requests, one_app

from .rows import new_secret, sid
from .twilio_server import API, CONVERSATIONS, HttpClient, Key, TwilioServer

HTML = "<!doctype html><title>Welcome to the Café WLAN</title>"
CHAT_SERVICES = f"https://{CONVERSATIONS}/v1/Services?PageSize=1"

Ask = Callable[..., Answer]


@pytest.fixture
def requests(twilio: TwilioServer, secret: str) -> Requests:
    """Those of a key that Twilio knows."""
    twilio.keys[sid("SK")] = Key(secret, sid("AC"))
    return Requests(sid("AC"), sid("SK"), secret, seconds=10)


@pytest.fixture
def ask(requests: Requests) -> Ask:
    """Sends one small request."""
    return lambda: requests.get(one_app(sid("AC")))


# What an answer is


def test_an_answer_has_the_status_and_the_data(ask: Ask) -> None:
    answer = ask()
    assert answer.says(200)
    assert answer.data["applications"] == []
    assert (answer.code, answer.failure) == (200, "")


def test_an_answer_may_be_compressed(ask: Ask, twilio: TwilioServer, settings: Any) -> None:
    settings.TWILIO_TOKENS_HTTP_CLIENT = lambda: with_the_apps_limit(twilio.http_client())
    body = gzip.compress(b'{"applications": [], "page": 7}')
    twilio.fail(body=body, headers={"Content-Encoding": "gzip"})
    assert ask().data["page"] == 7


def with_the_apps_limit(client: HttpClient) -> HttpClient:
    """As the app's own client has it; a site's is its own affair."""
    client.request_hooks = twilio_api.default_http_client().request_hooks
    return client


@pytest.mark.parametrize("body", [HTML, [], {}, '"text"', "", '{"applications": [', "[" * 100_000])
def test_what_is_no_json_object_is_not_from_twilio(
    body: Any, ask: Ask, twilio: TwilioServer
) -> None:
    twilio.fail(403, body=body)
    answer = ask()
    assert (answer.status, answer.data) == (403, {})
    assert not answer.says(403)


@pytest.mark.parametrize(
    ("code", "expected"),
    [(1, 1), (999_999, 999_999), (0, 400), (-1, 400), (1_000_000, 400), (True, 400), ("7", 400)],
)
def test_a_code_of_twilios_is_a_number_of_up_to_six_digits(code: Any, expected: int) -> None:
    assert Answer(400, {"code": code}).code == expected


@pytest.mark.parametrize(
    ("status", "retry_after", "wait"),
    [
        (429, "5", 5),
        (429, "5.1", None),
        (503, "0.5", 0.5),
        (500, "-1", 0),
        (500, "", 0),
        (500, "soon", 0),
        (499, "0", None),
        (430, "0", None),
    ],
)
def test_what_passes_is_repeated_within_five_seconds(
    status: int, retry_after: str, wait: float | None
) -> None:
    assert Answer(status, {}, retry_after).wait == wait


def test_texts_are_those_that_every_database_and_page_takes() -> None:
    data = {"a": "x\x00\ud800\n\u202e😀", "b": 5, "c": None, "d": ["x"], "e": "x" * 5_000}
    told = r"x\x00\ud800\n\u202e😀"
    assert Answer(200, data).texts == {"a": told, "e": "x" * LONGEST_TEXT}
    assert twilio_api.texts(["x"]) == {}


# The site's HTTP client


def test_a_hanging_server_ends_with_the_timeout_of_the_sites_http_client(
    ask: Ask, twilio: TwilioServer, settings: Any
) -> None:
    settings.TWILIO_TOKENS_HTTP_CLIENT = lambda: twilio.http_client(timeout=0.1)
    twilio.fail(hang=True)
    assert ask() == Answer(0, {}, failure="The request failed: ReadTimeout.")
    assert twilio.timeouts == [0.1]


def test_without_a_timeout_of_its_own_it_is_five_seconds(ask: Ask, twilio: TwilioServer) -> None:
    ask()
    assert twilio.timeouts == [5]


class OldStyle(HttpClient):
    """As in Twilio's guide to custom HTTP clients, which does not call the inherited method."""

    def __init__(self, server: TwilioServer) -> None:
        super().__init__(server, None)
        del self.timeout

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        self.timeout = None
        response = super().request(method, url, **kwargs)
        response.headers = None
        return response


def test_an_http_client_without_timeout_and_headers_will_do(
    ask: Ask, twilio: TwilioServer, settings: Any
) -> None:
    settings.TWILIO_TOKENS_HTTP_CLIENT = lambda: OldStyle(twilio)
    assert ask().says(200)
    assert twilio.timeouts == [5]


class NoClient:
    pass


@pytest.mark.parametrize(
    ("setting", "failure"),
    [
        (
            "http_clients.Missing",
            "TWILIO_TOKENS_HTTP_CLIENT should be a function or a dotted path to one, but the "
            "path cannot be imported (No module named 'http_clients').",
        ),
        (3, "TWILIO_TOKENS_HTTP_CLIENT should be a function or a dotted path to one."),
        (
            lambda: 1 / 0,
            "The function in TWILIO_TOKENS_HTTP_CLIENT raised ZeroDivisionError.",
        ),
        (NoClient, "The request failed: AttributeError."),
    ],
)
def test_an_unusable_http_client_is_a_failure_not_a_crash_with_a_secret_in_its_frames(
    setting: Any, failure: str, ask: Ask, settings: Any
) -> None:
    settings.TWILIO_TOKENS_HTTP_CLIENT = setting
    assert ask() == Answer(0, {}, failure=failure)


def test_twilios_own_http_client_is_the_default_and_goes_through_the_sites_proxy(
    ask: Ask, twilio: TwilioServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TWILIO_TOKENS_HTTP_CLIENT = None
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{twilio.server_port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert ask().failure == "The request failed: ProxyError."
    assert twilio.hosts == [f"{API}:443"]


# The time of all requests together

SLOW = "There was no complete answer within 1 second."


def test_what_is_left_of_the_time_limits_each_request(secret: str, twilio: TwilioServer) -> None:
    Requests(sid("AC"), sid("SK"), secret, seconds=1).get(one_app(sid("AC")))
    assert all(timeout <= 1 for timeout in twilio.timeouts)


def test_when_the_time_is_over_nobody_is_asked(
    secret: str, twilio: TwilioServer, settings: Any
) -> None:
    made: list[object] = []
    settings.TWILIO_TOKENS_HTTP_CLIENT = lambda: made.append("a client")
    before = {*threading.enumerate()}
    assert Requests(sid("AC"), sid("SK"), secret, seconds=0).get(CHAT_SERVICES).status == 0
    for thread in {*threading.enumerate()} - before:
        thread.join()
    assert made == []


def test_nothing_of_a_request_is_left_behind(ask: Ask, twilio: TwilioServer, settings: Any) -> None:
    """Not the connections to databases that a site's client made, nor a thread that must end."""
    closed, endless = [], []

    def client() -> HttpClient:
        connections["default"].close = lambda: closed.append(True)  # type: ignore[method-assign]
        endless.extend([] if threading.current_thread().daemon else ["a thread"])
        return twilio.http_client()

    settings.TWILIO_TOKENS_HTTP_CLIENT = client
    before = {*threading.enumerate()}
    assert ask().says(200)
    for thread in {*threading.enumerate()} - before:
        thread.join(10)
    assert (closed, endless) == ([True], [])


class Dawdling(HttpClient):
    """A client of a site that knows no timeouts, or waits for a name server."""

    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        return super().request(method, url, **kwargs | {"timeout": 1_000})


class Following(HttpClient):
    def request(self, method: str, url: str, **kwargs: Any) -> Any:
        self.session.max_redirects = 1_000_000
        return super().request(method, url, **kwargs | {"allow_redirects": True})


@pytest.mark.parametrize(
    ("make_client", "fault"),
    [
        (HttpClient, {"endless": b" ", "pause": 0.1}),
        (HttpClient, {"endless": b"x", "pause": 0.1, "in_head": True}),
        (Dawdling, {"hang": True}),
        (
            Following,
            {"status": 302, "headers": {"Location": "/2010-04-01/Accounts/1/Applications.json"}},
        ),
    ],
    ids=["drips its answer", "drips the head of it", "hangs", "redirects for ever"],
)
def test_a_server_that_takes_its_time_is_left_when_ours_is_over(
    make_client: type[HttpClient],
    fault: dict[str, Any],
    requests: Requests,
    secret: str,
    twilio: TwilioServer,
    settings: Any,
) -> None:
    settings.TWILIO_TOKENS_HTTP_CLIENT = lambda: make_client(twilio, None)
    twilio.fail(**fault)
    hurried = Requests(sid("AC"), sid("SK"), secret, seconds=0.3)
    assert hurried.get(one_app(sid("AC"))) == Answer(0, {}, failure=SLOW)
    # The time is that of all requests: no other host is asked.
    asked = twilio.hosts
    assert hurried.get(CHAT_SERVICES).failure == SLOW
    assert CONVERSATIONS not in asked + twilio.hosts


def test_a_client_forgets_the_credentials_of_a_request_that_is_left_behind(
    secret: str, twilio: TwilioServer, settings: Any
) -> None:
    client = Dawdling(twilio, None)
    settings.TWILIO_TOKENS_HTTP_CLIENT = lambda: client
    twilio.fail(hang=True)
    assert Requests(sid("AC"), sid("SK"), secret, seconds=1).get(CHAT_SERVICES).status == 0
    assert client._test_only_last_request is None


def test_a_repetition_that_would_come_too_late_is_not_waited_for(
    secret: str, twilio: TwilioServer
) -> None:
    twilio.fail(429, headers={"Retry-After": "1"})
    hurried = Requests(sid("AC"), sid("SK"), secret, seconds=0.3)
    assert hurried.get(one_app(sid("AC"))).status == 429
    assert twilio.hosts == [API]


def test_a_site_that_is_slow_to_make_its_http_client_is_left_too(
    secret: str, twilio: TwilioServer, settings: Any
) -> None:
    settings.TWILIO_TOKENS_HTTP_CLIENT = lambda: twilio.released.wait(30)
    hurried = Requests(sid("AC"), sid("SK"), secret, seconds=0.3)
    assert hurried.get(one_app(sid("AC"))).failure == SLOW


def test_an_answer_without_an_end_is_not_read_for_ever(
    ask: Ask, twilio: TwilioServer, settings: Any
) -> None:
    settings.TWILIO_TOKENS_HTTP_CLIENT = lambda: with_the_apps_limit(twilio.http_client())
    assert ask().says(200)
    twilio.fail(endless=b" " * 1_000_000)
    assert ask().failure == "The request failed: AnswerTooLarge."


# Once more, and where to


@pytest.mark.parametrize(
    "retry_after", [None, "0", "-1", "nan", "soon", "Fri, 31 Dec 2100 23:59:59 GMT"]
)
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_repeated_once(
    status: int, retry_after: str | None, ask: Ask, twilio: TwilioServer
) -> None:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    twilio.fail(status, headers=headers, times=1)
    assert ask().says(200)
    assert twilio.hosts == [API, API]
    twilio.requests.clear()
    twilio.fail(status, headers=headers)
    assert ask().says(status)
    assert twilio.hosts == [API, API]


def test_the_repetition_waits_as_long_as_twilio_asks(
    ask: Ask, twilio: TwilioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    twilio.fail(429, headers={"Retry-After": "4"}, times=1)
    assert ask().says(200)
    assert waited == [4]


@pytest.mark.parametrize("retry_after", ["9999", "6", "1e400", "9" * 5000])
def test_asked_to_wait_for_long_we_give_up(
    retry_after: str, ask: Ask, twilio: TwilioServer
) -> None:
    twilio.fail(429, headers={"Retry-After": retry_after}, times=1)
    assert ask().says(429)
    assert twilio.hosts == [API]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 400},
        {"status": 403},
        {"status": 404},
        {"status": 200, "body": HTML},
        {"reset": True},
    ],
)
def test_nothing_else_is_repeated(fault: dict[str, Any], ask: Ask, twilio: TwilioServer) -> None:
    twilio.fail(**fault)
    ask()
    assert twilio.hosts == [API]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_with_the_credentials(
    status: int, ask: Ask, twilio: TwilioServer
) -> None:
    address = f"http://127.0.0.1:{twilio.server_port}/2010-04-01/elsewhere"
    twilio.fail(status, body="", headers={"Location": address}, times=1)
    assert ask().status == status
    assert len(twilio.requests) == 1


def test_region_and_edge_in_the_environment_do_not_divert_requests(
    requests: Requests, twilio: TwilioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    monkeypatch.setenv("TWILIO_EDGE", "dublin")
    assert requests.get(one_app(sid("AC"))).says(200)
    assert requests.get(CHAT_SERVICES).says(200)
    other_hosts = list(twilio_api.OTHER_REGIONS.values())
    for host in other_hosts:
        assert requests.get(one_app(sid("AC"), host=host)).says(401)
    assert [f"https://{host}" for host in twilio.hosts[2:]] == other_hosts
    assert twilio.hosts[:2] == [API, CONVERSATIONS]


def test_credentials_in_the_environment_are_not_used(
    twilio: TwilioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth_token = new_secret()
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", auth_token)
    twilio.keys[sid("SK")] = Key(auth_token, sid("AC"))
    without_secret = Requests(sid("AC"), sid("SK"), "", seconds=10)
    assert without_secret.get(one_app(sid("AC"))).says(401)
    assert {request.authorization for request in twilio.requests} == {""}


# The pages of a list

FIRST = {
    "younger": f"https://{CONVERSATIONS}/v1/Services?PageSize=1",
    "2010": one_app(sid("AC")),
}


def following(address: object) -> dict[str, Any]:
    """A page, of either API."""
    return {"next_page_uri": address, "meta": {"next_page_url": address}}


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
def test_pages_are_asked_for_until_the_last(
    first: str, requests: Requests, twilio: TwilioServer
) -> None:
    for number in range(3):
        twilio.services[sid("IS", f"{number}")] = (sid("AC"), "Chat")
        twilio.apps[sid("AP", f"{number}")] = (sid("AC"), "App")
    pages = list(requests.pages(first))
    assert [page.status for page in pages] == [200] * 3
    items = [
        item for page in pages for item in page.data.get("services", page.data.get("applications"))
    ]
    assert len({item["sid"] for item in items}) == 3


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
def test_a_page_that_fails_is_the_last(
    first: str, requests: Requests, twilio: TwilioServer
) -> None:
    twilio.fail(body=following("/v1/Services?Page=1"), times=1)
    twilio.keys.clear()
    assert [page.status for page in requests.pages(first)] == [200, 401]


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
def test_a_chain_of_pages_that_does_not_end_is_given_up(
    first: str, requests: Requests, twilio: TwilioServer
) -> None:
    twilio.is_endless = True
    with pytest.raises(ListingFailed, match="does not end, so it was discarded"):
        list(requests.pages(first))
    assert len(twilio.requests) == 100


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
def test_a_chain_of_pages_that_bites_its_tail_is_given_up(
    first: str, requests: Requests, twilio: TwilioServer
) -> None:
    twilio.fail(body=following("/v1/Services?Page=1"))
    with pytest.raises(ListingFailed, match="does not end"):
        list(requests.pages(first))
    assert len(twilio.requests) == 2


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
@pytest.mark.parametrize(
    "address",
    [
        "https://twilio.example.com/v1/Services?Page=1",
        f"http://{CONVERSATIONS}/v1/Services?Page=1",
        f"https://{CONVERSATIONS}@example.com/v1/Services",
        f"https://{CONVERSATIONS}.example.com/v1/Services",
        f"https://{CONVERSATIONS}:8443/v1/Services",
        "//example.com/v1/Services",
        "file:///etc/passwd",
        "https://[example",
        "http://[::1",
    ],
)
def test_a_next_page_at_another_address_is_not_asked(
    address: str, first: str, requests: Requests, twilio: TwilioServer
) -> None:
    twilio.fail(body=following(address))
    with pytest.raises(ListingFailed, match="continues at an unknown address, so it was discarded"):
        list(requests.pages(first))
    assert len(twilio.requests) == 1


@pytest.mark.parametrize(
    "end",
    [{"x": 1}, {"meta": None}, {"meta": []}, {"meta": {"next_page_url": 5}}, {"next_page_uri": ""}],
)
def test_what_is_no_address_of_a_next_page_ends_the_list(
    end: dict[str, Any], requests: Requests, twilio: TwilioServer
) -> None:
    twilio.fail(body=end)
    assert len(list(requests.pages(CHAT_SERVICES))) == 1
