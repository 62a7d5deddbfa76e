from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from twilio.jwt.access_token.grants import SyncGrant

from tests.site.models import SyncService
from twilio_tokens.grants import Grant, register


@register
@dataclass(frozen=True)
class Sync(Grant):
    product = "sync"
    resources = MappingProxyType({"service": SyncService})
    needed = "service"

    service: str | None = None

    def to_twilio(self, resources: Any) -> SyncGrant:
        return SyncGrant(service_sid=resources["service"].sid)
