"""Signing a token with Twilio's classes and the secret of an API key."""

from __future__ import annotations

import hmac
import json
import logging
from base64 import urlsafe_b64encode
from functools import lru_cache
from typing import Any

from twilio.jwt.access_token import AccessToken

from .crypto import unseal
from .models import APIKey

logger = logging.getLogger(__name__)


def sign(key: APIKey, **contents: Any) -> str | None:
    """The token, or None where Twilio's library cannot make it; the reason is in the log.

    ``contents`` are the arguments of ``_AccessToken``. Raises ``SecretUnavailable``. The frames
    hold the secret, and an error report would show their variables: so no exception leaves with
    their traceback.
    """
    secret = unseal(key.secret, row=key.id, sid=key.sid)
    try:
        return _AccessToken(signing_key_sid=key.sid, secret=secret, **contents).to_jwt()
    except Exception as error:  # noqa: BLE001 - whatever it is, its traceback holds the secret
        logger.error("Signing with API key %s raised %s.", key.sid, type(error).__name__)
        return None


class _AccessToken(AccessToken):  # type: ignore[misc]
    """Twilio's class, with an own ``jti`` and with ``iat`` in place of ``nbf``.

    Twilio's error pages ask for ``iat``. An ``nbf`` would make the token invalid at first
    wherever the server's clock is fast (https://www.twilio.com/docs/api/errors/20105).
    """

    def __init__(self, *, jti: str, issued_at: int, **kwargs: Any) -> None:
        super().__init__(nbf=None, **kwargs)
        self.jti = jti
        self.issued_at = issued_at

    @property
    def payload(self) -> dict[str, Any]:
        return {**super().payload, "jti": self.jti, "iat": self.issued_at}

    def to_jwt(self, ttl: int | None = None) -> str:
        # HS256 (RFC 7515) by the standard library. PyJWT would first parse the secret as PEM,
        # SSH, DER, X.509 and JSON, lest it be a public key; that costs more than the signature.
        signed = f"{_header(**self.headers)}.{_base64url_json(self.payload)}"
        signature = hmac.digest(self.secret_key.encode(), signed.encode(), "sha256")
        return f"{signed}.{_base64url(signature)}"

    # The inherited one is the live token.
    __str__ = object.__repr__


# As Twilio's Node library writes it: characters outside ASCII as such, not as escapes.
_compact_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


@lru_cache(maxsize=8)  # the same in every token
def _header(**fields: str) -> str:
    return _base64url_json(fields)


def _base64url_json(part: dict[str, Any]) -> str:
    return _base64url(_compact_json.encode(part).encode())
