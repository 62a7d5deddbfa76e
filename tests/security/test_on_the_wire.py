"""What servers make of odd requests, and which answers no cache may store."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from rest_framework.test import APIClient

from tests.servers.site import Site

VIDEO = "/twilio/tokens/video/"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture(scope="module", params=["gunicorn", "uvicorn"])
def client(request: pytest.FixtureRequest, site: Site) -> Iterator[httpx.Client]:
    with site.served_by(request.param) as client:
        yield client


def exchange(client: httpx.Client, sent: str) -> str:
    """Everything that comes back on one connection."""
    answer = b""
    with socket.create_connection((client.base_url.host, client.base_url.port or 80)) as connection:
        connection.settimeout(30)
        connection.sendall(sent.encode())
        try:
            while piece := connection.recv(65_536):
                answer += piece
        except ConnectionResetError:
            pass  # a server may close while it is still being sent to
    return answer.decode()


# Two requests in what looks like one

POST = f"POST {VIDEO} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def authorization(client: httpx.Client) -> str:
    return f"Authorization: {client.headers['Authorization']}\r\n"


def hidden(client: httpx.Client) -> str:
    last = "Connection: close\r\n"
    return f'{POST}{authorization(client)}{last}Content-Length: 18\r\n\r\n{{"room": "hidden"}}'


@pytest.mark.parametrize(
    "lengths",
    [
        "Content-Length: {end}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding:\tchunked\r\nContent-Length: {end}\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\nContent-Length: {end}\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 2\r\nContent-Length: {end}\r\n\r\n{{}}",
        "Content-Length: 2, {end}\r\n\r\n{{}}",
        "Content-Length: +2\r\n\r\n{{}}",
    ],
)
def test_a_request_of_two_lengths_gets_no_token(client: httpx.Client, lengths: str) -> None:
    body = hidden(client)
    ambiguous = POST + authorization(client) + lengths.format(end=5 + len(body)) + body
    answer = exchange(client, ambiguous)
    assert re.findall(r"^HTTP/1\.1 (\d)", answer)[0] in "45", answer


@pytest.mark.parametrize(
    "lengths", ["\r\n", "Content_Length: {end}\r\nContent-Length: 2\r\n\r\n{{}}"]
)
def test_no_request_takes_the_next_one_for_its_body(client: httpx.Client, lengths: str) -> None:
    body = hidden(client)
    answer = exchange(
        client, POST + authorization(client) + lengths.format(end=2 + len(body)) + body
    )
    grants = re.findall(r'"grants":(\{"video":\{.*?\}\})', answer)
    assert grants == ['{"video":{}}', '{"video":{"room":"hidden"}}'], answer


# What may be stored

JSON = {"Content-Type": "application/json"}
#: What is sent, and the status of an answer of the app: each with no-store.
OURS = {
    "a token": ("POST", VIDEO, JSON, b"{}", 201),
    "what one may ask for": ("GET", VIDEO, {}, b"", 200),
    "a field that is not known": ("POST", VIDEO, JSON, b'{"rooom": "A"}', 400),
    "a body that is not JSON": ("POST", VIDEO, JSON, b'{"room"', 400),
    "a body that is too large": ("POST", VIDEO, JSON, b" " * 70_000, 400),
    "a body of another kind": ("POST", VIDEO, {"Content-Type": "x/y"}, b"x", 415),
    "not signed in": ("GET", VIDEO, {"Authorization": ""}, b"", 401),
    "another method": ("DELETE", VIDEO, {}, b"", 405),
    "a kind of answer that there is not": ("GET", VIDEO, {"Accept": "image/png"}, b"", 406),
    "a format that there is not": ("GET", f"{VIDEO}?format=xml", {}, b"", 404),
}
#: Those that the app never sees: without no-store.
OTHERS = {
    "an address without its last slash": ("GET", VIDEO[:-1], {}, b"", 301),
    "a POST to it": ("POST", VIDEO[:-1], JSON, b"{}", 301),
    "a product that there is not": ("GET", "/twilio/tokens/nothing/", {}, b"", 404),
    "another host": ("GET", VIDEO, {"Host": "evil.example"}, b"", 400),
}


@pytest.mark.parametrize("name", OURS)
def test_no_answer_of_the_app_may_be_stored(client: httpx.Client, name: str) -> None:
    method, path, headers, body, status = OURS[name]
    response = client.request(method, path, headers=headers, content=body)
    assert (response.status_code, response.headers["Cache-Control"]) == (status, "no-store")


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_answered_before_the_app_holds_nothing(client: httpx.Client, name: str) -> None:
    method, path, headers, body, status = OTHERS[name]
    response = client.request(method, path, headers=headers, content=body)
    assert response.status_code == status
    assert "Cache-Control" not in response.headers
    assert_holds_nothing(client, f"{response.headers}{response.text}")
    assert response.headers.get("Location", VIDEO) == VIDEO


@pytest.mark.parametrize(
    "head", [f"GET {VIDEO} x HTTP/1.1\r\n", f"GET {VIDEO} HTTP/1.1\r\nno colon\r\n"]
)
def test_what_the_server_refuses_by_itself_holds_nothing(client: httpx.Client, head: str) -> None:
    host = "Host: 127.0.0.1\r\nConnection: close\r\n"
    answer = exchange(client, f"{head}{host}{authorization(client)}\r\n")
    assert re.match(r"HTTP/1\.1 4\d\d", answer)
    assert "no-store" not in answer
    assert_holds_nothing(client, answer)


def failing(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        raise RuntimeError("the site's")

    return middleware


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("middleware", "changes", "status"),
    [
        (f"{__name__}.failing", {}, 500),
        ("django.middleware.security.SecurityMiddleware", {"SECURE_SSL_REDIRECT": True}, 301),
    ],
)
def test_so_does_what_a_middleware_answers(
    api: APIClient, settings: Any, middleware: str, changes: dict[str, Any], status: int
) -> None:
    settings.MIDDLEWARE = [middleware, *settings.MIDDLEWARE]
    for name, value in changes.items():
        setattr(settings, name, value)
    api.raise_request_exception = False
    response = api.post(VIDEO, {"room": "A"}, "json")
    assert response.status_code == status
    assert "Cache-Control" not in response.headers
    assert response.headers.get("Location", "").endswith(VIDEO if status == 301 else "")
    assert "eyJ" not in response.content.decode()


def assert_holds_nothing(client: httpx.Client, answer: str) -> None:
    assert "anna" not in answer
    assert "eyJ" not in answer
    assert "Set-Cookie" not in answer
    assert client.headers["Authorization"].split()[1] not in answer
