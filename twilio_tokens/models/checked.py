"""Rows that can be checked with Twilio."""

from __future__ import annotations

from django.db import DataError, models, router, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from twilio_tokens.saving import SavesChanges


class Outcome(models.TextChoices):
    VERIFIED = "verified", _("verified")
    REFUSED = "refused", _("refused")
    UNREACHABLE = "unreachable", _("unreachable")


class Checked(SavesChanges):
    """The result of the last check with Twilio."""

    #: Where the Twilio Console lists these, in region US1; empty where the address is not known.
    console_url = ""

    checked_at = models.DateTimeField(_("last check"), null=True, editable=False)
    check_outcome = models.CharField(
        _("check result"),
        max_length=11,
        choices=Outcome.choices,
        blank=True,
        editable=False,
    )
    check_code = models.IntegerField(_("code"), null=True, editable=False)
    check_message = models.TextField(_("check message"), blank=True, editable=False)

    class Meta:
        abstract = True

    def record_check(self, outcome: str, message: str, code: int | None = None) -> None:
        """Store the result of a check, and no other field of the row."""
        result = {
            "checked_at": timezone.now(),
            "check_outcome": outcome,
            "check_message": message,
            "check_code": code,
        }
        using = router.db_for_write(type(self), instance=self)
        row = type(self)._base_manager.using(using).filter(pk=self.pk)
        try:
            with transaction.atomic(using=using):
                row.update(**result)
        except (DataError, UnicodeEncodeError):
            # Twilio's text may contain characters that this database cannot store: NUL, lone
            # surrogates, or emoji in a MariaDB table that is not utf8mb4.
            result["check_message"] = _plain(message)
            row.update(**result)
        for name, value in result.items():
            setattr(self, name, value)
        self.remember(using, result)

    def forget_check(self) -> None:
        """Called before saving credentials other than those that were checked."""
        self.checked_at = self.check_code = None
        self.check_outcome = self.check_message = ""


def _plain(text: str) -> str:
    return text.encode("ascii", "replace").decode().replace("\0", "?")
