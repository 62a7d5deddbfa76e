"""Issuing a token: every rule is applied here, whoever asks."""

from __future__ import annotations

import hmac
import json
import logging
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from secrets import token_hex
from typing import Any, NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseError
from django.utils.translation import gettext as _
from twilio.jwt.access_token import AccessToken

from .conf import settings
from .credentials import Credentials
from .crypto import check_opens, unseal
from .exceptions import (
    AccountMismatch,
    AuditUnavailable,
    DoesNotExist,
    InvalidGrant,
    NotAuthenticated,
    NotConfigured,
    SecretUnavailable,
    TwilioTokensError,
    Unavailable,
)
from .grants import Grant, registered
from .identity import identity_for
from .models import Account, APIKey, IssuedToken
from .signals import access_token_issued

logger = logging.getLogger(__name__)

#: Before its expiry a token should be replaced this early, or at half its life if that is
#: later. Earlier than the warning of every Twilio SDK.
REFRESH_MARGIN = timedelta(seconds=300)


@dataclass(frozen=True)
class IssuedAccessToken:
    """``grants`` is what the token grants: product key to claim, without the identity."""

    token: str = field(repr=False)
    jti: str
    identity: str
    account_sid: str
    grants: dict[str, Any]
    issued_at: datetime
    expires_at: datetime

    @property
    def refresh_at(self) -> datetime:
        return self.expires_at - min(REFRESH_MARGIN, (self.expires_at - self.issued_at) / 2)


@dataclass(frozen=True)
class Offer:
    """What one user may ask for of one product.

    ``resources`` has the names for each field that takes one; ``problem`` is why no request
    for this product would succeed, or None.
    """

    grant: type[Grant]
    resources: dict[str, list[str]]
    default: str | None
    problem: TwilioTokensError | None


def issue_access_token(
    *, user: Any, grants: Sequence[Grant], ttl: int | None = None, issued_by: Any = None
) -> IssuedAccessToken:
    """Issue one Twilio Access Token to ``user``, and record it.

    ``ttl`` is in seconds, from 1 to ``TWILIO_TOKENS_MAX_TTL``; by default the longest default
    of the products. ``issued_by`` is who asked for it, where that is not ``user``. Raises a
    ``TwilioTokensError``. Inside a transaction that is rolled back afterwards the record is
    lost, and the token should not be handed out.
    """
    try:
        return _issue(user, grants, ttl, issued_by)
    except ImproperlyConfigured as error:
        unavailable: Unavailable = NotConfigured(str(error))
    except Unavailable as error:
        unavailable = error
    logger.error("No access token issued: %s", unavailable.reason)
    raise unavailable


def offers(user: Any, products: Iterable[str] | None = None) -> dict[str, Offer]:
    """What ``user`` may ask for, by product; of all products by default. Issues nothing."""
    credentials = Credentials(user)
    grants = registered()
    return {
        product: _offer(credentials, grants[product])
        for product in (grants if products is None else products)
    }


def _issue(
    user: Any, grants: Sequence[Grant], ttl: int | None, issued_by: Any
) -> IssuedAccessToken:
    _check_user(user)
    _check_grants(grants)
    seconds = _lifetime(grants, ttl)
    plan = _plan(Credentials(user), grants)
    issued = _sign(plan, seconds)
    if issued is None:
        raise SecretUnavailable(f"Signing with API key {plan.key.sid} failed.")
    if settings.audit or access_token_issued.has_listeners(IssuedToken):
        record = _record(plan, issued, issued_by)
        access_token_issued.send_robust(sender=IssuedToken, record=record)
    return issued


def _record(plan: _Plan, issued: IssuedAccessToken, issued_by: Any) -> IssuedToken:
    """The audit record, saved unless the audit is off."""
    record = IssuedToken(
        jti=issued.jti,
        user_id=plan.user.pk,
        identity=issued.identity,
        api_key=plan.key,
        grants={
            grant.product: grant.to_audit(plan.resources[grant.product]) for grant in plan.grants
        },
        issued_at=issued.issued_at,
        expires_at=issued.expires_at,
        issued_by=issued_by,
    )
    if settings.audit:
        try:
            record.save(force_insert=True)
        except DatabaseError as error:
            raise AuditUnavailable(f"The audit record was not written: {error}") from error
    return record


def _check_user(user: Any) -> None:
    if not (user and user.is_authenticated and user.is_active):
        raise NotAuthenticated


def _check_grants(grants: Sequence[Grant]) -> None:
    if not grants:
        raise InvalidGrant(_("Ask for at least one product."), code="required")
    products = [grant.product for grant in grants]
    for grant in grants:
        if registered().get(grant.product) is not type(grant):
            raise InvalidGrant(_("This product is not registered."), product=grant.product)
        if products.count(grant.product) > 1:
            raise InvalidGrant(
                _("A token has one grant of a product at most."), product=grant.product
            )
        grant.clean()


def _lifetime(grants: Sequence[Grant], ttl: int | None) -> int:
    longest = settings.max_ttl
    if ttl is None:
        defaults = settings.ttls
        return min(longest, max(defaults.get(each.product, each.default_ttl) for each in grants))
    if type(ttl) is not int:
        raise InvalidGrant(_("A valid integer is required."), field="ttl")
    if ttl < 1:
        raise InvalidGrant(
            _("Ensure this value is greater than or equal to %(min)d.") % {"min": 1},
            code="min_value",
            field="ttl",
        )
    if ttl > longest:
        raise InvalidGrant(
            _("Ensure this value is less than or equal to %(max)d.") % {"max": longest},
            code="max_value",
            field="ttl",
        )
    return ttl


class _Plan(NamedTuple):
    """A token that may be issued: all that is left is to sign it."""

    user: Any
    identity: str
    account: Account
    key: APIKey
    grants: Sequence[Grant]
    #: Product to field to resource.
    resources: Mapping[str, Mapping[str, Any]]


def _plan(credentials: Credentials, grants: Sequence[Grant]) -> _Plan:
    account, resources = _resolve(credentials, grants)
    for grant in grants:
        grant.authorize(credentials.user, resources[grant.product])
    identity = identity_for(credentials.user, [grant.product for grant in grants])
    key = credentials.signing_key(account)
    return _Plan(credentials.user, identity, account, key, grants, resources)


def _resolve(
    credentials: Credentials, grants: Sequence[Grant]
) -> tuple[Account, dict[str, dict[str, Any]]]:
    """The account that signs, and the record for each name, all of that account."""
    resources: dict[str, dict[str, Any]] = {grant.product: {} for grant in grants}
    account = credentials.tenant
    for grant in grants:
        for name in grant.resources:
            resource = resources[grant.product][name] = _named(credentials, grant, name)
            if account is None and resource is not None and name == grant.needed:
                account = resource.account
    account = account or credentials.default_account
    for grant in grants:
        if grant.needed and resources[grant.product][grant.needed] is None:
            resources[grant.product][grant.needed] = _default(credentials, grant, account)
        for resource in resources[grant.product].values():
            if resource is not None and resource.account_id != account.pk:
                raise AccountMismatch
    return account, resources


def _named(credentials: Credentials, grant: Grant, name: str) -> Any | None:
    asked_for = getattr(grant, name)
    if asked_for is None:
        return None
    resource = credentials.find(grant.resources[name], asked_for)
    if resource is None:
        raise DoesNotExist(
            _("There is no %(kind)s of this name for you.")
            % {"kind": grant.resources[name]._meta.verbose_name},
            field=name,
            product=grant.product,
        )
    return resource


def _default(credentials: Credentials, grant: Grant, account: Account) -> Any:
    assert grant.needed is not None
    model = grant.resources[grant.needed]
    resource, is_permitted = credentials.default(model, account)
    if resource is None:
        raise NotConfigured(f"Account {account.sid} has no default {model._meta.verbose_name}.")
    if not is_permitted:
        raise DoesNotExist(
            _("The default %(kind)s is not for you; name another.")
            % {"kind": model._meta.verbose_name},
            field=grant.needed,
            product=grant.product,
        )
    return resource


class _AccessToken(AccessToken):  # type: ignore[misc]
    """Twilio's class, with an own ``jti`` and with ``iat`` in place of ``nbf``.

    Twilio's error pages ask for ``iat``. An ``nbf`` would make the token invalid at first
    wherever the server's clock is fast (https://www.twilio.com/docs/api/errors/20105).
    """

    def __init__(self, *, jti: str, issued_at: int, **kwargs: Any) -> None:
        super().__init__(nbf=None, **kwargs)
        self.jti = jti
        self.issued_at = issued_at

    def _generate_payload(self) -> dict[str, Any]:
        payload: dict[str, Any] = super()._generate_payload()
        return {**payload, "jti": self.jti, "iat": self.issued_at}

    def to_jwt(self, ttl: int | None = None) -> str:
        # HS256 (RFC 7515) by the standard library. PyJWT would first parse the secret as PEM,
        # SSH, DER, X.509 and JSON, lest it be a public key; that costs more than the signature.
        signed = f"{_base64url_json(self.headers)}.{_base64url_json(self.payload)}"
        signature = hmac.digest(self.secret_key.encode(), signed.encode(), "sha256")
        return f"{signed}.{_base64url(signature)}"

    # The inherited one is the live token.
    __str__ = object.__repr__


_compact_json = json.JSONEncoder(separators=(",", ":"))


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _base64url_json(part: dict[str, Any]) -> str:
    return _base64url(_compact_json.encode(part).encode())


def _sign(plan: _Plan, seconds: int) -> IssuedAccessToken | None:
    """The token, or None where Twilio's library cannot make it.

    Its frames hold the secret, and an error report would show their variables: so no exception
    leaves with their traceback.
    """
    now = int(time.time())
    jti = token_hex(16)
    claims = [grant.to_twilio(plan.resources[grant.product]) for grant in plan.grants]
    payloads = {claim.key: claim.to_payload() for claim in claims}
    secret = unseal(plan.key.secret, row=plan.key.id, sid=plan.key.sid)
    try:
        token = _AccessToken(
            jti=jti,
            issued_at=now,
            valid_until=now + seconds,
            account_sid=plan.account.sid,
            signing_key_sid=plan.key.sid,
            secret=secret,
            identity=plan.identity,
            grants=claims,
        ).to_jwt()
    except Exception as error:  # noqa: BLE001 - whatever it is, its traceback holds the secret
        logger.error("Signing with API key %s raised %s.", plan.key.sid, type(error).__name__)
        return None
    return IssuedAccessToken(
        token=token,
        jti=jti,
        identity=plan.identity,
        account_sid=plan.account.sid,
        grants=payloads,
        issued_at=datetime.fromtimestamp(now, timezone.utc),
        expires_at=datetime.fromtimestamp(now + seconds, timezone.utc),
    )


def _offer(credentials: Credentials, grant: type[Grant]) -> Offer:
    resources: dict[str, list[str]] = {name: [] for name in grant.resources}
    default = None
    requests: list[dict[str, str]] = [{}]
    try:
        for name, model in grant.resources.items():
            resources[name] = credentials.names(model)
        if grant.needed:
            default = _default_name(credentials, grant.resources[grant.needed])
            if default is None and resources[grant.needed]:
                requests = [{grant.needed: name} for name in resources[grant.needed]]
    except (ImproperlyConfigured, NotConfigured) as error:
        return Offer(grant, resources, None, _as_problem(error))
    problem = None
    for request in requests:
        problem = _problem(credentials, grant(**request))
        if problem is None:
            break
    return Offer(grant, resources, default, problem)


def _default_name(credentials: Credentials, model: type[Any]) -> str | None:
    account = credentials.tenant
    if account is None:
        try:
            account = credentials.default_account
        except NotConfigured:
            return None
    resource, is_permitted = credentials.default(model, account)
    return resource.name if resource is not None and is_permitted else None


def _problem(credentials: Credentials, grant: Grant) -> TwilioTokensError | None:
    """Why this user cannot get this grant, whatever the room."""
    try:
        account, _resources = _resolve(credentials, [grant])
        identity_for(credentials.user, [grant.product])
        key = credentials.signing_key(account)
        check_opens(key.secret, row=key.id, sid=key.sid)
    except (ImproperlyConfigured, TwilioTokensError) as error:
        return _as_problem(error)
    return None


def _as_problem(error: ImproperlyConfigured | TwilioTokensError) -> TwilioTokensError:
    problem = NotConfigured(str(error)) if isinstance(error, ImproperlyConfigured) else error
    if isinstance(problem, Unavailable):
        logger.warning("No access token can be issued: %s", problem.reason)
    return problem
