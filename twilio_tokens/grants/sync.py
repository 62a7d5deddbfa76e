"""Sync: state shared between clients. SDK: twilio-sync 4."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext_lazy as _

from twilio_tokens import sids
from twilio_tokens.models import SyncService

from .base import Grant, Note, register
from .fields import Example, PayloadField
from .identity_rule import IdentityRule

if TYPE_CHECKING:
    from twilio.jwt.access_token.grants import SyncGrant


@register
@dataclass(frozen=True)
class Sync(Grant):
    product = "sync"
    label = _("Sync")
    twilio_key = "data_sync"
    default_ttl = 3_600
    resources = MappingProxyType({"service": SyncService})
    needed = "service"
    identity_rule = IdentityRule(error_if_illegal=54351, error_if_missing=51007)
    example = Example({"service": "documents"}, {"service_sid": "IS…"})
    payload_fields = (PayloadField("service_sid", sids.SYNC_SERVICE),)

    service: str | None = field(
        default=None,
        metadata={
            "label": _("Service"),
            "help_text": _("If omitted, the default service is used."),
        },
    )

    def to_twilio(self, user: AbstractBaseUser, resources: Mapping[str, Any]) -> SyncGrant:
        from twilio.jwt.access_token.grants import SyncGrant

        return SyncGrant(service_sid=resources["service"].sid)

    @classmethod
    def sdk_notes(
        cls, payload: Mapping[str, Any], *, identity: str, issued_at: datetime, expires_at: datetime
    ) -> Iterator[Note]:
        yield Note(_("Gives access to the Sync service %(sid)s.") % {"sid": payload["service_sid"]})
        yield Note(
            _(
                "Before the token expires at %(at)s, the Client emits tokenAboutToExpire. Then "
                "call client.updateToken() with a new token."
            ),
            expires_at,
        )
