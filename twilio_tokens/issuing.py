"""Issues tokens, and enforces every rule, whoever the caller is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from secrets import token_hex
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import Error as DatabaseError
from django.db.models import Model
from django.utils.timezone import get_default_timezone, is_naive, make_naive
from django.utils.translation import gettext_lazy as _

from . import metrics
from .conf import settings
from .credential_cache import cache
from .credentials import Credentials
from .exceptions import (
    AuditUnavailable,
    InvalidGrant,
    NotAuthenticated,
    NotConfigured,
    PermissionDenied,
    SecretUnavailable,
    SettingError,
    Unavailable,
)
from .grants import Grant, registered
from .identity import identity_for
from .models import Account, APIKey, IssuedToken
from .outcomes import Asking
from .signals import access_token_issued
from .signing import sign

if TYPE_CHECKING:
    from twilio.jwt.access_token import AccessTokenGrant

#: How long before its expiry a token should be replaced, or at half its lifetime if that is later.
#: This is before the warning of every Twilio SDK.
REFRESH_MARGIN = timedelta(seconds=300)


@dataclass(frozen=True)
class IssuedAccessToken:
    """``grants`` maps Twilio's key of each grant to its payload, without the identity."""

    token: str = field(repr=False)
    jti: str
    identity: str
    account_sid: str
    grants: dict[str, Any]
    issued_at: datetime
    expires_at: datetime

    @property
    def expires_in(self) -> int:
        return int((self.expires_at - self.issued_at).total_seconds())

    @property
    def refresh_at(self) -> datetime:
        return self.expires_at - min(REFRESH_MARGIN, (self.expires_at - self.issued_at) / 2)


def issue_access_token(
    *,
    user: AbstractBaseUser | AnonymousUser,
    grants: Sequence[Grant],
    ttl: int | None = None,
    issued_by: AbstractBaseUser | None = None,
) -> IssuedAccessToken:
    """Issue one Twilio Access Token to ``user``, and record it.

    ``ttl`` is in seconds, from 1 to ``TWILIO_TOKENS_MAX_TTL``; the default is the longest default
    of the products. ``issued_by`` is who requested the token, if that is not ``user``. Raises a
    ``TwilioTokensError``. If a surrounding transaction is rolled back, the record is lost, and you
    should not hand out the token.
    """
    asking = Asking(user, [grant.product for grant in grants or ()])
    try:
        issued, key = _issue_or_log(user, grants, ttl, issued_by)
    except Exception as error:
        asking.failed(error)
        raise
    asking.issued(issued, key)
    return issued


def _issue_or_log(
    user: AbstractBaseUser | AnonymousUser,
    grants: Sequence[Grant],
    ttl: int | None,
    issued_by: AbstractBaseUser | None,
) -> tuple[IssuedAccessToken, APIKey]:
    """The token, and the key that signed it. Logs why the site cannot issue tokens."""
    try:
        return _issue(user, grants, ttl, issued_by)
    except DatabaseError as error:
        unavailable: Unavailable = NotConfigured.due_to(error)
    except SettingError as error:
        # A SettingError's text is its reason, which a view of the site might show.
        unavailable = NotConfigured(error.lazy_reason)
        unavailable.__cause__ = error.__cause__
    except Unavailable as error:
        unavailable = error
    if isinstance(unavailable, (SecretUnavailable, AuditUnavailable)):
        # Another process may have deleted or re-encrypted what this one has cached.
        cache.clear()
    unavailable.log()
    raise unavailable


async def aissue_access_token(
    *,
    user: AbstractBaseUser | AnonymousUser,
    grants: Sequence[Grant],
    ttl: int | None = None,
    issued_by: AbstractBaseUser | None = None,
) -> IssuedAccessToken:
    """``issue_access_token`` for async code."""
    return await sync_to_async(issue_access_token)(
        user=user, grants=grants, ttl=ttl, issued_by=issued_by
    )


def _issue(
    user: AbstractBaseUser | AnonymousUser,
    grants: Sequence[Grant],
    ttl: int | None,
    issued_by: AbstractBaseUser | None,
) -> tuple[IssuedAccessToken, APIKey]:
    credentials = Credentials(_signed_in(user))
    if issued_by is not None and not isinstance(issued_by, get_user_model()):
        raise NotConfigured(_("“issued_by” should be a user or None."))
    _check_grants(grants)
    seconds = _lifetime(grants, ttl)
    plan = _plan(credentials, grants)
    issued = _sign(plan, seconds)
    if settings.audit or access_token_issued.has_listeners(IssuedToken):
        record = _record(plan, issued, issued_by)
        access_token_issued.send_robust(sender=IssuedToken, record=record)
    return issued, plan.key


def _record(
    plan: _Plan, issued: IssuedAccessToken, issued_by: AbstractBaseUser | None
) -> IssuedToken:
    """The audit record, saved unless the audit is off."""
    record = IssuedToken(
        jti=issued.jti,
        user_id=plan.user.pk,
        identity=issued.identity,
        api_key=plan.key,
        grants={
            grant.product: grant.to_audit(granted.to_payload())
            for grant, granted in zip(plan.grants, plan.twilio_grants, strict=True)
        },
        issued_at=_for_database(issued.issued_at),
        expires_at=_for_database(issued.expires_at),
        issued_by=issued_by,  # type: ignore[misc]  # the user model may be custom
    )
    if settings.audit:
        try:
            record.save(force_insert=True)
        except Exception as error:  # the database's, or a receiver's: no record, no token
            raise AuditUnavailable(
                _("The audit record was not written: {error}."), error=type(error).__name__
            ) from error
    return record


def _for_database(moment: datetime) -> datetime:
    """Without ``USE_TZ``, databases accept only times in the site's own time zone."""
    return moment if django_settings.USE_TZ else make_naive(moment, get_default_timezone())


def _signed_in(user: AbstractBaseUser | AnonymousUser) -> AbstractBaseUser:
    # With another model, the record and the throttle would use the user with the same primary key.
    is_other_model = isinstance(user, Model) and not isinstance(user, get_user_model())
    if is_other_model or not (
        getattr(user, "is_authenticated", False)
        and getattr(user, "is_active", False)
        and getattr(user, "pk", None) is not None
    ):
        raise NotAuthenticated
    return cast("AbstractBaseUser", user)


def _check_grants(grants: Sequence[Grant]) -> None:
    if not grants:
        raise InvalidGrant(_("Request at least one product."), code="required")
    known = registered()
    products = [grant.product for grant in grants]
    for grant in grants:
        if known.get(grant.product) is not type(grant):
            raise InvalidGrant(_("This product is not registered."), product=grant.product)
        if products.count(grant.product) > 1:
            raise InvalidGrant(_("Request each product only once."), product=grant.product)
        grant.clean()


def _lifetime(grants: Sequence[Grant], ttl: int | None) -> int:
    longest = settings.max_ttl
    if ttl is None:
        return min(longest, max(each.lifetime() for each in grants))
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
    """A token that may be issued and only needs to be signed."""

    user: AbstractBaseUser
    identity: str
    account: Account
    key: APIKey
    grants: Sequence[Grant]
    #: The grants as Twilio's library represents them.
    twilio_grants: Sequence[AccessTokenGrant]
    #: When permissions end.
    ends: Sequence[datetime]


def _plan(credentials: Credentials, grants: Sequence[Grant]) -> _Plan:
    user = credentials.user
    account, resources = credentials.resolve(grants)
    answers = [grant.authorize(user, resources[grant.product]) for grant in grants]
    ends = [end for end in answers if end is not None]
    twilio_grants = [grant.to_twilio(user, resources[grant.product]) for grant in grants]
    if len({each.key for each in twilio_grants}) < len(twilio_grants):
        raise InvalidGrant(
            _("Two of these products use the same Twilio grant. Request only one of them.")
        )
    if any(map(is_naive, ends)):
        raise NotConfigured(
            _("A grant's authorize() method returned a datetime without a time zone.")
        )
    identity = identity_for(user, grants)
    key = credentials.signing_key(account)
    return _Plan(user, identity, account, key, grants, twilio_grants, ends)


def _sign(plan: _Plan, seconds: int) -> IssuedAccessToken:
    issued_at = int(time.time())
    expires_at = issued_at + seconds
    if plan.ends:
        expires_at = min(expires_at, *(int(end.timestamp()) for end in plan.ends))
    if expires_at <= issued_at:
        raise PermissionDenied(_("Your permission has ended."))
    jti = token_hex(16)
    started = time.perf_counter()
    token = sign(
        plan.key,
        jti=jti,
        issued_at=issued_at,
        expires_at=expires_at,
        account_sid=plan.account.sid,
        identity=plan.identity,
        grants=plan.twilio_grants,
    )
    metrics.signed(time.perf_counter() - started)
    if token is None:
        message = _("Signing with API key {key} failed. The log says why.")
        raise SecretUnavailable(message, key=plan.key.sid)
    return IssuedAccessToken(
        token=token,
        jti=jti,
        identity=plan.identity,
        account_sid=plan.account.sid,
        grants={each.key: each.to_payload() for each in plan.twilio_grants},
        issued_at=datetime.fromtimestamp(issued_at, timezone.utc),
        expires_at=datetime.fromtimestamp(expires_at, timezone.utc),
    )
