"""The audit of issued tokens."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from twilio_tokens.saving import SavesChanges

from .accounts import APIKey


class IssuedTokenQuerySet(models.QuerySet["IssuedToken"]):
    def live(self, now: datetime | None = None) -> IssuedTokenQuerySet:
        return self.filter(expires_at__gt=now or timezone.now())


class IssuedToken(SavesChanges):
    """The audit record of one token. It never holds the token itself."""

    jti = models.CharField(_("token ID (jti)"), max_length=64, unique=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("user"),
    )
    identity = models.CharField(_("identity"), max_length=256, db_index=True)
    api_key = models.ForeignKey(
        APIKey,
        models.PROTECT,
        related_name="issued_tokens",
        db_index=False,  # the index on key and expiry covers it
        verbose_name=_("API key"),
    )
    grants = models.JSONField(_("grants"))
    issued_at = models.DateTimeField(_("issued"), db_index=True)
    expires_at = models.DateTimeField(_("expires"), db_index=True)
    issued_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("issued by"),
        help_text=_("Who requested it, if not the user: staff who test or act for the user."),
    )

    objects = IssuedTokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("issued token")
        verbose_name_plural = _("issued tokens")
        ordering = ["-issued_at", "-id"]
        permissions = [("issue_test_token", _("Can issue test tokens that act as another user"))]
        indexes = [
            models.Index(fields=["api_key", "expires_at"], name="twilio_tokens_issued_live"),
            models.Index(fields=["api_key", "issued_at"], name="twilio_tokens_issued_used"),
        ]

    def __str__(self) -> str:
        return self.jti
