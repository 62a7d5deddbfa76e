"""TWILSOCK V3.0, the protocol of Conversations 3.0.1 and Sync 4.0.1, after twilsock 1.0.2.

A frame is ``TWILSOCK V3.0 <size of header>``, a header in JSON and a payload, each after a CRLF.
``init`` brings the first token and ``update`` later ones; ``message`` is an HTTP request, answered
by ``chat_conversations``; the server sends ``notification``, ``client_update`` and ``close``.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote

from aiohttp import WSMsgType, web

from .chat_conversations import Json, Request, chat_of

if TYPE_CHECKING:
    from .twilio_sockets import Arrival, Twilio

#: How many seconds before a token's end Twilio says so, if the token lives that long.
WARNING = 180

OK: Json = {"code": 200, "status": "OK"}
#: The status by which the SDK knows a refused token.
UNAUTHORIZED: Json = {"code": 401, "status": "UNAUTHORIZED", "description": "Token refused"}


async def serve(socket: web.WebSocketResponse, twilio: Twilio) -> None:
    await Session(socket, twilio).run()


class Session:
    """One socket, which lives no longer than its token."""

    def __init__(self, socket: web.WebSocketResponse, twilio: Twilio) -> None:
        self.socket, self.twilio, self.chat = socket, twilio, chat_of(twilio)
        self.loop = asyncio.get_running_loop()
        self.outbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.timers: list[asyncio.TimerHandle] = []
        self.identity: str | None = None
        self.product = "chat"

    async def run(self) -> None:
        writer = asyncio.create_task(self._write())
        try:
            async for message in self.socket:
                if message.type == WSMsgType.BINARY:
                    self._receive(*parsed(message.data))
        finally:
            self.chat.forget(self.notify)
            self._end()
            await writer

    def notify(self, message: Json) -> None:
        header = {"method": "notification", "message_type": "twilio.sync.event"}
        self._send(header, message)

    async def _write(self) -> None:
        with suppress(ConnectionResetError):  # the page is gone
            while data := await self.outbox.get():
                await self.socket.send_bytes(data)
                await asyncio.sleep(0)  # or many are sent before the loop sees that it is gone
        await self.socket.close()

    def _send(self, header: Json, payload: Json | None = None) -> None:
        data = framed({"id": f"TM{secrets.token_hex(16)}"} | header, payload)
        # A test's own thread notifies too.
        self.loop.call_soon_threadsafe(self.outbox.put_nowait, data)

    def _reply(self, to: Json, more: Json | None = None, payload: Json | None = None) -> None:
        self._send({"method": "reply", "id": to["id"], "status": OK} | (more or {}), payload)

    def _end(self) -> None:
        """Close the socket once all is sent; nothing is answered any more."""
        self.identity = None
        self._stop_timers()
        self.loop.call_soon_threadsafe(self.outbox.put_nowait, b"")

    def _receive(self, header: Json, payload: bytes) -> None:
        match header["method"]:
            case "init":
                self.product = "data_sync" if header["metadata"]["type"] == "sync" else "chat"
                self._admit(header)
            case "update":
                self._admit(header)
            case "message":
                is_json = header["payload_type"].startswith("application/json")
                self._answer(header, json.loads(payload) if payload and is_json else {})
            case "close":
                self._end()
            case "put_notification_ctx" | "delete_notification_ctx":
                self._reply(header)

    def _admit(self, header: Json) -> None:
        arrival = self.twilio.check(self.product, header["token"])
        if arrival.code is not None:
            self._reply(header, {"status": UNAUTHORIZED | {"errorCode": arrival.code}})
            self._end()
            return
        self.identity = arrival.identity
        self._start_timers(arrival)
        capable = {"capabilities": ["client_update"], "continuation_token": secrets.token_hex(16)}
        self._reply(header, capable)

    def _answer(self, header: Json, body: Json) -> None:
        if self.identity is None:
            self._reply(header, {"status": UNAUTHORIZED})
            return
        asked = header["http_request"]
        request = Request(
            identity=self.identity,
            notify=self.notify,
            method=asked["method"],
            path=[unquote(part) for part in asked["path"].strip("/").split("/")],
            params={name: unquote(value) for name, value in asked.get("params", {}).items()},
            body=body,
        )
        status, answer = self.chat.answer(request)
        http = {"code": status.value, "status": status.name}
        self._reply(header, {"http_status": http}, answer)

    def _start_timers(self, arrival: Arrival) -> None:
        self._stop_timers()
        life = arrival.claims["exp"] - arrival.claims["iat"]
        warning = arrival.expires_in - min(WARNING, life / 2)
        self.timers = [
            self.loop.call_later(warning, self._warn),
            self.loop.call_later(arrival.expires_in, self._expire),
        ]

    def _stop_timers(self) -> None:
        for timer in self.timers:
            timer.cancel()

    def _warn(self) -> None:
        self._send({"method": "client_update", "client_update_type": "token_about_to_expire"})

    def _expire(self) -> None:
        # By this code the SDK tells an expired token from other reasons to close.
        self._send({"method": "close", "status": {"code": 410, "status": "TOKEN_EXPIRED"}})
        self._end()


def parsed(data: bytes) -> tuple[Json, bytes]:
    magic, _, rest = data.partition(b"\r\n")
    size = int(magic.split(b" ")[2])
    return json.loads(rest[:size]), rest[size + 2 :]


def framed(header: Json, payload: Json | None) -> bytes:
    body = b"" if payload is None else json.dumps(payload).encode()
    about = {"payload_type": "application/json", "payload_size": len(body)}
    head = json.dumps(header | about).encode()
    return b"TWILSOCK V3.0 %d\r\n%b\r\n%b" % (len(head), head, body)
