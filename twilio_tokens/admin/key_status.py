"""What admins need to know about an API key: does it sign, who uses it, can it be deleted."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery, TextChoices, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from twilio_tokens.conf import LONGEST_TTL, settings
from twilio_tokens.crypto import Sealed, check_opens, load_key_ring
from twilio_tokens.exceptions import EncryptionKeyError, SecretUnavailable, SettingError
from twilio_tokens.models import NEWEST_FIRST, APIKey, IssuedToken

#: How far the clocks of a site's servers may differ.
CLOCKS_APART = timedelta(minutes=5)


class Status(TextChoices):
    SIGNING = "signing", _("signing")
    STANDBY = "standby", _("standby")
    RETIRED = "retired", _("retired")
    UNREADABLE = "unreadable", _("secret unreadable")


def with_last_expiry(keys: QuerySet[APIKey]) -> QuerySet[APIKey]:
    """Adds ``last_expiry``, the latest expiry of the tokens that a key has signed."""
    issued = IssuedToken.objects.filter(api_key=OuterRef("pk")).order_by("-expires_at")
    return keys.annotate(last_expiry=Subquery(issued.values("expires_at")[:1]))


#: What ``with_usage`` adds to a key.
USAGE = ("last_expiry", "last_used", "live_tokens", "signing_id")


def with_usage(keys: QuerySet[APIKey]) -> QuerySet[APIKey]:
    """Adds ``USAGE``.

    Use it for the few keys of a page: databases compute this before they sort and limit the rows.
    """
    issued = IssuedToken.objects.filter(api_key=OuterRef("pk")).order_by()
    live = issued.live().values("api_key").annotate(count=Count("pk")).values("count")
    signing = APIKey.objects.filter(account=OuterRef("account"), is_active=True)
    return with_last_expiry(keys).annotate(
        signing_id=Subquery(signing.order_by(*NEWEST_FIRST).values("pk")[:1]),
        last_used=Subquery(issued.order_by("-issued_at").values("issued_at")[:1]),
        live_tokens=Coalesce(Subquery(live, output_field=IntegerField()), Value(0)),
    )


def status(key: APIKey) -> Status:
    """The status of a key from ``with_usage``."""
    if not key.is_active:
        return Status.RETIRED
    if secret_problem(key) is not None:
        return Status.UNREADABLE
    return Status.SIGNING if key.pk == key.signing_id else Status.STANDBY  # type: ignore[attr-defined]


def secret_problem(key: APIKey) -> str | None:
    """Why the secret cannot be read, judged by the encryption key's id without decrypting."""
    try:
        ring = load_key_ring()
    except EncryptionKeyError as error:
        return error.reason
    if not isinstance(key.secret, Sealed) or key.secret.key_id is None:
        return str(_("The stored secret is damaged."))
    if key.secret.key_id not in ring:
        return str(_("Its encryption key is not in TWILIO_TOKENS_ENCRYPTION_KEYS."))
    return None


def opens(key: APIKey) -> bool:
    """Whether the secret can be read, found out by decrypting it."""
    if not isinstance(key.secret, Sealed):  # someone changed the table
        return False
    try:
        check_opens(key.secret, row=key.id, sid=key.sid)
    except SecretUnavailable:
        return False
    return True


def safe_to_delete_at(key: APIKey) -> datetime | None:
    """The moment from which no token of a retired key can be valid. Needs ``last_expiry``.

    None for a key that may still sign, and for one that was retired at an unknown time.

    The audit alone cannot tell: it may have been off for a while or in one process, and
    TWILIO_TOKENS_MAX_TTL may have been lowered since. So Twilio's own limit applies, to a token
    signed just before the last process learned of the retirement.
    """
    if key.is_active or key.retired_at is None:
        return None
    known_to_all = key.retired_at + timedelta(seconds=_longest_memory()) + CLOCKS_APART
    last_expiry: datetime | None = key.last_expiry  # type: ignore[attr-defined]
    longest = known_to_all + timedelta(seconds=LONGEST_TTL)
    return max(longest, last_expiry or longest)


def is_safe_to_delete(key: APIKey) -> bool:
    moment = safe_to_delete_at(key)
    return moment is not None and moment <= timezone.now()


def is_audited() -> bool:
    try:
        return settings.audit
    except SettingError:  # in which case no token is issued either
        return False


def _longest_memory() -> float:
    """Seconds for which a process may keep using a retired key."""
    try:
        return settings.credential_cache_seconds
    except SettingError:
        return LONGEST_TTL
