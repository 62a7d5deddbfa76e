"""What an operator wants to know of an API key: does it sign, who uses it, may it go."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery, TextChoices, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .conf import settings
from .crypto import load_key_ring
from .exceptions import EncryptionKeyError
from .models import NEWEST_FIRST, APIKey, IssuedToken


class Status(TextChoices):
    SIGNING = "signing", _("signing")
    STANDBY = "standby", _("standby")
    RETIRED = "retired", _("retired")
    UNREADABLE = "unreadable", _("secret unreadable")


def with_last_expiry(keys: QuerySet[APIKey]) -> QuerySet[APIKey]:
    """Adds ``last_expiry``, of the tokens that a key has signed."""
    issued = IssuedToken.objects.filter(api_key=OuterRef("pk")).order_by("-expires_at")
    return keys.annotate(last_expiry=Subquery(issued.values("expires_at")[:1]))


def with_usage(keys: QuerySet[APIKey]) -> QuerySet[APIKey]:
    """Adds ``last_expiry``, ``last_used``, ``live_tokens`` and ``signing_id``.

    For the few keys of a page: databases work it out before they sort and cut off the rest.
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
    """Of a key from ``with_usage``."""
    if not key.is_active:
        return Status.RETIRED
    if secret_problem(key) is not None:
        return Status.UNREADABLE
    return Status.SIGNING if key.pk == key.signing_id else Status.STANDBY  # type: ignore[attr-defined]


def secret_problem(key: APIKey) -> str | None:
    """Why the secret cannot be read, told from the encryption key's id: nothing is opened."""
    try:
        ring = load_key_ring()
    except EncryptionKeyError as error:
        return error.reason
    if key.secret.key_id is None:
        return str(_("The stored text is damaged."))
    if key.secret.key_id not in ring:
        return str(_("Its encryption key is not in TWILIO_TOKENS_ENCRYPTION_KEYS."))
    return None


def safe_to_delete_at(key: APIKey) -> datetime | None:
    """When the last token of a retired key has expired; None for others. Needs ``last_expiry``.

    Told by the audit. Without it, by the longest life of a token signed just before every
    process had heard of the retirement.
    """
    if key.is_active:
        return None
    retired_at = key.retired_at or key.updated_at
    known_to_all = retired_at + timedelta(seconds=settings.credential_cache_seconds)
    if not settings.audit:
        return known_to_all + timedelta(seconds=settings.max_ttl)
    last_expiry: datetime | None = key.last_expiry  # type: ignore[attr-defined]
    return max(known_to_all, last_expiry or known_to_all)


def is_safe_to_delete(key: APIKey) -> bool:
    moment = safe_to_delete_at(key)
    return moment is not None and moment <= timezone.now()
