"""Records of issued tokens, what a token says, and tokens that somebody else has made."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta, timezone
from typing import Any

import jwt

from twilio_tokens.models import APIKey, IssuedToken


def record(**values: Any) -> IssuedToken:
    now = datetime.now(timezone.utc)
    fields = {
        "jti": f"jti-{IssuedToken.objects.count()}",
        "identity": "anna",
        "api_key": APIKey.objects.earliest("created_at"),
        "grants": {"video": {}},
        "issued_at": now,
        "expires_at": now + timedelta(hours=1),
    }
    return IssuedToken.objects.create(**fields | values)


def signed(claims: dict[str, Any]) -> str:
    """By somebody else, who may claim anything."""
    header = {"alg": "HS256", "typ": "JWT", "cty": "twilio-fpa;v=1"}
    parts = [json.dumps(part).encode() for part in (header, claims)]
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in (*parts, b"nonsense"))


def decoded(token: str, secret: str) -> dict[str, Any]:
    """The claims of a token, its signature checked with the secret that the test typed in."""
    return jwt.decode(token, secret, algorithms=["HS256"])
