"""Reads any Access Token and tells what Twilio would make of it."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from django.utils.translation import gettext as _

from . import sids
from .conf import LONGEST_TTL
from .crypto import unseal
from .exceptions import IdentityNotAllowed, SecretUnavailable
from .grants import products_in
from .models import APIKey, IssuedToken, Outcome
from .token_text import name_of_other_token, parts_of, token_in


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
    """Decode a token, an expired or foreign one too. Raises ``InvalidToken`` if it is none.

    It may be wrapped as it was copied: in a header, in quotation marks, in JSON, in an address.
    """
    signed, header, claims, signature = parts_of(token_in(token))
    key, holds, record = _stored_key(claims), None, _record(claims)
    if key is not None:
        holds = _signature_holds(key, signed, signature)
    other = name_of_other_token(header, claims)
    problems = [Problem(20101, other)] if other else list(_problems(header, claims, key, holds))
    return DecodedToken(header, claims, key, holds, record, problems)


def _stored_key(claims: Mapping[str, Any]) -> APIKey | None:
    issuer = claims.get("iss")
    if sids.API_KEY.problem(issuer):
        return None
    return APIKey.objects.select_related("account").filter(sid=issuer).first()


def _record(claims: Mapping[str, Any]) -> IssuedToken | None:
    jti = claims.get("jti")
    # Not every text can be looked up in every database.
    if not isinstance(jti, str) or not re.fullmatch(r"[!-~]+", jti):
        return None
    return IssuedToken.objects.select_related("user", "api_key").filter(jti=jti).first()


def _signature_holds(key: APIKey, signed: bytes, signature: bytes) -> bool | None:
    try:
        secret = unseal(key.secret, row=key.id, sid=key.sid)
    except SecretUnavailable:
        return None
    return hmac.compare_digest(hmac.digest(secret.encode(), signed, "sha256"), signature)


# What Twilio would not like, by its numbers: https://www.twilio.com/docs/api/errors


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
            20107,
            _("The signature is not valid: another secret made it, or the token was changed."),
        )
    yield from _time_problems(claims)
    grants = claims.get("grants")
    if not isinstance(grants, dict) or not grants.keys() - {"identity"}:
        yield Problem(20106, _("It grants nothing: a product's grant is missing."))
    else:
        yield from _grant_problems(grants)
        yield from _identity_problems(grants)


def _header_problems(header: Mapping[str, Any]) -> Iterator[Problem]:
    expected = {"typ": "JWT", "alg": "HS256", "cty": "twilio-fpa;v=1"}
    for name, value in expected.items():
        if header.get(name) != value:
            message = _("The header's “%(name)s” is not “%(value)s”.")
            yield Problem(20102, message % {"name": name, "value": value})
    if header.get("twr", "us1") != "us1":
        yield Problem(51007, _("The header names another region (“twr”) than US1."))


def _issuer_problems(claims: Mapping[str, Any], key: APIKey | None) -> Iterator[Problem]:
    issuer = sids.API_KEY.problem(claims.get("iss"))
    subject = sids.ACCOUNT.problem(claims.get("sub"))
    if issuer:
        yield Problem(20103, _("Its issuer (“iss”): %(problem)s") % {"problem": issuer})
    elif key is None:
        message = _(
            "Its issuer is no API key that is stored here. Twilio takes the token only if it knows "
            "that key; the signature could not be checked."
        )
        yield Problem(20103, message)
    elif key.check_outcome == Outcome.REFUSED:
        message = _("Twilio refused its API key at the last check: %(message)s")
        yield Problem(20103, message % {"message": key.check_message})
    if subject:
        yield Problem(20103, _("Its subject (“sub”): %(problem)s") % {"problem": subject})
    elif key is not None and claims["sub"] != key.account.sid:
        message = _("It is for another account than %(account)s, to which its API key belongs.")
        yield Problem(20103, message % {"account": key.account.sid})


def _time_problems(claims: Mapping[str, Any]) -> Iterator[Problem]:
    now = time.time()
    for name, code in (("iat", 20101), ("nbf", 20101), ("exp", 20104)):
        if name in claims and _seconds(claims[name]) is None:
            message = _("“%(name)s” is no point in time: seconds since 1970, as a number.")
            yield Problem(code, message % {"name": name})
    issued_at, not_before, expires_at = (
        _seconds(claims.get(name)) for name in ("iat", "nbf", "exp")
    )
    if "exp" not in claims:
        yield Problem(20104, _("It does not say when it expires (“exp”)."))
    if expires_at is not None:
        start = next((each for each in (issued_at, not_before) if each is not None), now)
        if expires_at <= now:
            yield Problem(20104, _("It has expired."))
        if expires_at - start > LONGEST_TTL:
            yield Problem(20157, _("It lives longer than 24 hours."))
    if any(each is not None and each > now for each in (issued_at, not_before)):
        yield Problem(20105, _("It is not valid yet: was the clock of its server fast?"))


def _grant_problems(grants: Mapping[str, Any]) -> Iterator[Problem]:
    for key, payload in grants.items():
        if key != "identity" and not isinstance(payload, dict):
            message = _("The grant %(key)s is no object.")
            yield Problem(20106, message % {"key": ascii(key)})
    for product, payload in products_in(grants):
        for each in product.payload_fields if isinstance(payload, dict) else ():
            problem = each.problem(payload)
            if problem:
                message = _("The grant for %(product)s, “%(path)s”: %(problem)s")
                values = {"product": product.label, "path": each.path, "problem": problem}
                yield Problem(20106, message % values)


def _identity_problems(grants: Mapping[str, Any]) -> Iterator[Problem]:
    identity = grants.get("identity")
    for product, _payload in products_in(grants):
        rule = product.identity_rule
        if not isinstance(identity, str) or not identity:
            if rule.error_if_missing is not None:
                message = _("It has no identity, which %(product)s needs.")
                yield Problem(rule.error_if_missing, message % {"product": product.label})
        elif rule.error_if_illegal is not None:
            try:
                rule.check(identity, product.label)
            except IdentityNotAllowed as error:
                yield Problem(rule.error_if_illegal, error.message)


def _seconds(value: object) -> float | None:
    """A number that can be reckoned with, unlike true or 1e999."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 1e15 else None


def _moment(value: object) -> datetime | None:
    seconds = _seconds(value)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
