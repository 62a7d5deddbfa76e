"""Counts of tokens and refusals. They are small, so they outlive the records they count."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import models, router
from django.db.models import Case, F, IntegerField, Value, When
from django.utils.translation import gettext_lazy as _

from twilio_tokens.saving import savepoint


def number_of(field: str, ends: Sequence[datetime]) -> Case:
    """The number of the period that contains the field's moment; ``ends`` are in order.

    The databases' own functions need time zone tables, which MariaDB does not always have.
    """
    whens = [When(**{f"{field}__lt": end}, then=Value(n)) for n, end in enumerate(ends)]
    return Case(*whens, output_field=IntegerField())


class HourlyCountQuerySet(models.QuerySet["HourlyCount"]):
    def add(self, hour: datetime, product: str, code: str, count: int) -> None:
        """Correct under concurrent calls, and without holding a lock."""
        using = router.db_for_write(self.model)
        rows = self.using(using).filter(hour=hour, product=product, code=code)
        more = {"count": F("count") + count}
        with savepoint(using):
            if rows.update(**more):
                return
            none = HourlyCount(hour=hour, product=product, code=code, count=0)
            self.using(using).bulk_create([none], ignore_conflicts=True)
            rows.update(**more)


class HourlyCount(models.Model):
    """How many tokens were issued or refused in one hour.

    A token for three products counts once for each of them, and once for the product ``""``, which
    stands for all products.
    """

    hour = models.DateTimeField(_("start of the hour"))
    product = models.CharField(_("product"), max_length=200, blank=True)
    code = models.CharField(
        _("refusal code"), max_length=64, blank=True, help_text=_("Empty for issued tokens.")
    )
    count = models.PositiveBigIntegerField(_("count"))

    objects = HourlyCountQuerySet.as_manager()

    class Meta:
        verbose_name = _("hourly count")
        verbose_name_plural = _("hourly counts")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["hour", "product", "code"], name="twilio_tokens_hourlycount_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:%M} {self.product} {self.code}: {self.count}"


class Kind(models.TextChoices):
    USER = "user", _("user")
    ROOM = "room", _("room")


class BusiestOfDay(models.Model):
    """A user (by identity) or a room that had the most tokens on a day."""

    day = models.DateField(_("day"), db_index=True)
    kind = models.CharField(_("kind"), max_length=4, choices=Kind.choices)
    name = models.CharField(_("name"), max_length=256)
    count = models.PositiveBigIntegerField(_("count"))

    class Meta:
        verbose_name = _("busiest user or room of a day")
        verbose_name_plural = _("busiest users and rooms by day")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.day} {self.kind}: {self.count}"


class RollUp(models.Model):
    """The moment up to which issued tokens are counted. There is one row."""

    counted_until = models.DateTimeField(_("counted until"))

    class Meta:
        verbose_name = _("roll-up")
        verbose_name_plural = _("roll-ups")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.counted_until:%Y-%m-%d %H:%M}"
