"""Reads any Access Token and tells what Twilio would make of it."""

from __future__ import annotations

import binascii
import hmac
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from django.utils.translation import gettext as _

from .conf import LONGEST_TTL
from .crypto import unseal
from .exceptions import IdentityNotAllowed, InvalidToken, SecretUnavailable
from .identity import RULES
from .models import APIKey, IssuedToken

#: A product's key in a token's grants, with the name of its identity rule and the error that an
#: identity against the rule meets.
IDENTITY_ERRORS = {
    "video": ("video", 53200),
    "voice": ("voice", 31105),
    "chat": ("chat", 51003),
    "data_sync": ("sync", 54351),
}

#: Tokens are a few hundred characters long.
LONGEST_TOKEN = 16_384


@dataclass(frozen=True)
class Problem:
    """An error that the token would meet at Twilio: its number and the reason."""

    code: int
    message: str


@dataclass(frozen=True)
class DecodedToken:
    """``signature_holds`` is None where the secret that could tell is not at hand."""

    header: dict[str, Any]
    claims: dict[str, Any]
    api_key: APIKey | None
    signature_holds: bool | None
    record: IssuedToken | None
    problems: list[Problem]

    @property
    def issued_at(self) -> datetime | None:
        return _moment(self.claims.get("iat"))

    @property
    def expires_at(self) -> datetime | None:
        return _moment(self.claims.get("exp"))

    @property
    def not_before(self) -> datetime | None:
        return _moment(self.claims.get("nbf"))


def decode(token: str) -> DecodedToken:
    """Decode a token, an expired or foreign one too. Raises ``InvalidToken`` if it is none."""
    signed, header, claims, signature = _parts("".join(token.split()))
    key = _stored_key(claims)
    holds = None if key is None else _signature_holds(key, signed, signature)
    jti = claims.get("jti")
    record = None
    if isinstance(jti, str) and "\x00" not in jti:
        record = IssuedToken.objects.select_related("user", "api_key").filter(jti=jti).first()
    return DecodedToken(
        header, claims, key, holds, record, list(_problems(header, claims, key, holds))
    )


def _parts(token: str) -> tuple[bytes, dict[str, Any], dict[str, Any], bytes]:
    parts = token.split(".")
    if len(parts) != 3 or len(token) > LONGEST_TOKEN:
        raise InvalidToken(
            _("This is no Access Token: three parts with a point between them are expected.")
        )
    try:
        header, claims, signature = (
            urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in parts
        )
        objects = json.loads(header), json.loads(claims)
    except (binascii.Error, ValueError, RecursionError):
        raise InvalidToken(
            _("This is no Access Token: its parts are not JSON in base64. Was it cut off?")
        ) from None
    if not all(isinstance(each, dict) for each in objects):
        raise InvalidToken(_("This is no Access Token: its parts are not JSON objects."))
    return ".".join(parts[:2]).encode(), *objects, signature


def _stored_key(claims: Mapping[str, Any]) -> APIKey | None:
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or "\x00" in issuer:
        return None
    return APIKey.objects.select_related("account").filter(sid=issuer).first()


def _signature_holds(key: APIKey, signed: bytes, signature: bytes) -> bool | None:
    try:
        secret = unseal(key.secret, row=key.id, sid=key.sid)
    except SecretUnavailable:
        return None
    return hmac.compare_digest(hmac.digest(secret.encode(), signed, "sha256"), signature)


def _problems(
    header: Mapping[str, Any],
    claims: Mapping[str, Any],
    key: APIKey | None,
    signature_holds: bool | None,
) -> Iterator[Problem]:
    yield from _header_problems(header)
    yield from _issuer_problems(claims, key)
    if signature_holds is False:
        yield Problem(
            20107, _("The signature does not hold: another secret signed it, or it was changed.")
        )
    yield from _time_problems(claims)
    grants = claims.get("grants")
    if not isinstance(grants, dict) or not grants.keys() - {"identity"}:
        yield Problem(20106, _("It grants nothing: a product's grant is missing."))
    else:
        yield from _grant_problems(grants)


def _header_problems(header: Mapping[str, Any]) -> Iterator[Problem]:
    expected = {"typ": "JWT", "alg": "HS256", "cty": "twilio-fpa;v=1"}
    for name, value in expected.items():
        if header.get(name) != value:
            yield Problem(
                20102, _("The header's %(name)s is not %(value)s.") % {"name": name, "value": value}
            )
    if header.get("twr", "us1") != "us1":
        yield Problem(20102, _("The header names another region than US1."))


def _issuer_problems(claims: Mapping[str, Any], key: APIKey | None) -> Iterator[Problem]:
    if key is None:
        yield Problem(
            20103,
            _("Its issuer is no API key that is stored here, so the signature cannot be checked."),
        )
    elif claims.get("sub") != key.account.sid:
        yield Problem(
            20103,
            _("It is for another account than %(account)s, to which its API key belongs.")
            % {"account": key.account.sid},
        )


def _time_problems(claims: Mapping[str, Any]) -> Iterator[Problem]:
    now = time.time()
    issued_at, expires_at, not_before = (
        _seconds(claims.get(name)) for name in ("iat", "exp", "nbf")
    )
    if expires_at is None:
        yield Problem(20104, _("It does not say when it expires."))
    elif expires_at <= now:
        yield Problem(20104, _("It has expired."))
    start = issued_at if issued_at is not None else not_before
    if expires_at is not None and expires_at - (now if start is None else start) > LONGEST_TTL:
        yield Problem(20157, _("It lives longer than 24 hours."))
    if max(issued_at or 0, not_before or 0) > now:
        yield Problem(20105, _("It is not valid yet: was the clock of its server fast?"))


def _grant_problems(grants: Mapping[str, Any]) -> Iterator[Problem]:
    identity = grants.get("identity")
    for product, grant in grants.items():
        if product == "identity":
            continue
        if not isinstance(grant, dict):
            yield Problem(
                20106, _("The grant for %(product)s is no object.") % {"product": product}
            )
        elif product in ("chat", "data_sync") and not grant.get("service_sid"):
            yield Problem(
                20106, _("The grant for %(product)s names no service.") % {"product": product}
            )
        if product in IDENTITY_ERRORS:
            rule, code = IDENTITY_ERRORS[product]
            if not isinstance(identity, str) or not identity:
                yield Problem(
                    code, _("It has no identity, which %(product)s needs.") % {"product": product}
                )
            else:
                try:
                    RULES[rule].check(identity)
                except IdentityNotAllowed as error:
                    yield Problem(code, error.message)


def _seconds(value: Any) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number else None


def _moment(value: Any) -> datetime | None:
    seconds = _seconds(value)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
