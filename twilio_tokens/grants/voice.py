"""Voice: calls. SDK: @twilio/voice-sdk 2."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext_lazy as _

from twilio_tokens import sids
from twilio_tokens.conf import answer_of, settings
from twilio_tokens.exceptions import PermissionDenied
from twilio_tokens.models import PushCredential, TwiMLApp

from . import push
from .base import Note, register
from .fields import Example, PayloadField
from .identity_rule import IdentityRule

if TYPE_CHECKING:
    from twilio.jwt.access_token.grants import VoiceGrant

#: Bytes of JSON in UTF-8, as in the token.
PARAMS_MAX_BYTES = 1_024

#: How long before the expiry the Device announces it.
WARNING = timedelta(seconds=10)


@register
@dataclass(frozen=True)
class Voice(push.NotifiesMobileApps):
    product = "voice"
    label = _("Voice")
    default_ttl = 3_600
    resources = MappingProxyType({"app": TwiMLApp, "push_credential": PushCredential})
    needed = "app"
    identity_rule = IdentityRule(  # the Voice SDK's page on Access Tokens
        121, only_word_characters=True, error_if_illegal=31105, error_if_missing=51007
    )
    example = Example({"app": "phone"}, {"outgoing": {"application_sid": "AP…"}})
    payload_fields = (
        PayloadField("outgoing.application_sid", sids.TWIML_APP, is_needed=False),
        PayloadField("push_credential_sid", sids.PUSH_CREDENTIAL, is_needed=False),
    )

    app: str | None = field(
        default=None,
        metadata={"label": _("TwiML App"), "help_text": _("If omitted, the default app is used.")},
    )
    incoming: bool | None = field(
        default=None,
        metadata={
            "label": _("Incoming calls"),
            "help_text": _("Whether the user can be called. If omitted, the app decides."),
        },
    )
    push_credential: str | None = push.push_credential()
    params: dict[str, str] | None = field(
        default=None,
        metadata={
            "label": _("Parameters (JSON)"),
            "help_text": _(
                "Passed to the TwiML App: an object of strings, at most 1,024 bytes. The client "
                "chooses them, so the app must not trust them."
            ),
        },
    )
    platform: str | None = push.platform()
    sandbox: bool | None = push.sandbox()

    def clean(self) -> None:
        super().clean()
        if self.params is None:
            return
        if not isinstance(self.params, dict) or not all(
            isinstance(text, str) for item in self.params.items() for text in item
        ):
            raise self.invalid("params", _("Expected an object whose values are strings."))
        for item in self.params.items():
            for text in item:
                self.refuse_unstorable("params", text)
        written = json.dumps(self.params, separators=(",", ":"), ensure_ascii=False)
        if len(written.encode()) > PARAMS_MAX_BYTES:
            raise self.invalid(
                "params",
                _("Ensure this object has no more than %(max)d bytes as JSON.")
                % {"max": PARAMS_MAX_BYTES},
                "max_length",
            )

    def authorize(self, user: AbstractBaseUser, resources: Mapping[str, Any]) -> None:
        if self.incoming and not resources["app"].allow_incoming:
            raise PermissionDenied(_("This app does not allow incoming calls."))
        if self.params and not self._permits_params(user, resources["app"]):
            raise PermissionDenied(_("You may not send these parameters."))

    def _permits_params(self, user: AbstractBaseUser, app: TwiMLApp) -> bool:
        policy = settings.params
        if isinstance(policy, bool):
            return policy
        # Only True allows it, as for rooms. The policy gets a copy, so it cannot change what is
        # signed.
        return answer_of("PARAMS", policy, user, app, dict(self.params or {})) is True

    def to_twilio(self, user: AbstractBaseUser, resources: Mapping[str, Any]) -> VoiceGrant:
        from twilio.jwt.access_token.grants import VoiceGrant

        app = resources["app"]
        return VoiceGrant(
            incoming_allow=app.allow_incoming if self.incoming is None else self.incoming,
            outgoing_application_sid=app.sid,
            outgoing_application_params=self.params,
            push_credential_sid=push.push_credential_sid(resources),
        )

    @classmethod
    def sdk_notes(
        cls, payload: Mapping[str, Any], *, identity: str, issued_at: datetime, expires_at: datetime
    ) -> Iterator[Note]:
        sid = payload["outgoing"]["application_sid"]
        yield Note(_("Outgoing calls use the TwiML App %(sid)s.") % {"sid": sid})
        if payload.get("incoming", {}).get("allow"):
            text = _(
                "The Device can be called as “%(identity)s”. Twilio keeps ten registrations per "
                "identity; an eleventh replaces the oldest."
            )
            yield Note(text % {"identity": identity})
        else:
            yield Note(_("The Device cannot be called: the token allows no incoming calls."))
        if expires_at - issued_at > WARNING:
            text = _(
                "At %(at)s, 10 seconds before the token expires, the Device emits tokenWillExpire. "
                "Then call device.updateToken() with a new token."
            )
        else:
            text = _(
                "The Device emits tokenWillExpire 10 seconds before the token expires, but this "
                "token is not valid for longer than that. Replacing it on that event causes an "
                "endless loop."
            )
        yield Note(text, expires_at - WARNING)
        yield from push.push_notes(payload)
