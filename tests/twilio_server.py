"""A local server that answers as Twilio's OpenAPI documents say, and that can be made to fail.

It plays all hosts, told apart by the Host header. ``HttpClient`` is Twilio's own, but for the
address that it asks; nothing else is replaced.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from twilio.http.http_client import TwilioHttpClient

API = "api.twilio.com"
CONVERSATIONS = "conversations.twilio.com"
IE1 = "api.dublin.ie1.twilio.com"
AU1 = "api.sydney.au1.twilio.com"
JP1 = "api.tokyo.jp1.twilio.com"

SYNC = "sync.twilio.com"
TASKROUTER = "taskrouter.twilio.com"
REGIONS = {IE1: "ie1", AU1: "au1", JP1: "jp1"}  # all others are of us1

#: The codes of Twilio's errors, by HTTP status.
CODES = {400: 20001, 401: 20003, 403: 20403, 404: 20404, 429: 20429, 500: 20500, 503: 20503}


@dataclass
class Key:
    secret: str
    account: str
    region: str = "us1"
    #: For a Restricted key, the HTTP status that every request meets.
    refused_with: int | None = None


@dataclass
class Fault:
    """What the server answers instead, or does. ``times`` None means always."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    host: str | None = None
    times: int | None = None
    reset: bool = False
    hang: bool = False
    #: Bytes that are sent again and again, with seconds in between, after the head of the answer
    #: or as part of it.
    endless: bytes = b""
    pause: float = 0
    in_head: bool = False
    #: Sent as it is, and no more.
    raw: bytes = b""


@dataclass(frozen=True)
class Request:
    host: str
    path: str
    query: dict[str, str]
    authorization: str


def error(status: int, code: int | None = None) -> dict[str, Any]:
    code = code or CODES[status]
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    return {"code": code, "message": "As said", "more_info": more_info, "status": status}


class TwilioServer(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.keys: dict[str, Key] = {}
        #: By SID: account, friendly name and, of push credentials, type and perhaps sandbox.
        self.services: dict[str, tuple[str, str | None]] = {}
        self.apps: dict[str, tuple[str, str | None]] = {}
        self.credentials: dict[str, tuple[str | None, ...]] = {}
        self.sync_services: dict[str, tuple[str, str | None]] = {}
        self.workspaces: dict[str, tuple[str, str | None]] = {}
        self.fault: Fault | None = None
        #: Every page names another next one.
        self.is_endless = False
        self.requests: list[Request] = []
        #: The timeouts that Twilio's HTTP client was given.
        self.timeouts: list[float | None] = []
        self.released = threading.Event()

    @property
    def hosts(self) -> list[str]:
        return [request.host for request in self.requests]

    def fail(self, status: int = 200, **fault: Any) -> None:
        self.fault = Fault(status, **fault)
        if self.fault.body is None and status >= 400:
            self.fault.body = error(status)

    def recover(self) -> None:
        self.fault = None

    def take_fault(self, host: str) -> Fault | None:
        fault = self.fault
        if fault is None or fault.host not in (None, host) or fault.times == 0:
            return None
        if fault.times is not None:
            fault.times -= 1
        return fault

    def http_client(self, timeout: float | None = None) -> HttpClient:
        return HttpClient(self, timeout)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone away is no news."""


class HttpClient(TwilioHttpClient):  # type: ignore[misc]
    def __init__(self, server: TwilioServer, timeout: float | None) -> None:
        super().__init__(timeout=timeout)
        self.session.trust_env = False  # a proxy would not find us
        self.server = server

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        self.server.timeouts.append(kwargs["timeout"])
        address = urlsplit(url)
        assert address.scheme == "https"
        assert address.netloc.endswith(".twilio.com")
        kwargs["headers"] = {**kwargs["headers"], "Host": address.netloc}
        local = f"127.0.0.1:{self.server.server_port}"
        url = address._replace(scheme="http", netloc=local).geturl()
        return super().request(method, url, *args, **kwargs)


@contextmanager
def running(settings: Any) -> Iterator[TwilioServer]:
    """The server, which the app asks instead of Twilio."""
    server = TwilioServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    settings.TWILIO_TOKENS_HTTP_CLIENT = server.http_client
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: TwilioServer

    def log_message(self, *args: Any) -> None:
        pass

    def do_CONNECT(self) -> None:
        """Asked to be a proxy, it notes for which host, and refuses."""
        self.server.requests.append(Request(self.path, "", {}, ""))
        self.send_error(403)

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        host = self.headers["Host"]
        request = Request(host, address.path, query, self.headers.get("Authorization", ""))
        self.server.requests.append(request)
        fault = self.server.take_fault(host)
        if fault is None:
            self._send(*_answer(self.server, request))
        elif fault.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif fault.hang:
            self.server.released.wait(30)
        elif fault.raw:
            self.wfile.write(fault.raw)
        elif fault.endless:
            self._send_without_end(fault)
        else:
            self._send(fault.status, fault.body, fault.headers)

    def _send_without_end(self, fault: Fault) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\n" + (b"X: " if fault.in_head else b"\r\n"))
        while not self.server.released.wait(fault.pause):
            self.wfile.write(fault.endless)

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        text = body if isinstance(body, (str, bytes)) else json.dumps(body)
        content = text if isinstance(text, bytes) else text.encode()
        kind = "text/html" if content.startswith(b"<") else "application/json"
        self.send_response(status)
        for name, value in {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(content)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _answer(server: TwilioServer, request: Request) -> tuple[int, Any]:
    key = _key(server, request)
    if key is None:
        return 401, error(401)
    if key.refused_with:
        return key.refused_with, error(key.refused_with, 70051)
    if request.host == CONVERSATIONS and request.path == "/v1/Configuration":
        return 200, _configuration(key)
    if request.host in (CONVERSATIONS, SYNC, TASKROUTER):
        return _of_v1(server, request, key)
    match = re.fullmatch(r"/2010-04-01/Accounts/(\w+)/Applications(?:/(\w+))?\.json", request.path)
    assert match, f"nobody should ask for {request}"
    account, app = match.groups()
    if account != key.account:
        return 401, error(401)
    if app is None:
        apps = [
            _app(sid, server) for sid, (owner, _name) in server.apps.items() if owner == account
        ]
        return _page_of_2010(server, request, apps)
    if server.apps.get(app, (None,))[0] != account:
        return 404, error(404)
    return 200, _app(app, server)


def _key(server: TwilioServer, request: Request) -> Key | None:
    """The key that signed in, if it is one of the region that was asked."""
    scheme, _space, credentials = request.authorization.partition(" ")
    if scheme != "Basic":
        return None
    sid, _colon, secret = b64decode(credentials).decode().partition(":")
    key = server.keys.get(sid)
    is_right = key and key.secret == secret and key.region == REGIONS.get(request.host, "us1")
    return key if is_right else None


def _configuration(key: Key) -> dict[str, Any]:
    return {
        "account_sid": key.account,
        "default_chat_service_sid": None,
        "default_messaging_service_sid": None,
        "default_inactive_timer": None,
        "default_closed_timer": None,
        "url": f"https://{CONVERSATIONS}/v1/Configuration",
        "links": {},
    }


def _of_v1(server: TwilioServer, request: Request, key: Key) -> tuple[int, Any]:
    # No account stands in the path: it is the key's.
    _slash, _v1, kind, *sid = request.path.split("/")
    rows: dict[str, Any] = {
        (CONVERSATIONS, "Services"): server.services,
        (CONVERSATIONS, "Credentials"): server.credentials,
        (SYNC, "Services"): server.sync_services,
        (TASKROUTER, "Workspaces"): server.workspaces,
    }[request.host, kind]
    mine = {each: row for each, row in rows.items() if row[0] == key.account}
    url = f"https://{request.host}/v1/{kind}"
    if not sid:
        items = [_item(each, row, url) for each, row in mine.items()]
        return _page_of_v1(server, request, items, kind.lower())
    [wanted] = sid
    return (200, _item(wanted, mine[wanted], url)) if wanted in mine else (404, error(404))


def _item(sid: str, row: Any, url: str) -> dict[str, Any]:
    account, name, *of_credential = row
    return {
        "sid": sid,
        "account_sid": account,
        "friendly_name": name,
        **dict(zip(("type", "sandbox"), of_credential, strict=False)),
        "date_created": "2015-12-16T22:18:37Z",
        "date_updated": "2015-12-16T22:18:38Z",
        "url": f"{url}/{sid}",
    }


def _app(sid: str, server: TwilioServer) -> dict[str, Any]:
    account, name = server.apps[sid]
    return {
        "sid": sid,
        "account_sid": account,
        "friendly_name": name,
        "api_version": "2010-04-01",
        "date_created": "Mon, 22 Aug 2011 20:59:45 +0000",
        "date_updated": "Tue, 18 Aug 2015 16:48:57 +0000",
        "uri": f"/2010-04-01/Accounts/{account}/Applications/{sid}.json",
        "voice_method": "POST",
        "voice_url": None,
        "voice_caller_id_lookup": False,
        "public_application_connect_enabled": False,
    }


def _page_of_2010(
    server: TwilioServer, request: Request, items: list[Any]
) -> tuple[int, dict[str, Any]]:
    size, number = int(request.query.get("PageSize", 50)), int(request.query.get("Page", 0))
    if not 1 <= size <= 1000:
        return 400, error(400)
    start = number * size
    more = server.is_endless or start + size < len(items)
    path = f"{request.path}?PageSize={size}&Page="
    return 200, {
        "applications": items[start : start + size],
        "page": number,
        "page_size": size,
        "start": start,
        "end": min(start + size, len(items)) - 1,
        "uri": f"{path}{number}",
        "first_page_uri": f"{path}0",
        "previous_page_uri": f"{path}{number - 1}" if number else None,
        "next_page_uri": f"{path}{number + 1}&PageToken=PA{number}" if more else None,
    }


def _page_of_v1(
    server: TwilioServer, request: Request, items: list[Any], name: str
) -> tuple[int, dict[str, Any]]:
    size, number = int(request.query.get("PageSize", 50)), int(request.query.get("Page", 0))
    if not 1 <= size <= 100:
        return 400, error(400)
    start = number * size
    more = server.is_endless or start + size < len(items)
    url = f"https://{request.host}{request.path}?PageSize={size}&Page="
    return 200, {
        name: items[start : start + size],
        "meta": {
            "page": number,
            "page_size": size,
            "first_page_url": f"{url}0",
            "previous_page_url": f"{url}{number - 1}" if number else None,
            "url": f"{url}{number}",
            "next_page_url": f"{url}{number + 1}&PageToken=PT{number}" if more else None,
            "key": name,
        },
    }
