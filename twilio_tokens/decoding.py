"""Reads any Access Token and predicts how Twilio would judge it."""

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
    """An error that Twilio would report for the token: its number and the reason."""

    code: int
    message: str


@dataclass(frozen=True)
class DecodedToken:
    """``signature_holds`` is None if the secret needed to check it is not available."""

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
    """Decode a token, even if it is expired or another site's. Raises ``InvalidToken``.

    The text may include what was copied along: a header, quotation marks, JSON, a URL.
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
    # Some databases cannot look up every text.
    if not isinstance(jti, str) or not re.fullmatch(r"[!-~]+", jti):
        return None
    return IssuedToken.objects.select_related("user", "api_key").filter(jti=jti).first()


def _signature_holds(key: APIKey, signed: bytes, signature: bytes) -> bool | None:
    try:
        secret = unseal(key.secret, row=key.id, sid=key.sid)
    except SecretUnavailable:
        return None
    return hmac.compare_digest(hmac.digest(secret.encode(), signed, "sha256"), signature)


# What Twilio would reject, by its error codes: https://www.twilio.com/docs/api/errors


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
            _(
                "The signature is not valid: the token was signed with another secret, or changed "
                "afterwards."
            ),
        )
    yield from _time_problems(claims)
    grants = claims.get("grants")
    if not isinstance(grants, dict) or not grants.keys() - {"identity"}:
        yield Problem(20106, _("The token grants nothing: it contains no grant for a product."))
    else:
        yield from _grant_problems(grants)
        yield from _identity_problems(grants)


def _header_problems(header: Mapping[str, Any]) -> Iterator[Problem]:
    expected = {"typ": "JWT", "alg": "HS256", "cty": "twilio-fpa;v=1"}
    for name, value in expected.items():
        if header.get(name) != value:
            message = _("In the header, “%(name)s” is not “%(value)s”.")
            yield Problem(20102, message % {"name": name, "value": value})
    if header.get("twr", "us1") != "us1":
        yield Problem(51007, _("The header names a region other than US1 (“twr”)."))


def _issuer_problems(claims: Mapping[str, Any], key: APIKey | None) -> Iterator[Problem]:
    issuer = sids.API_KEY.problem(claims.get("iss"))
    subject = sids.ACCOUNT.problem(claims.get("sub"))
    if issuer:
        yield Problem(20103, _("Issuer (“iss”): %(problem)s") % {"problem": issuer})
    elif key is None:
        message = _(
            "The issuer (“iss”) is not an API key stored on this site, so the signature could not "
            "be checked. Twilio accepts the token only if it knows that key."
        )
        yield Problem(20103, message)
    elif key.check_outcome == Outcome.REFUSED:
        message = _("Twilio refused the token's API key in the last check: %(message)s")
        yield Problem(20103, message % {"message": key.check_message})
    if subject:
        yield Problem(20103, _("Subject (“sub”): %(problem)s") % {"problem": subject})
    elif key is not None and claims["sub"] != key.account.sid:
        message = _("The token is for a different account, but its API key belongs to %(account)s.")
        yield Problem(20103, message % {"account": key.account.sid})


def _time_problems(claims: Mapping[str, Any]) -> Iterator[Problem]:
    now = time.time()
    for name, code in (("iat", 20101), ("nbf", 20101), ("exp", 20104)):
        if name in claims and _seconds(claims[name]) is None:
            message = _("“%(name)s” is not a time. Expected a number of seconds since 1970.")
            yield Problem(code, message % {"name": name})
    issued_at, not_before, expires_at = (
        _seconds(claims.get(name)) for name in ("iat", "nbf", "exp")
    )
    if "exp" not in claims:
        yield Problem(20104, _("The token does not say when it expires (“exp”)."))
    if expires_at is not None:
        start = next((each for each in (issued_at, not_before) if each is not None), now)
        if expires_at <= now:
            yield Problem(20104, _("The token has expired."))
        if expires_at - start > LONGEST_TTL:
            yield Problem(20157, _("The token is valid for more than 24 hours."))
    if any(each is not None and each > now for each in (issued_at, not_before)):
        yield Problem(
            20105, _("The token is not valid yet. Is the clock of the server that issued it fast?")
        )


def _grant_problems(grants: Mapping[str, Any]) -> Iterator[Problem]:
    for key, payload in grants.items():
        if key != "identity" and not isinstance(payload, dict):
            message = _("The grant %(key)s is not an object.")
            yield Problem(20106, message % {"key": ascii(key)})
    for product, payload in products_in(grants):
        for each in product.payload_fields if isinstance(payload, dict) else ():
            problem = each.problem(payload)
            if problem:
                message = _("%(product)s grant, “%(path)s”: %(problem)s")
                values = {"product": product.label, "path": each.path, "problem": problem}
                yield Problem(20106, message % values)


def _identity_problems(grants: Mapping[str, Any]) -> Iterator[Problem]:
    identity = grants.get("identity")
    for product, _payload in products_in(grants):
        rule = product.identity_rule
        if not isinstance(identity, str) or not identity:
            if rule.error_if_missing is not None:
                message = _("The token has no identity, which %(product)s requires.")
                yield Problem(rule.error_if_missing, message % {"product": product.label})
        elif rule.error_if_illegal is not None:
            try:
                rule.check(identity, product.label)
            except IdentityNotAllowed as error:
                yield Problem(rule.error_if_illegal, error.message)


def _seconds(value: object) -> float | None:
    """A number that can be calculated with, unlike true or 1e999."""
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
