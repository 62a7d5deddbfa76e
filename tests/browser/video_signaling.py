"""Twilio Video's signaling, as far as peer-to-peer rooms need it.

Read from ``lib/twilioconnection.js`` and ``lib/signaling/v2`` of twilio-video 2.35.0. A frame is
JSON: ``hello`` is answered by ``welcome``, ``heartbeat`` by its like, and ``msg`` wraps the rest.
Of that, ``ice``, ``connect`` and ``sync`` bring the token; ``update`` brings what changed of the
participant's tracks and peer connections. The browsers send media to each other: the server only
hands on what one says to the other, and numbers the news, as the SDK skips what it knows.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from .twilio_sockets import Arrival, Twilio

Message = dict[str, Any]

#: Seconds in which a participant whose connection broke may come back; Twilio gives 30.
SESSION_TIMEOUT = 10

GRANTS_INVALID = 20106
PARTICIPANT_NOT_FOUND = 53204
DUPLICATE_IDENTITY = 53205

CLOSED: Message = {"description": {"type": "close"}}


async def serve(socket: web.WebSocketResponse, twilio: Twilio) -> None:
    line = Line(socket, twilio)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await line.take(message.json())
    await line.broke()


def _sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


async def _send(socket: web.WebSocketResponse, frame: str, **content: Any) -> None:
    # A page may be gone at any time; its own line finds out.
    with suppress(ConnectionResetError):
        await socket.send_json({"type": frame, **content})
        # asyncio warns of many writes to a lost connection; in a turn of its own it is found lost.
        await asyncio.sleep(0)


async def _tell(socket: web.WebSocketResponse, kind: str, **content: Any) -> None:
    await _send(socket, "msg", body={"type": kind, "version": 2, **content})


async def _refuse(socket: web.WebSocketResponse, code: int) -> None:
    # The SDK has messages of its own for the codes that it knows.
    await _tell(socket, "error", code=code, message=f"Refused with {code}")


@dataclass(eq=False)
class Participant:
    identity: str
    room: Room
    socket: web.WebSocketResponse
    sid: str = field(default_factory=partial(_sid, "PA"))
    session: str = field(default_factory=partial(secrets.token_urlsafe, 16))
    state: str = "connected"
    tracks: list[Message] = field(default_factory=list)
    farewell: asyncio.Task[None] | None = None

    @property
    def here(self) -> bool:
        return self in self.room.participants

    def publish(self, tracks: list[Message]) -> bool:
        """Take the tracks that its browser names now. Whether that is any news."""
        before = self.tracks
        sids = {track["id"]: track["sid"] for track in before}
        self.tracks = [{**track, "sid": sids.get(track["id"]) or _sid("MT")} for track in tracks]
        return self.tracks != before

    def shown(self, revision: int) -> Message:
        return {
            "sid": self.sid,
            "identity": self.identity,
            "state": self.state,
            "revision": revision,
            "tracks": self.tracks,
        }


@dataclass(eq=False)
class Link:
    """The peer connection of two participants: what each has said of it last, by its kind."""

    said: dict[Participant, dict[str, Message]]
    id: str = field(default_factory=partial(secrets.token_urlsafe, 16))
    #: The number of the offer that counts.
    revision: int = 1
    answered: bool = False

    @classmethod
    def asked_for(cls, newcomer: Participant, other: Participant) -> Link:
        """The newcomer is asked to make the offer, as if by the other."""
        asking = {"type": "create-offer", "revision": cls.revision}
        return cls({newcomer: {}, other: {"create-offer": {"description": asking}}})

    def beyond(self, participant: Participant) -> Participant:
        return next(end for end in self.said if end is not participant)

    def told_to(self, participant: Participant) -> list[Message]:
        return [{"id": self.id, **said} for said in self.said[self.beyond(participant)].values()]

    def take(self, participant: Participant, state: Message) -> Message:
        """The part of a state that counts, to be handed on."""
        news: Message = {"id": self.id}
        said = self.said[participant]
        if "ice" in state:
            news["ice"] = state["ice"]
            said["ice"] = {"ice": state["ice"]}
        if "description" in state and self._counts(state["description"]):
            news["description"] = state["description"]
            said[state["description"]["type"]] = {"description": state["description"]}
        return news

    def _counts(self, description: Message) -> bool:
        """Of two offers made at once the first counts: its receiver takes back its own."""
        if description["type"] != "offer":
            self.answered = True
            return True
        newer: bool = description["revision"] > self.revision
        self.revision = max(self.revision, description["revision"])
        return newer


@dataclass(eq=False)
class Room:
    name: str
    sid: str = field(default_factory=partial(_sid, "RM"))
    participants: list[Participant] = field(default_factory=list)
    links: dict[str, Link] = field(default_factory=dict)
    revisions: Iterator[int] = field(default_factory=partial(itertools.count, 1))

    def seen_by(self, viewer: Participant, *leaving: Participant) -> Message:
        """All that a participant is told of the tracks, those who are leaving included."""
        revision = next(self.revisions)
        others = [other for other in self.participants if other is not viewer]
        # Before, a link may still be replaced, and the SDK would keep the tracks of the old one.
        heard = [link.beyond(viewer) for link in self.links_of(viewer) if link.answered]
        return {
            "participants": [other.shown(revision) for other in (*others, *leaving)],
            "published": {
                "revision": revision,
                "tracks": [track | {"state": "ready"} for track in viewer.tracks],
            },
            "subscribed": {
                "revision": revision,
                "tracks": [track for other in heard for track in other.tracks],
            },
        }

    def links_of(self, participant: Participant) -> list[Link]:
        return [link for link in self.links.values() if participant in link.said]

    async def add(self, participant: Participant) -> None:
        for older in list(self.participants):
            if older.identity == participant.identity:
                await _refuse(older.socket, DUPLICATE_IDENTITY)
                await self.remove(older)
        for other in self.participants:
            self.link(participant, other)
        self.participants.append(participant)

    async def remove(self, participant: Participant) -> None:
        if participant.here:
            participant.state = "disconnected"
            self.participants.remove(participant)
            await self.tell_all(participant)
            for link in self.links_of(participant):
                await self.unlink(link, participant)

    def link(self, newcomer: Participant, other: Participant) -> None:
        link = Link.asked_for(newcomer, other)
        self.links[link.id] = link

    async def unlink(self, link: Link, participant: Participant) -> None:
        self.links.pop(link.id, None)
        other = link.beyond(participant)
        await _tell(other.socket, "update", peer_connections=[CLOSED | {"id": link.id}])

    async def link_anew(self, participant: Participant) -> None:
        """A first answer that was lost is never said again, and the SDK waits for it."""
        for link in self.links_of(participant):
            if not link.answered and (other := link.beyond(participant)).here:
                self.link(participant, other)
                await self.unlink(link, participant)

    def peer_connections_of(self, participant: Participant) -> list[Message]:
        return [state for link in self.links_of(participant) for state in link.told_to(participant)]

    async def tell_all(self, *leaving: Participant) -> None:
        for viewer in list(self.participants):
            await _tell(viewer.socket, "update", **self.seen_by(viewer, *leaving))


@dataclass(eq=False)
class Line:
    """One connection of a browser, and who it turned out to be."""

    socket: web.WebSocketResponse
    twilio: Twilio
    participant: Participant | None = None

    async def take(self, frame: Message) -> None:
        if frame["type"] == "hello":
            await _send(self.socket, "welcome", negotiatedTimeout=frame["timeout"])
        elif frame["type"] == "heartbeat":
            await _send(self.socket, "heartbeat")
        if "body" in frame:
            await self._take_message(frame["body"])

    async def broke(self) -> None:
        """The others see that it is reconnecting, and after a while that it is gone."""
        lost = self.participant
        if lost is None or not lost.here or lost.socket is not self.socket:
            return
        lost.state = "reconnecting"
        await lost.room.tell_all()
        # Not a sleep: a loop that stops forgives a timer, but not a task that still waits.
        asyncio.get_running_loop().call_later(SESSION_TIMEOUT, self._give_up, lost)

    def _give_up(self, lost: Participant) -> None:
        if lost.socket is self.socket:
            lost.farewell = asyncio.create_task(lost.room.remove(lost))

    async def _take_message(self, message: Message) -> None:
        match message["type"]:
            case "ice":
                if await self._admit(message):
                    await _tell(self.socket, "iced", ice_servers=[])
            case "connect":
                if arrival := await self._admit(message):
                    await self._connect(arrival.identity, message)
            case "sync":
                await self._sync(message)
            case "update" if self.participant:
                await self._update(self.participant, message)
            case "disconnect" if self.participant:
                await self.participant.room.remove(self.participant)

    async def _admit(self, message: Message) -> Arrival | None:
        """Judge the token; the name of the room comes with all but ``ice``."""
        arrival = self.twilio.check("video", message["token"])
        code = arrival.code
        if code is None and message["type"] != "ice":
            allowed = arrival.claims["grants"]["video"].get("room")
            code = None if allowed in (None, message.get("name")) else GRANTS_INVALID
        if code is None:
            return arrival
        await _refuse(self.socket, code)
        return None

    async def _connect(self, identity: str, message: Message) -> None:
        name = message.get("name") or _sid("RM")
        room = self.twilio.rooms.setdefault(name, Room(name))
        self.participant = participant = Participant(identity, room, self.socket)
        participant.publish(message["participant"]["tracks"])
        await room.add(participant)
        # The SDK offers before it is asked, to a server that would mix the media of all.
        unasked = [CLOSED | {"id": state["id"]} for state in message["peer_connections"]]
        await _tell(
            self.socket,
            "connected",
            session=participant.session,
            sid=room.sid,
            name=room.name,
            options={"session_timeout": SESSION_TIMEOUT},
            participant={"sid": participant.sid, "identity": identity},
            peer_connections=unasked + room.peer_connections_of(participant),
            **room.seen_by(participant),
        )
        await room.tell_all()

    async def _sync(self, message: Message) -> None:
        participant = self._in_session(message["session"])
        if not await self._admit(message):
            if participant:
                await participant.room.remove(participant)
        elif participant is None or not participant.here:
            await _refuse(self.socket, PARTICIPANT_NOT_FOUND)
        else:
            await self._resume(participant, message)

    async def _resume(self, participant: Participant, message: Message) -> None:
        room = participant.room
        self.participant, participant.socket = participant, self.socket
        participant.state = "connected"
        await self._update(participant, message)
        await room.link_anew(participant)
        states = room.peer_connections_of(participant)
        await _tell(self.socket, "synced", peer_connections=states, **room.seen_by(participant))
        await room.tell_all()

    def _in_session(self, session: str) -> Participant | None:
        everyone = (each for room in self.twilio.rooms.values() for each in room.participants)
        return next((each for each in everyone if each.session == session), None)

    async def _update(self, participant: Participant, message: Message) -> None:
        room = participant.room
        changed = "participant" in message and participant.publish(message["participant"]["tracks"])
        for state in message.get("peer_connections", []):
            if link := room.links.get(state["id"]):
                first = not link.answered
                news = link.take(participant, state)
                await _tell(link.beyond(participant).socket, "update", peer_connections=[news])
                changed |= first and link.answered
        if changed:
            await room.tell_all()
