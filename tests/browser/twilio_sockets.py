"""A local stand-in for the sockets that Twilio's browser SDKs connect to.

One TLS server plays all hosts, told apart by the Host header. It checks each token that arrives on
the wire as Twilio does, by PyJWT and from the secret that the test typed in; the three protocols
are in ``video_signaling``, ``voice_signaling`` and ``chat_twilsock``.
"""

from __future__ import annotations

import asyncio
import datetime
import io
import ssl
import tempfile
import threading
import time
import wave
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
from aiohttp import WSMsgType, web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from . import chat_twilsock, video_signaling, voice_signaling

HEADER = {"alg": "HS256", "cty": "twilio-fpa;v=1", "typ": "JWT"}
LONGEST = 86_400


@dataclass(frozen=True)
class Arrival:
    """A token as it came over the wire, and Twilio's code for what is wrong with it, or None."""

    product: str
    token: str
    at: float
    code: int | None
    claims: dict[str, Any]

    @property
    def identity(self) -> str:
        return self.claims["grants"]["identity"]

    @property
    def expires_in(self) -> float:
        return self.claims["exp"] - time.time()


@dataclass
class Twilio:
    """What this Twilio knows of one account, and what it has seen.

    A test replaces it as a whole; the protocols keep the state of theirs in ``rooms``, ``devices``
    and ``conversations``.
    """

    account: str = ""
    key: str = ""
    secret: str = ""
    #: Whom to call is asked here, if that is set, and signed with the auth token.
    voice_url: str = ""
    auth_token: str = ""
    #: Product to a code that refuses its tokens whatever they hold.
    refused: dict[str, int] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    #: Other requests: host and path.
    requests: list[tuple[str, str]] = field(default_factory=list)
    rooms: dict[str, Any] = field(default_factory=dict)
    devices: dict[str, Any] = field(default_factory=dict)
    conversations: dict[str, Any] = field(default_factory=dict)

    def check(self, product: str, token: object) -> Arrival:
        """Note the arrival of a token, which is good if its ``code`` is None."""
        text = token if isinstance(token, str) else ""
        code, claims = self._judge(product, text)
        arrival = Arrival(product, text, time.time(), self.refused.get(product, code), claims)
        self.arrivals.append(arrival)
        return arrival

    def of(self, product: str) -> list[Arrival]:
        return [arrival for arrival in self.arrivals if arrival.product == product]

    def _judge(self, product: str, token: str) -> tuple[int | None, dict[str, Any]]:
        # Any key verifies anything if the test forgot to say its own.
        assert self.secret, "The test has not said which secret this Twilio knows."
        try:
            header = jwt.get_unverified_header(token)
            claims = jwt.decode(token, options={"verify_signature": False})
        except jwt.InvalidTokenError:
            return 20101, {}
        if header != HEADER:
            return 20102, claims
        if claims.get("iss") != self.key or claims.get("sub") != self.account:
            return 20103, claims
        try:
            jwt.decode(token, self.secret, algorithms=["HS256"])
        except jwt.ExpiredSignatureError:
            return 20104, claims
        except jwt.ImmatureSignatureError:
            return 20105, claims
        except jwt.InvalidTokenError:
            return 20101, claims
        if claims["exp"] - claims["iat"] > LONGEST:
            return 20157, claims
        grants = claims.get("grants", {})
        if not grants.get("identity") or product not in grants:
            return 20106, claims
        return None, claims


Protocol = Callable[[web.WebSocketResponse, Twilio], Awaitable[None]]

PROTOCOLS: dict[str, Protocol] = {
    "global.vss.twilio.com": video_signaling.serve,
    "voice-js.roaming.twilio.com": voice_signaling.serve,
    "tsock.us1.twilio.com": chat_twilsock.serve,
}


class Sockets:
    """The server; ``twilio`` is what it serves now, replaced for each test by ``use``."""

    def __init__(self) -> None:
        self.twilio = Twilio()
        self.port = 0
        self.loop = asyncio.new_event_loop()
        self.open: list[web.Request] = []

    def use(self, twilio: Twilio) -> None:
        self.twilio = twilio

    def drop(self) -> None:
        """Close every socket, as a network failure does."""
        asyncio.run_coroutine_threadsafe(self._drop(), self.loop).result(timeout=10)

    async def _drop(self) -> None:
        for request in list(self.open):
            # Below the protocol: nobody says goodbye.
            if request.transport is not None:
                request.transport.abort()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        host = request.host.partition(":")[0]
        self.twilio.requests.append((host, request.path))
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_socket(request, PROTOCOLS.get(host, _listen_only))
        return _answer_http(request)

    async def _serve_socket(
        self, request: web.Request, protocol: Protocol
    ) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.open.append(request)
        try:
            await protocol(socket, self.twilio)
        finally:
            self.open.remove(request)
            await socket.close()
        return socket


async def _listen_only(socket: web.WebSocketResponse, twilio: Twilio) -> None:
    """For the reports of the SDKs on their own health."""
    async for message in socket:
        if message.type == WSMsgType.ERROR:
            break


def _answer_http(request: web.Request) -> web.Response:
    """The sounds of a phone, and an empty answer to reports."""
    allowed = {
        "Access-Control-Allow-Origin": request.headers.get("Origin", "*"),
        "Access-Control-Allow-Headers": request.headers.get("Access-Control-Request-Headers", "*"),
        "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
    }
    if "/sounds/" in request.path:
        return web.Response(body=SILENCE, content_type="audio/wav", headers=allowed)
    return web.json_response({}, headers=allowed)


def _silence() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    return file.getvalue()


SILENCE = _silence()


@contextmanager
def running() -> Iterator[Sockets]:
    """The server on a port of its own, in a thread of its own."""
    sockets, ready = Sockets(), threading.Event()
    thread = threading.Thread(target=_run, args=(sockets, ready), daemon=True)
    thread.start()
    assert ready.wait(timeout=10)
    yield sockets
    sockets.loop.call_soon_threadsafe(sockets.loop.stop)
    thread.join(timeout=10)


def _run(sockets: Sockets, ready: threading.Event) -> None:
    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", sockets.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_tls())
        await site.start()
        sockets.port = runner.addresses[0][1]
        ready.set()
        return runner

    asyncio.set_event_loop(sockets.loop)
    runner = sockets.loop.run_until_complete(start())
    sockets.loop.run_forever()
    sockets.loop.run_until_complete(runner.cleanup())
    left = asyncio.all_tasks(sockets.loop)
    for task in left:
        task.cancel()
    sockets.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    sockets.loop.close()


def _tls() -> ssl.SSLContext:
    """A certificate that nobody vouches for: the browser is told to take any."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "twilio.com")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "both.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context.load_cert_chain(file)
    return context
