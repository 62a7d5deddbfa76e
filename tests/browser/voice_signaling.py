"""Twilio Voice's signaling, as @twilio/voice-sdk 2.18 speaks it (its pstream.ts and device.ts).

JSON messages of ``type`` and ``payload``, and newlines as heartbeats. The SDK sends ``listen`` with
each token that it is given and on each socket, ``register`` to be callable, and ``invite``,
``answer``, ``reject`` and ``hangup`` for calls; it is told ``connected``, ``ready``, ``offline``,
``error``, and of calls ``invite``, ``ringing``, ``answer``, ``cancel`` and ``hangup``.

A call goes to the device that ``To`` names, as if the TwiML App said ``<Dial><Client>``. Where this
Twilio has a ``voice_url``, it goes to the ``<Client>`` that the site answers there. Its two legs
have SIDs of their own, and their media pass through a relay, as at Twilio.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree

import httpx
from aiohttp import WSMsgType, web
from twilio.request_validator import RequestValidator

if TYPE_CHECKING:
    from .twilio_sockets import Arrival, Twilio

#: Seconds. The SDK gives a socket up after 15 in which it heard nothing.
HEARTBEAT = 5.0
#: Seconds for which a call waits for a side that lost its socket.
RETURN = 10.0

INVALID, EXPIRED = 20101, 20104
#: What the SDK shows as these codes; by any other refusal of a token it shows 20151.
ERRORS = {INVALID: 31204, EXPIRED: 31205}
AUTHENTICATION_FAILED = 31201
APPLICATION_NOT_FOUND = 31001
NOT_FOUND = 31404

#: In a call, the SDK comes back by the host of the edge; "roaming" is the one it knows already.
PLACE = {"region": "US_EAST_VIRGINIA", "edge": "roaming", "home": "us1"}


async def serve(socket: web.WebSocketResponse, twilio: Twilio) -> None:
    line = Line(socket, twilio, twilio.devices.setdefault("exchange", Exchange()))
    try:
        await _converse(line)
    finally:
        await _lose(line)


@dataclass
class Exchange:
    """What outlives a socket."""

    #: The registered ones by identity: the last to register is the one that rings.
    lines: dict[str, Line] = field(default_factory=dict)
    #: By SID, and by the name that the SDK gave an outgoing call before it learned the SID.
    legs: dict[str, Leg] = field(default_factory=dict)


@dataclass(eq=False)
class Line:
    """A socket of a device, and the last good token that came by it, until that expires."""

    socket: web.WebSocketResponse
    twilio: Twilio
    exchange: Exchange
    token: Arrival | None = None
    #: Its call is over, or goes on by another socket.
    free: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def voice(self) -> dict[str, Any]:
        """The grant."""
        return self.token.claims["grants"]["voice"] if self.token else {}

    @property
    def answers_calls(self) -> bool:
        return self.voice.get("incoming", {}).get("allow") is True

    @property
    def makes_calls(self) -> bool:
        return bool(self.voice.get("outgoing", {}).get("application_sid"))

    def unregister(self) -> None:
        lines = self.exchange.lines
        self.exchange.lines = {key: line for key, line in lines.items() if line is not self}

    def leg(self, name: str) -> Leg | None:
        leg = self.exchange.legs.get(name)
        return leg if leg and leg.line is self else None

    async def send(self, kind: str, **payload: Any) -> None:
        await self.write(json.dumps({"type": kind, "payload": payload}))

    async def write(self, text: str) -> None:
        # The page may close at any time.
        with suppress(ConnectionResetError):
            await self.socket.send_str(text)

    async def refuse(self, code: int) -> None:
        code = ERRORS.get(code, AUTHENTICATION_FAILED)
        await self.send("error", error={"code": code, "message": "The token is refused."})


@dataclass(eq=False)
class Leg:
    """One side of a call."""

    line: Line
    ear: Ear
    #: Called, and yet to answer.
    ringing: bool = False
    sid: str = field(default_factory=lambda: "CA" + secrets.token_hex(16))
    #: What the SDK shows to take the call up by another socket.
    reconnect: str = field(default_factory=secrets.token_hex)
    peer: Leg = field(init=False)

    def hears(self, sdp: str) -> str:
        """The SDP of the peer, whose media come from the relay.

        The SDK sends its SDP without any ICE candidate: Twilio's media servers need none.
        """
        port = self.ear.transport.get_extra_info("sockname")[1]
        return f"{sdp}a=candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host\r\n"


class Ear(asyncio.DatagramProtocol):
    """One side of the relay: what it hears is said by the other, as it is."""

    transport: asyncio.DatagramTransport
    other: Ear
    address: Any = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.address = address
        if self.other.address:
            self.other.transport.sendto(data, self.other.address)

    @classmethod
    async def open(cls) -> Ear:
        loop = asyncio.get_running_loop()
        _, ear = await loop.create_datagram_endpoint(cls, local_addr=("127.0.0.1", 0))
        return ear


# A line


async def _converse(line: Line) -> None:
    while True:
        left = line.token.expires_in if line.token else HEARTBEAT
        try:
            message = await line.socket.receive(timeout=max(0.1, min(left, HEARTBEAT)))
        except asyncio.TimeoutError:
            await _pass_time(line)
            continue
        if message.type is not WSMsgType.TEXT:
            return
        if message.data != "\n":
            said = json.loads(message.data)
            await _hear(line, said["type"], said["payload"])


async def _pass_time(line: Line) -> None:
    if line.token and line.token.expires_in <= 0:
        line.token = None
        line.unregister()
        await line.refuse(EXPIRED)
        await line.send("offline")
    else:
        await line.write("\n")


async def _hear(line: Line, kind: str, payload: dict[str, Any]) -> None:
    match kind:
        case "listen":
            await _listen(line, payload["token"])
        case "register":
            await _register(line, payload["media"]["audio"])
        case "invite" if "reconnect" in payload:
            await _take_up(line, payload["callsid"], payload["reconnect"])
        case "invite":
            await _invite(line, **payload)
        case "answer":
            await _answer(line.leg(payload["callsid"]), payload["sdp"])
        case "reject" | "hangup":
            await _hang_up(line.leg(payload["callsid"]))


async def _listen(line: Line, token: str) -> None:
    arrival = line.twilio.check("voice", token)
    if arrival.code is not None:
        await line.refuse(arrival.code)
        return
    line.token = arrival
    shown = {"identity": arrival.identity, "ttl": int(arrival.expires_in)}
    await line.send("connected", **PLACE, token=shown)


async def _register(line: Line, wanted: bool) -> None:
    if line.token is None:
        await line.refuse(INVALID)
    elif wanted:
        line.exchange.lines[line.token.identity] = line
        await line.send("ready")
    else:
        line.unregister()
        await line.send("offline")


async def _lose(line: Line) -> None:
    line.unregister()
    legs = [leg for leg in line.exchange.legs.values() if leg.line is line]
    try:
        if any(not (leg.ringing or leg.peer.ringing) for leg in legs):
            line.free.clear()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(line.free.wait(), RETURN)
    finally:
        for leg in legs:
            await _hang_up(line.leg(leg.sid))


# A call


async def _invite(line: Line, callsid: str, sdp: str, twilio: dict[str, str]) -> None:
    params = dict(parse_qsl(twilio.get("params", "")))
    to, shown = await asyncio.to_thread(_whom_to_call, line, params)
    called = line.exchange.lines.get(to)
    if line.token is None:
        await _end(line, callsid, ERRORS[INVALID])
    elif not line.makes_calls:
        await _end(line, callsid, APPLICATION_NOT_FOUND)
    elif called is None or not called.answers_calls:
        await _end(line, callsid, NOT_FOUND)
    else:
        caller, callee = await _connect(line, called)
        line.exchange.legs |= {callsid: caller, caller.sid: caller, callee.sid: callee}
        await callee.line.send(
            "invite",
            callsid=callee.sid,
            sdp=callee.hears(sdp),
            reconnect=callee.reconnect,
            parameters={
                "AccountSid": line.token.claims["sub"],
                "CallSid": callee.sid,
                "From": f"client:{line.token.identity}",
                "To": f"client:{to}",
                "Params": urlencode(shown),
            },
        )
        await line.send("ringing", callsid=caller.sid)


def _whom_to_call(line: Line, params: dict[str, str]) -> tuple[str, dict[str, str]]:
    """An identity, and the ``<Parameter>``s for its page."""
    twilio, to = line.twilio, params.get("To", "")
    if not (twilio.voice_url and line.token):
        return to.removeprefix("client:"), {}
    fields = {**params, "From": f"client:{line.token.identity}", "CallSid": "CA" + "0" * 32}
    signature = RequestValidator(twilio.auth_token).compute_signature(twilio.voice_url, fields)
    headers = {"X-Twilio-Signature": signature}
    answer = httpx.post(twilio.voice_url, data=fields, headers=headers, trust_env=False)
    twiml = ElementTree.fromstring(answer.raise_for_status().text)  # noqa: S314 - of our own site
    client = twiml.find("Dial/Client")
    if client is None:
        return "", {}
    shown = {each.attrib["name"]: each.attrib["value"] for each in client.findall("Parameter")}
    return client.findtext("Identity", ""), shown


async def _connect(calling: Line, called: Line) -> tuple[Leg, Leg]:
    caller, callee = Leg(calling, await Ear.open()), Leg(called, await Ear.open(), ringing=True)
    caller.peer, callee.peer = callee, caller
    caller.ear.other, callee.ear.other = callee.ear, caller.ear
    return caller, callee


async def _answer(callee: Leg | None, sdp: str) -> None:
    if callee:
        callee.ringing, caller = False, callee.peer
        await caller.line.send(
            "answer", callsid=caller.sid, sdp=caller.hears(sdp), reconnect=caller.reconnect
        )


async def _take_up(line: Line, callsid: str, reconnect: str) -> None:
    leg = line.exchange.legs.get(callsid)
    if leg and leg.reconnect == reconnect:
        leg.line.free.set()
        leg.line = line
        await line.send("answer", callsid=callsid, reconnect=reconnect)
    else:
        await _end(line, callsid, NOT_FOUND)


async def _hang_up(leg: Leg | None) -> None:
    if leg:
        exchange, both = leg.line.exchange, {leg, leg.peer}
        exchange.legs = {name: each for name, each in exchange.legs.items() if each not in both}
        for each in both:
            each.ear.transport.close()
            each.line.free.set()
        kind = "cancel" if leg.peer.ringing else "hangup"
        await leg.peer.line.send(kind, callsid=leg.peer.sid)


async def _end(line: Line, callsid: str, code: int) -> None:
    await line.send("hangup", callsid=callsid, error={"code": code, "message": "No call is made."})
