"""The shapes are those of Twilio's documentation: each token holds one of these per product."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from twilio.jwt.access_token.grants import VideoGrant

from tests.rows import sid
from twilio_tokens import grants
from twilio_tokens.exceptions import InvalidGrant
from twilio_tokens.grants import (
    Chat,
    Default,
    Grant,
    Sync,
    TaskRouter,
    Video,
    Voice,
    WorkerGrant,
    base,
    register,
)
from twilio_tokens.grants.fields import FieldKind, fields_of
from twilio_tokens.models import ChatService, PushCredential, SyncService, TwiMLApp, Workspace

SERVICE = ChatService(sid=sid("IS"))
APP = TwiMLApp(sid=sid("AP"), allow_incoming=False)
APP_WITH_INCOMING = TwiMLApp(sid=sid("AP"), allow_incoming=True)
PUSH = PushCredential(sid=sid("CR"))
SYNC_SERVICE = SyncService(sid=sid("IS"))
WORKSPACE = Workspace(sid=sid("WS"))

INCOMING = {"incoming": {"allow": True}}
OUTGOING = {"outgoing": {"application_sid": sid("AP")}}


@pytest.mark.parametrize(
    ("grant", "resources", "expected"),
    [
        (Video(), {}, {}),
        (Video(room="DailyStandup"), {}, {"room": "DailyStandup"}),
        (Chat(), {"service": SERVICE, "push_credential": None}, {"service_sid": sid("IS")}),
        (
            Chat(),
            {"service": SERVICE, "push_credential": PUSH},
            {"service_sid": sid("IS"), "push_credential_sid": sid("CR")},
        ),
        (Sync(), {"service": SYNC_SERVICE}, {"service_sid": sid("IS")}),
        (Voice(), {"app": APP, "push_credential": None}, OUTGOING),
        (Voice(), {"app": APP_WITH_INCOMING, "push_credential": None}, INCOMING | OUTGOING),
        (Voice(incoming=False), {"app": APP_WITH_INCOMING, "push_credential": None}, OUTGOING),
        (
            Voice(incoming=True, params={"queue": "sales"}),
            {"app": APP_WITH_INCOMING, "push_credential": PUSH},
            {
                "incoming": {"allow": True},
                "outgoing": {"application_sid": sid("AP"), "params": {"queue": "sales"}},
                "push_credential_sid": sid("CR"),
            },
        ),
    ],
)
def test_a_grant_is_written_as_twilio_documents_it(
    grant: Grant, resources: dict[str, Any], expected: dict[str, Any]
) -> None:
    written = grant.to_twilio(AnonymousUser(), resources)
    assert (written.key, written.to_payload()) == (grant.twilio_key, expected)
    assert grant.to_audit(written.to_payload()) == expected


def test_taskrouter_asks_the_site_which_worker_the_user_is(settings: Any) -> None:
    user = User(username="anna")
    asked = []

    def worker(*arguments: Any) -> WorkerGrant:
        asked.append(arguments)
        return WorkerGrant(sid("WK"), "supervisor")

    settings.TWILIO_TOKENS_WORKER = worker
    written = TaskRouter().to_twilio(user, {"workspace": WORKSPACE})
    assert (written.key, written.to_payload()) == (
        "task_router",
        {"workspace_sid": sid("WS"), "worker_sid": sid("WK"), "role": "supervisor"},
    )
    assert asked == [(user, WORKSPACE)]
    assert WorkerGrant(sid("WK")).role == "worker"


def test_each_product_knows_its_key_in_the_token_and_where_its_sids_stand() -> None:
    in_token = {
        "video": ("video", []),
        "chat": ("chat", ["service_sid", "push_credential_sid"]),
        "voice": ("voice", ["outgoing.application_sid", "push_credential_sid"]),
        "sync": ("data_sync", ["service_sid"]),
        "taskrouter": ("task_router", ["workspace_sid", "worker_sid", "role"]),
        "live": ("player", []),
    }
    assert in_token == {
        product: (grant.twilio_key, [each.path for each in grant.payload_fields])
        for product, grant in grants.registered().items()
    }


ISSUED = datetime(2026, 1, 1, tzinfo=timezone.utc)
PUSHED = f"Mobile apps are notified using the push credential {sid('CR')}."
CALLS = {"outgoing": {"application_sid": sid("AP")}}
TO_APP = f"Outgoing calls use the TwiML App {sid('AP')}."
WORKS = {"role": "worker", "worker_sid": sid("WK"), "workspace_sid": sid("WS")}


@pytest.mark.parametrize(
    ("grant", "payload", "seconds", "notes"),
    [
        (
            Video,
            {},
            60,
            [("Gives access to every room of the account.", None), ("The token must be valid", 60)],
        ),
        (
            Video,
            {"room": "A"},
            60,
            [("Gives access only to the room “A”.", None), ("The token must be valid", 60)],
        ),
        (
            Chat,
            {"service_sid": sid("IS"), "push_credential_sid": sid("CR")},
            180,
            [
                (f"Gives access to the Chat service {sid('IS')}.", None),
                ("At about %(at)s, 3 minutes", 0),
                (PUSHED, None),
            ],
        ),
        (
            Chat,
            {"service_sid": sid("IS")},
            179,
            [
                (f"Gives access to the Chat service {sid('IS')}.", None),
                ("The Client emits tokenAboutToExpire 3", -1),
            ],
        ),
        (
            Sync,
            {"service_sid": sid("IS")},
            60,
            [
                (f"Gives access to the Sync service {sid('IS')}.", None),
                (("Before the token expires"), 60),
            ],
        ),
        (
            TaskRouter,
            WORKS,
            60,
            [
                (f"Acts as the worker {sid('WK')} in the workspace {sid('WS')}.", None),
                ("When the token expires", 60),
            ],
        ),
        (
            Voice,
            CALLS | {"incoming": {"allow": True}, "push_credential_sid": sid("CR")},
            11,
            [
                (TO_APP, None),
                ("The Device can be called as “anna”.", None),
                ("At %(at)s, 10 seconds", 1),
                (PUSHED, None),
            ],
        ),
        (
            Voice,
            CALLS,
            10,
            [
                (TO_APP, None),
                ("The Device cannot be called", None),
                ("The Device emits tokenWillExpire 10", 0),
            ],
        ),
    ],
)
def test_notes_tell_what_the_sdk_does_with_a_token(
    grant: type[Grant], payload: dict[str, Any], seconds: int, notes: list[tuple[str, int | None]]
) -> None:
    expires_at = ISSUED + timedelta(seconds=seconds)
    told = list(grant.sdk_notes(payload, identity="anna", issued_at=ISSUED, expires_at=expires_at))
    assert [each.at for each in told] == [
        None if at is None else ISSUED + timedelta(seconds=at) for _, at in notes
    ]
    assert all(str(each.text).startswith(text) for each, (text, _) in zip(told, notes, strict=True))


def test_each_product_has_a_lifetime_unless_the_site_sets_one() -> None:
    lifetimes = {product: grant.lifetime() for product, grant in grants.registered().items()}
    assert lifetimes == {
        "video": 86_400,
        "chat": 3_600,
        "voice": 3_600,
        "sync": 3_600,
        "taskrouter": 3_600,
        "live": 3_600,
    }


def test_each_product_has_twilios_numbers_for_an_identity_that_is_not_allowed_or_missing() -> None:
    numbers = {
        product: (grant.identity_rule.error_if_illegal, grant.identity_rule.error_if_missing)
        for product, grant in grants.registered().items()
        if product != "live"
    }
    assert numbers == {
        "video": (53200, 53200),
        "chat": (51003, 51007),
        "voice": (31105, 51007),
        "sync": (54351, 51007),
        "taskrouter": (None, None),
    }


def test_the_fields_of_a_product_have_a_kind_and_tell_what_they_are_for() -> None:
    fields = fields_of(Chat)
    assert {each.name: each.kind for each in fields} == {
        "service": FieldKind.NAME,
        "push_credential": FieldKind.NAME,
        "platform": FieldKind.CHOICE,
        "sandbox": FieldKind.BOOLEAN,
    }
    assert all(each.help_text for each in fields)


def test_a_keyword_of_a_class_that_nobody_knows_is_refused() -> None:
    with pytest.raises(TypeError, match="keyword"):
        type("Odd", (Video,), {}, colour="red")


@pytest.mark.parametrize(
    ("platform", "sandbox", "expected"),
    [
        ("ios", None, {"platform": "apn", "sandbox": False}),
        ("apn", True, {"platform": "apn", "sandbox": True}),
        ("android", None, {"platform": "fcm", "sandbox": False}),
        ("fcm", False, {"platform": "fcm", "sandbox": False}),
    ],
)
@pytest.mark.parametrize("grant", [Chat, Voice])
def test_a_platform_chooses_the_default_push_credential(
    grant: Any, platform: str, sandbox: bool | None, expected: dict[str, Any]
) -> None:
    asking = grant(platform=platform, sandbox=sandbox)
    asking.clean()
    assert asking.default_for("push_credential") == Default("platform", expected)
    assert grant().default_for("push_credential") is None
    assert grant(push_credential="ios").default_for("push_credential") is None
    assert asking.default_for(grant.needed) == Default(grant.needed)


def text_of_bytes(number: int) -> dict[str, str]:
    """Params that are that long as JSON: ``{"k":"…"}`` is eight bytes and the text."""
    return {"k": "x" * (number - 8)}


@pytest.mark.parametrize(
    "grant",
    [
        Video(),
        Video(room=sid("RM")),
        Video(room=" a room "),
        Video(room="é" * 128),
        Chat(service="support", push_credential="ios"),
        Voice(app="phone", incoming=True, params={}),
        Voice(params=text_of_bytes(1024)),
        # As UTF-8, as they stand in the token: four bytes each.
        Voice(params={"k": "😀" * 254}),
        Video(room="😀" * 128),
        Chat(service="support", platform="android", sandbox=False),
        Sync(service="documents"),
        TaskRouter(workspace="support"),
    ],
)
def test_these_are_legal(grant: Grant) -> None:
    grant.clean()


@dataclass(frozen=True)
class Seats(Grant):
    product = "seats"

    number: int | None = None

    def to_twilio(self, user: Any, resources: Any) -> VideoGrant:
        return VideoGrant()


#: But for NUL: C0, DEL and C1; ends of lines; what turns the text around it.
CONTROL = [*range(1, 0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
CONTROL += [0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]


@pytest.mark.parametrize(
    ("grant", "field", "code"),
    [
        (Video(room=""), "room", "blank"),
        (Video(room=" \t\u2003"), "room", "blank"),
        (Video(room="\u200b\u3164"), "room", "blank"),
        (Video(room="x" * 129), "room", "max_length"),
        (Video(room="a\x00b"), "room", "null_characters_not_allowed"),
        (Video(room="a\ud800b"), "room", "surrogate_characters_not_allowed"),
        (Video(room="\udfff a"), "room", "surrogate_characters_not_allowed"),
        *((Video(room=f"a{chr(code)}b"), "room", "invalid") for code in CONTROL),
        (Video(room=5), "room", "invalid"),  # type: ignore[arg-type]
        (Chat(service=["support"]), "service", "invalid"),  # type: ignore[arg-type]
        (Chat(push_credential=1), "push_credential", "invalid"),  # type: ignore[arg-type]
        (Voice(app=True), "app", "invalid"),  # type: ignore[arg-type]
        (Voice(incoming="true"), "incoming", "invalid"),  # type: ignore[arg-type]
        (Voice(incoming=1), "incoming", "invalid"),  # type: ignore[arg-type]
        (Voice(params=[]), "params", "invalid"),  # type: ignore[arg-type]
        (Voice(params="a=b"), "params", "invalid"),  # type: ignore[arg-type]
        (Voice(params={"a": 1}), "params", "invalid"),  # type: ignore[dict-item]
        (Voice(params={"a": {"b": "c"}}), "params", "invalid"),  # type: ignore[dict-item]
        (Voice(params={1: "a"}), "params", "invalid"),  # type: ignore[dict-item]
        (Voice(params={"a": "\x00"}), "params", "null_characters_not_allowed"),
        (Voice(params={"\ud800": "a"}), "params", "surrogate_characters_not_allowed"),
        (Voice(params=text_of_bytes(1025)), "params", "max_length"),
        (Voice(params={"k": "é" * 509}), "params", "max_length"),
        (Voice(params={"k": "😀" * 255}), "params", "max_length"),
        (Seats(number="5"), "number", "invalid"),  # type: ignore[arg-type]
        (Seats(number=True), "number", "invalid"),
        (Sync(service=5), "service", "invalid"),  # type: ignore[arg-type]
        (TaskRouter(workspace=["support"]), "workspace", "invalid"),  # type: ignore[arg-type]
        *(
            (grant(**values), field, code)
            for grant in (Chat, Voice)
            for values, field, code in (
                ({"platform": "windows"}, "platform", "invalid_choice"),
                ({"platform": ""}, "platform", "invalid_choice"),
                ({"platform": "iOS"}, "platform", "invalid_choice"),
                ({"platform": 1}, "platform", "invalid"),
                ({"platform": ["ios"]}, "platform", "invalid"),
                ({"platform": "ios", "push_credential": "ios"}, "platform", "invalid"),
                ({"platform": "ios", "sandbox": "true"}, "sandbox", "invalid"),
                ({"platform": "ios", "sandbox": 1}, "sandbox", "invalid"),
                ({"sandbox": True}, "sandbox", "invalid"),
                ({"sandbox": False, "push_credential": "ios"}, "sandbox", "invalid"),
            )
        ),
    ],
)
def test_these_are_refused_with_the_field_and_a_code(grant: Grant, field: str, code: str) -> None:
    with pytest.raises(InvalidGrant) as refused:
        grant.clean()
    error = refused.value
    assert (error.product, error.field, error.code) == (grant.product, field, code)


def test_what_get_tells_of_a_product_is_declared() -> None:
    for grant in grants.registered().values():
        assert grant.offer().keys() == grant.offered.keys()


def test_a_site_may_require_a_room(settings: Any) -> None:
    settings.TWILIO_TOKENS_ROOM_REQUIRED = True
    Video(room="a").clean()
    with pytest.raises(InvalidGrant) as refused:
        Video().clean()
    assert (refused.value.field, refused.value.code) == ("room", "required")


@pytest.mark.parametrize("grant", [Video(), Chat(), Voice(), Sync(), TaskRouter()])
def test_a_grant_cannot_be_changed(grant: Grant) -> None:
    name = dataclasses.fields(grant)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(grant, name, "other")


class GrantOfVideo(Grant):
    def to_twilio(self, user: Any, resources: Any) -> VideoGrant:
        return VideoGrant()


@pytest.fixture
def _no_product_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "_registry", dict(base._registry))


@pytest.mark.usefixtures("_no_product_stays")
def test_a_registered_product_is_the_last_of_the_list() -> None:
    @register
    @dataclass(frozen=True)
    class Whiteboard(GrantOfVideo):
        product = "white_board2"

    assert [*grants.registered()][-2:] == ["live", "white_board2"]
    assert grants.registered()["white_board2"] is Whiteboard
    assert (Whiteboard.label, Whiteboard.twilio_key) == ("White board2", "white_board2")
    register(Whiteboard)  # a module that is imported twice does no harm


def test_the_registry_is_read_only() -> None:
    with pytest.raises(TypeError):
        grants.registered()["video"] = Chat  # type: ignore[index]


@pytest.mark.usefixtures("_no_product_stays")
@pytest.mark.parametrize("name", [None, 5, "", "Whiteboard", "white board", "2d", "_", "é"])
def test_a_product_needs_a_name_for_urls(name: Any) -> None:
    @dataclass(frozen=True)
    class Whiteboard(GrantOfVideo):
        product = name

    with pytest.raises(ValueError, match=r"Whiteboard\.product should be a lower-case name"):
        register(Whiteboard)


@pytest.mark.usefixtures("_no_product_stays")
@pytest.mark.parametrize("name", ["video", "sync", "ttl", "code", "detail", "identity"])
def test_a_product_cannot_take_a_name_in_use(name: str) -> None:
    @dataclass(frozen=True)
    class Whiteboard(GrantOfVideo):
        product = name

    with pytest.raises(ValueError, match=f"{name!r} is taken"):
        register(Whiteboard)


class NoDataclass(GrantOfVideo):
    product = "whiteboard"


@dataclass(frozen=True)
class UnknownResource(GrantOfVideo):
    product = "whiteboard"
    resources = {"service": ChatService}


@dataclass(frozen=True)
class NeedsWhatHasNoDefault(GrantOfVideo):
    product = "whiteboard"
    resources = {"push_credential": PushCredential}
    needed = "push_credential"

    push_credential: str | None = None


@dataclass(frozen=True)
class KnowsNoUser(Grant):
    product = "whiteboard"

    def to_twilio(self, resources: Any) -> VideoGrant:  # type: ignore[override]
        return VideoGrant()


@dataclass(frozen=True)
class Meeting(Video):
    product = "meeting"


def test_a_product_made_of_another_keeps_its_key_in_the_token() -> None:
    assert (Meeting.product, Meeting.label, Meeting.twilio_key) == ("meeting", "Meeting", "video")
    assert Video.label == "Video"


@pytest.mark.usefixtures("_no_product_stays")
def test_what_stands_in_a_token_belongs_to_the_first_product_of_that_key() -> None:
    register(Meeting)
    in_token = {"identity": "anna", "video": {"room": "a"}, "data_sync": {}, "unknown": {}}
    assert list(grants.products_in(in_token)) == [(Video, {"room": "a"}), (Sync, {})]


@pytest.mark.usefixtures("_no_product_stays")
@pytest.mark.parametrize(
    ("grant", "problem"),
    [
        (NoDataclass, "should be a frozen dataclass"),
        (UnknownResource, "should name fields"),
        (NeedsWhatHasNoDefault, "should name a RestrictedResource"),
        (KnowsNoUser, "to_twilio should take self, user and resources"),
    ],
)
def test_a_mistake_in_a_grant_of_ones_own_is_told_at_once(grant: type[Grant], problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        register(grant)
    assert "whiteboard" not in grants.registered()
