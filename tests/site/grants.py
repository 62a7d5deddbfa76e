from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from twilio.jwt.access_token.grants import PlaybackGrant

from tests.site.models import Stage
from twilio_tokens.grants import FieldKind, Grant, register


@register
@dataclass(frozen=True)
class Live(Grant):
    product = "live"
    twilio_key = "player"
    resources = MappingProxyType({"stage": Stage})
    needed = "stage"
    offered = MappingProxyType({"seats": FieldKind.INTEGER})

    stage: str | None = None

    @classmethod
    def offer(cls) -> dict[str, Any]:
        return {"seats": 100}

    def to_twilio(self, user: Any, resources: Mapping[str, Any]) -> PlaybackGrant:
        return PlaybackGrant({"stage": resources["stage"].sid})
