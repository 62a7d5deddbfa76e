"""Signing a token: the claims that Twilio documents, and the secret of an API key.

They are those of the ``AccessToken`` of Twilio's library, which a test compares, made in a quarter
of its time: https://www.twilio.com/docs/iam/access-tokens
"""

from __future__ import annotations

import hmac
import json
import logging
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .crypto import unseal
from .models import APIKey

if TYPE_CHECKING:
    from twilio.jwt.access_token import AccessTokenGrant

logger = logging.getLogger(__name__)


def sign(
    key: APIKey,
    *,
    jti: str,
    account_sid: str,
    identity: str,
    grants: Sequence[AccessTokenGrant],
    issued_at: int,
    expires_at: int,
) -> str | None:
    """The token, or None where it cannot be made; the reason is in the log.

    Raises ``SecretUnavailable``. The frames hold the secret, and an error report would show their
    variables: so no exception leaves with their traceback.
    """
    secret = unseal(key.secret, row=key.id, sid=key.sid)
    try:
        claims = {
            "jti": jti,
            "grants": {**{each.key: each.to_payload() for each in grants}, "identity": identity},
            "iss": key.sid,
            "sub": account_sid,
            "exp": expires_at,
            # Twilio's error pages ask for it. An nbf, which the library has in its place, would
            # make the token invalid at first wherever the server's clock is fast
            # (https://www.twilio.com/docs/api/errors/20105).
            "iat": issued_at,
        }
        return _jwt(claims, secret)
    except Exception as error:  # noqa: BLE001 - whatever it is, its traceback holds the secret
        logger.error("Signing with API key %s raised %s.", key.sid, type(error).__name__)
        return None


def _jwt(claims: dict[str, Any], secret: str) -> str:
    # HS256 (RFC 7515) by the standard library. PyJWT would first parse the secret as PEM,
    # SSH, DER, X.509 and JSON, lest it be a public key; that costs more than the signature.
    signed = f"{_HEADER}.{_base64url_json(claims)}"
    return f"{signed}.{_base64url(hmac.digest(secret.encode(), signed.encode(), 'sha256'))}"


# As Twilio's Node library writes it: characters outside ASCII as such, not as escapes.
_compact_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _base64url_json(part: dict[str, Any]) -> str:
    return _base64url(_compact_json.encode(part).encode())


_HEADER = _base64url_json({"cty": "twilio-fpa;v=1", "typ": "JWT", "alg": "HS256"})
