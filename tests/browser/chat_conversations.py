"""What Twilio tunnels through a chat's socket: its Conversations and the Sync objects they live in.

After what twilio-sync and @twilio/conversations 3.0.1 ask for and read. A conversation is three
Sync objects (a document, a list of messages and a map of participants), a user is two (a map of
what is known of them, and one of the conversations they are in). Each object numbers its events, so
that one who comes back names the last they saw and is sent the later ones.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .twilio_sockets import Twilio

SYNC = "https://cds.us1.twilio.com/v3"
CHAT = "https://aim.us1.twilio.com/Client/v1"

Json = dict[str, Any]
Notify = Callable[[Json], None]


class NotFoundError(Exception):
    pass


class ConflictError(Exception):
    pass


@dataclass(frozen=True)
class Request:
    """An HTTP request that came through a socket; ``notify`` sends it what it subscribes to."""

    identity: str
    notify: Notify
    method: str
    path: list[str]
    params: dict[str, str]
    body: Json


@dataclass(frozen=True)
class Kind:
    name: str
    plural: str
    prefix: str
    key: str = ""


DOCUMENT = Kind("document", "Documents", "ET")
LIST = Kind("list", "Lists", "ES", key="index")
MAP = Kind("map", "Maps", "MP", key="key")


@dataclass
class SyncObject:
    kind: Kind
    name: str
    data: Json = field(default_factory=dict)
    #: By key, or by index in a list.
    items: dict[Any, Json] = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)
    subscribers: set[Notify] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.sid = new_sid(self.kind.prefix)
        self.url = f"{SYNC}/{self.kind.plural}/{self.sid}"

    def describe(self) -> Json:
        return {
            "sid": self.sid,
            "unique_name": self.name,
            "url": self.url,
            "links": {"items": f"{self.url}/Items"},
            "data": self.data,
            "revision": str(len(self.events)),
            "last_event_id": len(self.events),
            "date_updated": now(),
        }

    def put(self, key: str | int, data: Json) -> None:
        """Add or replace an item, and tell the subscribers."""
        happened = "updated" if key in self.items else "added"
        kind, number = self.kind, len(self.events) + 1
        item = {
            kind.key: key,
            "url": f"{self.url}/Items/{key}",
            "data": data,
            "revision": str(number),
            "last_event_id": number,
            "date_updated": now(),
        }
        event = {
            "id": number,
            "date_created": item["date_updated"],
            f"{kind.name}_sid": self.sid,
            f"{kind.name}_revision": item["revision"],
        } | {f"item_{name}": value for name, value in item.items()}
        self.items[key] = item
        self.events.append({"event_type": f"{kind.name}_item_{happened}", "event": event})
        for notify in self.subscribers:
            notify(self.events[-1])

    def page(self, params: dict[str, str]) -> Json:
        """One item, or those from one on. The tokens only say that there is more."""
        backwards = params.get("Order") == "desc"
        found = [self.items[key] for key in sorted(self.items, reverse=backwards)]
        one = params.get(self.kind.key.title())
        keys = [str(item[self.kind.key]) for item in found]
        if one is not None:
            return {"items": [found[keys.index(one)]] if one in keys else [], "meta": {}}
        start = keys.index(params["From"]) if params.get("From") in keys else 0
        end = start + int(params.get("PageSize", 50))
        more = {"previous_token": start > 0, "next_token": end < len(found)}
        return {"items": found[start:end], "meta": more}

    def subscribe(self, notify: Notify, seen: int) -> None:
        for event in self.events[seen:]:
            notify(event)
        self.subscribers.add(notify)


@dataclass
class Conversation:
    document: SyncObject
    messages: SyncObject
    roster: SyncObject
    sid: str
    lock: threading.RLock

    @property
    def texts(self) -> list[tuple[str, str]]:
        """Who said what."""
        messages = [item["data"] for item in self.messages.items.values()]
        return [(message["author"], message["text"]) for message in messages]

    @property
    def identities(self) -> list[str]:
        return [item["data"]["identity"] for item in self.roster.items.values()]

    @property
    def sync_objects(self) -> dict[str, str]:
        return {
            "conversation": self.document.name,
            "messages": self.messages.name,
            "participants": self.roster.name,
        }

    def describe(self, identity: str) -> Json:
        url = f"{CHAT}/Conversations/{self.sid}"
        return {
            "sid": self.sid,
            "conversation_sid": self.sid,
            "url": url,
            "links": {"messages": f"{url}/Messages", "participants": f"{url}/Participants"},
            "sync_objects": self.sync_objects,
            "status": "joined" if identity in self.identities else "notParticipating",
            "friendly_name": self.document.data["friendlyName"],
            "unique_name": self.document.data["uniqueName"],
            "created_by": self.document.data["createdBy"],
            "date_created": self.document.data["dateCreated"],
            "date_updated": self.document.data["dateUpdated"],
            "messages_count": len(self.messages.items),
            "participants_count": len(self.roster.items),
        }

    def say(self, author: str, text: str, attributes: str = "{}") -> Json:
        """Add a message, and let all who are connected hear it."""
        time = now()
        data = {
            "sid": new_sid("IM"),
            "author": author,
            "text": text,
            "attributes": attributes,
            "timestamp": time,
            "dateUpdated": time,
        }
        with self.lock:
            index = len(self.messages.items)
            self.messages.put(index, data)
        return {"sid": data["sid"], "index": index}


@dataclass
class Chat:
    """All that one Twilio knows of its conversations."""

    #: By name and by SID.
    objects: dict[str, SyncObject] = field(default_factory=dict)
    conversations: dict[str, Conversation] = field(default_factory=dict)
    #: The test adds to it while the server's thread reads.
    lock: threading.RLock = field(default_factory=threading.RLock)

    def answer(self, request: Request) -> tuple[HTTPStatus, Json]:
        with self.lock:
            try:
                if request.path[0] == "Client":
                    return HTTPStatus.OK, self._answer_conversations(request)
                return HTTPStatus.OK, self._answer_sync(request)
            except NotFoundError:
                return HTTPStatus.NOT_FOUND, {}
            except ConflictError:
                return HTTPStatus.CONFLICT, {}

    def forget(self, notify: Notify) -> None:
        with self.lock:
            for each in self.objects.values():
                each.subscribers.discard(notify)

    def create(self, friendly_name: str | None, unique_name: str | None, by: str) -> Conversation:
        with self.lock:
            if unique_name and self._find(unique_name):
                raise ConflictError
            sid, time = new_sid("CH"), now()
            data: Json = {
                "messages": f"{sid}.messages",
                "roster": f"{sid}.roster",
                "friendlyName": friendly_name,
                "uniqueName": unique_name,
                "createdBy": by,
                "dateCreated": time,
                "dateUpdated": time,
                "attributes": {},
            }
            self.conversations[sid] = conversation = Conversation(
                document=self._add(SyncObject(DOCUMENT, f"{sid}.channel", data)),
                messages=self._add(SyncObject(LIST, f"{sid}.messages")),
                roster=self._add(SyncObject(MAP, f"{sid}.roster")),
                sid=sid,
                lock=self.lock,
            )
            return conversation

    def join(self, conversation: Conversation, identity: str) -> Json:
        with self.lock:
            if identity in conversation.identities:
                raise ConflictError
            participant, time = new_sid("MB"), now()
            data = {"identity": identity, "type": "chat", "dateCreated": time, "dateUpdated": time}
            conversation.roster.put(participant, data | {"attributes": "{}"})
            mine = {"channel": conversation.document.name, "status": "joined"}
            self._conversations_of(identity).put(conversation.sid, mine)
            return {"sid": participant, "identity": identity}

    def _answer_sync(self, request: Request) -> Json:
        match request.method, request.path:
            case "POST", ["v4", "Subscriptions"]:
                return self._subscribe(request)
            case "GET", ["v3", _, name]:
                return self._object(name).describe()
            case "GET", ["v3", _, name, "Items"]:
                return self._object(name).page(request.params)
        raise NotFoundError

    def _answer_conversations(self, request: Request) -> Json:
        me = request.identity
        match request.method, request.path[2:]:
            case "GET", ["Configuration"]:
                return self._configuration(me)
            case "GET", ["MyConversations"]:
                mine = [each for each in self.conversations.values() if me in each.identities]
                return {"conversations": [each.describe(me) for each in mine], "meta": {}}
            case "GET", ["MyConversations" | "Conversations", name]:
                return self._conversation(name).describe(me)
            case "GET", ["Users", identity]:
                return {"sync_objects": {"user_info_map": self._info_of(identity).name}}
            case "POST", ["Conversations"]:
                names = request.body.get("friendly_name"), request.body.get("unique_name")
                return self.create(*names, by=me).describe(me)
            case "POST", ["Conversations", name, "Participants"]:
                return self.join(self._conversation(name), request.body["identity"])
            case "POST", ["Conversations", name, "Messages"]:
                text, attributes = (
                    request.body.get("body", ""),
                    request.body.get("attributes", "{}"),
                )
                return self._conversation(name).say(me, text, attributes)
        raise NotFoundError

    def _configuration(self, identity: str) -> Json:
        links = {
            "my_conversations": f"{CHAT}/MyConversations",
            "conversations": f"{CHAT}/Conversations",
            "users": f"{CHAT}/Users",
            "current_user": f"{CHAT}/Users/{identity}",
            "typing": f"{CHAT}/Typing",
            "media_service": "https://mcs.us1.twilio.com/v1/Media",
            "media_set_service": "https://mcs.us1.twilio.com/v1/MediaSet",
            "messages_receipts": f"{CHAT}/Receipts",
        }
        objects = {
            "my_user_info": self._info_of(identity).name,
            "my_conversations": self._conversations_of(identity).name,
        }
        options = {"reachability_enabled": False}
        return {"identity": identity, "links": links, "options": options, "sync_objects": objects}

    def _subscribe(self, request: Request) -> Json:
        about = {"correlation_id": request.body["correlation_id"]}
        establish = request.body["action"] == "establish"
        for wanted in request.body["requests"]:
            subject = self._object(wanted["object_sid"])
            if establish:
                subject.subscribe(request.notify, wanted["last_event_id"])
            else:
                subject.subscribers.discard(request.notify)
            event = {
                "object_sid": subject.sid,
                "object_type": subject.kind.name,
                "replay_status": "completed",
                "last_event_id": len(subject.events),
            }
            done = "subscription_established" if establish else "subscription_canceled"
            request.notify(about | {"event_type": done, "event": event})
        return {"estimated_delivery_in_ms": 10_000, "max_batch_size": 100}

    def _add(self, added: SyncObject) -> SyncObject:
        self.objects[added.name] = self.objects[added.sid] = added
        return added

    def _object(self, name: str) -> SyncObject:
        if name not in self.objects:
            raise NotFoundError
        return self.objects[name]

    def _find(self, name: str) -> Conversation | None:
        for each in self.conversations.values():
            if name in (each.sid, each.document.data["uniqueName"]):
                return each
        return None

    def _conversation(self, name: str) -> Conversation:
        conversation = self._find(name)
        if conversation is None:
            raise NotFoundError
        return conversation

    def _conversations_of(self, identity: str) -> SyncObject:
        name = f"{identity}.conversations"
        return self.objects.get(name) or self._add(SyncObject(MAP, name))

    def _info_of(self, identity: str) -> SyncObject:
        name = f"{identity}.info"
        if name not in self.objects:
            info = self._add(SyncObject(MAP, name))
            info.put("friendlyName", {"value": None})
            info.put("attributes", {"value": "{}"})
        return self.objects[name]


def chat_of(twilio: Twilio) -> Chat:
    chat: Chat = twilio.conversations.setdefault("chat", Chat())
    return chat


def add_conversation(twilio: Twilio, name: str, *identities: str) -> Conversation:
    """A conversation of that friendly and unique name, with these in it."""
    chat = chat_of(twilio)
    conversation = chat.create(name, name, by="system")
    for identity in identities:
        chat.join(conversation, identity)
    return conversation


def new_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def now() -> str:
    return datetime.now(timezone.utc).isoformat()
