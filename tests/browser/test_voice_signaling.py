"""The stand-in for Twilio Voice, proven by Twilio's own SDK."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.rows import new_secret, sid

from . import voice_signaling
from .pages import PATIENCE, SignedIn, token_for
from .twilio_sockets import Sockets, Twilio

SDK = "/static/@twilio/voice-sdk/twilio.min.js"

PHONE = """
([token, options]) => {
    window.events = [];
    const listen = (emitter, names, note) => names.forEach(
        name => emitter.on(name, first => events.push(note(name, first)))
    );
    window.follow = call => {
        window.call = call;
        const names = ["accept", "cancel", "disconnect", "reject", "reconnecting", "reconnected"];
        listen(call, names, name => name);
        call.on("error", error => events.push(error.code));
        call.on("volume", (input, output) => { window.loudest = Math.max(loudest, output); });
        window.loudest = 0;
    };
    window.device = new Twilio.Device(token, options);
    listen(device, ["registered", "unregistered", "tokenWillExpire"], name => name);
    device.on("error", error => events.push(error.code));
    device.on("incoming", call => { events.push("incoming"); follow(call); });
}
"""

WAIT = """
() => new Promise((resolve, reject) => {
    const look = () => (%s) ? resolve() : setTimeout(look, 20);
    setTimeout(() => reject(new Error(`${device.state}, ${events}`)), %d);
    look();
})
"""


def make_token(
    twilio: Twilio, identity: str = "anna", ttl: int = 3600, secret: str = "", **voice: Any
) -> str:
    grant = {"incoming": {"allow": True}, "outgoing": {"application_sid": sid("AP")}} | voice
    return token_for(twilio, {"voice": grant}, identity=identity, ttl=ttl, secret=secret)


@dataclass
class Phone:
    """A page with a Device; ``events`` are the names of its and its call's, and codes of errors."""

    page: Page

    @property
    def events(self) -> list[Any]:
        return self.page.evaluate("events")

    @property
    def state(self) -> str:
        return self.page.evaluate("device.state")

    def register(self) -> None:
        self.page.evaluate("() => { device.register(); }")

    def update(self, token: str) -> None:
        self.page.evaluate("token => device.updateToken(token)", token)

    def call(self, to: str) -> None:
        self.page.evaluate("async To => follow(await device.connect({params: {To}}))", to)

    def do(self, verb: str) -> None:
        self.page.evaluate(f"call.{verb}()")

    def sees(self, condition: str) -> None:
        # wait_for_function evaluates strings inside the page, whose policy forbids that.
        self.page.evaluate(WAIT % (condition, PATIENCE))

    def hears_of(self, event: str | int, times: int = 1) -> None:
        self.sees(f"events.filter(event => event === {event!r}).length >= {times}")


MakePhone = Callable[..., Phone]


@pytest.fixture
def phone(signed_in: SignedIn, twilio: Twilio) -> MakePhone:
    def make(
        identity: str = "anna", *, options: dict[str, Any] | None = None, **token: Any
    ) -> Phone:
        page = signed_in("anna").new_page()
        page.goto("/")
        page.add_script_tag(url=SDK)
        # Short-lived ones begin when the page is there.
        page.evaluate(PHONE, [make_token(twilio, identity, **token), options or {}])
        return Phone(page)

    return make


@pytest.fixture
def registered(phone: MakePhone) -> MakePhone:
    def make(identity: str = "anna", **details: Any) -> Phone:
        made = phone(identity, **details)
        made.register()
        made.hears_of("registered")
        return made

    return make


# Registering


def test_any_other_refusal_is_20151(phone: MakePhone, twilio: Twilio) -> None:
    twilio.refused["voice"] = 20157
    anna = phone()
    anna.register()

    anna.hears_of(20151)


def test_a_refused_update_leaves_the_earlier_token(registered: MakePhone, twilio: Twilio) -> None:
    anna = registered()

    anna.update(make_token(twilio, secret=new_secret()))

    anna.hears_of(20101)
    assert anna.state == "registered"


# The end of a token


def test_a_session_ends_with_its_token_and_goes_on_with_a_new_one(
    registered: MakePhone, twilio: Twilio
) -> None:
    anna = registered(ttl=6, options={"tokenRefreshMs": 1000})
    anna.hears_of("unregistered")
    assert anna.events == ["registered", "tokenWillExpire", 20104, "unregistered"]

    anna.update(make_token(twilio))

    anna.hears_of("registered", times=2)


# A lost socket


def test_a_device_registers_again_with_its_newest_token(
    registered: MakePhone, sockets: Sockets, twilio: Twilio
) -> None:
    anna = registered()
    newest = make_token(twilio)
    anna.update(newest)

    sockets.drop()

    anna.hears_of("registered", times=2)
    assert twilio.of("voice")[-1].token == newest


# Calls


def talking(caller: Phone, callee: Phone) -> None:
    caller.call("client:bob")
    callee.hears_of("incoming")
    callee.do("accept")
    for side in (caller, callee):
        side.sees("call.status() === 'open'")


def test_two_devices_talk_until_one_hangs_up(registered: MakePhone) -> None:
    anna, bob = registered("anna"), registered("bob")

    talking(anna, bob)

    assert bob.page.evaluate("call.parameters.From") == "client:anna"
    for side in (anna, bob):
        side.sees("loudest > 0.1")
    bob.do("disconnect")
    for side in (anna, bob):
        side.hears_of("disconnect")
        assert side.events[-2:] == ["accept", "disconnect"]


def test_the_caller_hangs_up_too(registered: MakePhone) -> None:
    anna, bob = registered("anna"), registered("bob")
    talking(anna, bob)

    anna.do("disconnect")

    bob.hears_of("disconnect")


@pytest.mark.parametrize("to", ["+15550100", ""])
def test_a_call_to_no_device_ends_with_an_error(phone: MakePhone, to: str) -> None:
    anna = phone(options={"enableImprovedSignalingErrorPrecision": True})

    anna.call(to)

    anna.hears_of("disconnect")
    assert anna.events == [31404, "disconnect"]


def test_a_token_without_a_twiml_app_makes_no_calls(registered: MakePhone) -> None:
    anna, bob = registered("anna", outgoing={}), registered("bob")

    anna.call("bob")

    anna.hears_of("disconnect")
    assert bob.events == ["registered"]


def test_a_call_survives_the_loss_of_both_sockets(registered: MakePhone, sockets: Sockets) -> None:
    anna, bob = registered("anna"), registered("bob")
    talking(anna, bob)

    sockets.drop()

    for side in (anna, bob):
        side.hears_of("reconnected")
        side.sees("call.status() === 'open'")
    anna.do("disconnect")
    bob.hears_of("disconnect")


def test_a_call_ends_when_a_side_does_not_come_back(
    registered: MakePhone, sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice_signaling, "RETURN", 1.0)
    anna, bob = registered("anna"), registered("bob")
    talking(anna, bob)

    anna.page.context.set_offline(True)
    sockets.drop()

    bob.hears_of("disconnect")


def test_a_page_that_goes_away_hangs_up(registered: MakePhone) -> None:
    anna, bob = registered("anna"), registered("bob")
    talking(anna, bob)

    anna.page.close()

    bob.hears_of("disconnect")
