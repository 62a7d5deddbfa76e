"""Chat: Twilio's Conversations (classic). SDK: @twilio/conversations 3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext_lazy as _

from twilio_tokens import sids
from twilio_tokens.models import ChatService, PushCredential

from . import push
from .base import Note, register
from .fields import Example, PayloadField
from .identity_rule import IdentityRule

if TYPE_CHECKING:
    from twilio.jwt.access_token.grants import ChatGrant

#: How long before the expiry the Client announces it.
WARNING = timedelta(seconds=180)


@register
@dataclass(frozen=True)
class Chat(push.NotifiesMobileApps):
    product = "chat"
    label = _("Chat")
    default_ttl = 3_600
    resources = MappingProxyType({"service": ChatService, "push_credential": PushCredential})
    needed = "service"
    identity_rule = IdentityRule(error_if_illegal=51003, error_if_missing=51007)
    example = Example({"service": "support"}, {"service_sid": "IS…"})
    payload_fields = (
        PayloadField("service_sid", sids.CHAT_SERVICE),
        PayloadField("push_credential_sid", sids.PUSH_CREDENTIAL, is_needed=False),
    )

    service: str | None = field(
        default=None,
        metadata={
            "label": _("Service"),
            "help_text": _("If omitted, the default service is used."),
        },
    )
    push_credential: str | None = push.push_credential()
    platform: str | None = push.platform()
    sandbox: bool | None = push.sandbox()

    def to_twilio(self, user: AbstractBaseUser, resources: Mapping[str, Any]) -> ChatGrant:
        from twilio.jwt.access_token.grants import ChatGrant

        return ChatGrant(
            service_sid=resources["service"].sid,
            push_credential_sid=push.push_credential_sid(resources),
        )

    @classmethod
    def sdk_notes(
        cls, payload: Mapping[str, Any], *, identity: str, issued_at: datetime, expires_at: datetime
    ) -> Iterator[Note]:
        yield Note(_("Gives access to the Chat service %(sid)s.") % {"sid": payload["service_sid"]})
        if expires_at - issued_at >= WARNING:
            text = _(
                "At about %(at)s, 3 minutes before the token expires, the Client emits "
                "tokenAboutToExpire. Then call client.updateToken() with a new token."
            )
        else:
            text = _(
                "The Client emits tokenAboutToExpire 3 minutes before the token expires, but this "
                "token is not valid that long. The event never fires, and the Client is "
                "disconnected."
            )
        yield Note(text, expires_at - WARNING)
        yield from push.push_notes(payload)
