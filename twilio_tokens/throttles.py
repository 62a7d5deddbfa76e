from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from .conf import settings


class TokenRateThrottle(SimpleRateThrottle):
    """One bucket per user for the tokens of all products. Only asking for a token counts."""

    scope = "twilio_tokens"

    def get_rate(self) -> str | None:
        return settings.throttle_rate

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        if request.method != "POST":
            return None
        return self.cache_format % {"scope": self.scope, "ident": request.user.pk}

    def wait(self) -> float | None:
        # DRF has no answer where the rate was lowered meanwhile; Retry-After is promised.
        return super().wait() or self.duration  # type: ignore[attr-defined]
