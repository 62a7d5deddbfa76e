"""Accounts, and the API keys that sign for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.db.models import Q
from django.db.models.base import ModelBase
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from twilio_tokens import sids
from twilio_tokens.characters import visible
from twilio_tokens.crypto import Sealed
from twilio_tokens.defaults import WithDefault
from twilio_tokens.fields import NameField, SealedField, SIDField

from .checked import Checked

if TYPE_CHECKING:
    from typing_extensions import Self

#: Start of the Twilio Console's addresses. Twilio itself fills in the account.
CONSOLE = "https://1console.twilio.com/go?to=/account/__account__"

REGION_REFUSED = _(
    "Access Tokens for Video need an API key from region US1, and the region of a key cannot be "
    "changed. Create a key in region US1 in the Twilio Console and add that one."
)


class Region(models.TextChoices):
    US1 = "us1", _("United States (US1)")
    IE1 = "ie1", _("Ireland (IE1)")
    AU1 = "au1", _("Australia (AU1)")
    BR1 = "br1", _("Brazil (BR1)")
    DE1 = "de1", _("Germany (DE1)")
    IN1 = "in1", _("India (IN1)")
    JP1 = "jp1", _("Japan (JP1)")
    SG1 = "sg1", _("Singapore (SG1)")


def validate_region(value: str) -> None:
    if value != Region.US1:
        raise ValidationError(REGION_REFUSED, code="region")


class Account(WithDefault):
    unchangeable = ("sid",)

    name = NameField(_("name"), max_length=100, help_text=_("For your own reference."))
    sid = SIDField(
        _("Account SID"),
        kind=sids.ACCOUNT,
        unique=True,
        help_text=_("Starts with AC. Twilio Console: the account's start page, “Account Info”."),
    )

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["default_marker"], name="twilio_tokens_account_default")
        ]

    def __str__(self) -> str:
        return visible(str(self.name))

    def clean(self) -> None:
        super().clean()
        self._refuse_to_leave_none(router.db_for_write(type(self), instance=self))

    def _settle_default(self, using: str, names: set[str] | None) -> set[str] | None:
        if self._state.adding and not self.alike(using).exists():
            self.is_default = True
        if names is None or "is_default" in names:
            self._refuse_to_leave_none(using)
        return super()._settle_default(using, names)

    def _refuse_to_leave_none(self, using: str) -> None:
        if not self.is_default and self.alike(using).filter(pk=self.pk, is_default=True).exists():
            message = _(
                "One account must be the default. To change that, make another account the default."
            )
            raise ValidationError({"is_default": ValidationError(message, code="last_default")})


class APIKeyQuerySet(models.QuerySet["APIKey"]):
    def bulk_create(self, objs: Iterable[APIKey], *args: Any, **kwargs: Any) -> list[APIKey]:
        keys = list(objs)
        for key in keys:
            key.refuse_secret_of_another_row(self.db)
        return super().bulk_create(keys, *args, **kwargs)

    def newest_active(self, account_id: int) -> APIKey | None:
        return self.filter(account_id=account_id, is_active=True).order_by(*NEWEST_FIRST).first()


#: The id breaks the tie between two keys created in the same microsecond.
NEWEST_FIRST = ("-created_at", "-id")


class APIKey(Checked):
    # Tokens were signed and the secret was sealed under this SID: a new SID is a new row.
    unchangeable = ("sid", "account_id")
    console_url = f"{CONSOLE}/settings/us1/api-keys/list"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    account = models.ForeignKey(
        Account, models.CASCADE, related_name="api_keys", verbose_name=_("account")
    )
    name = NameField(_("name"), max_length=100, help_text=_("For your own reference."))
    sid = SIDField(
        _("API key SID"),
        kind=sids.API_KEY,
        unique=True,
        help_text=_(
            "Starts with SK. Twilio Console: Settings → Account settings → API keys & auth tokens. "
            "Choose region US1 first, then create a key of type Standard. A Restricted key cannot "
            "sign Access Tokens."
        ),
    )
    region = models.CharField(
        _("region"),
        max_length=8,
        choices=Region.choices,
        validators=[validate_region],
        help_text=_(
            "The region you chose when you created the key. Only keys from US1 work here. The SID "
            "does not show the region."
        ),
    )
    secret = SealedField(
        _("secret"),
        help_text=_(
            "The Twilio Console shows it once, when you create the key. It is stored encrypted and "
            "never shown again."
        ),
    )
    is_active = models.BooleanField(
        pgettext_lazy("API key", "active"),
        default=True,
        help_text=_("The newest active key of an account signs all of its Access Tokens."),
    )
    retired_at = models.DateTimeField(pgettext_lazy("date", "retired"), null=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = APIKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["account", *NEWEST_FIRST]
        permissions = [("verify_credentials", _("Can check credentials with Twilio"))]
        indexes = [
            # Without is_active: only PostgreSQL would use it the way Django writes the query, and
            # the newest active key is among the newest keys.
            models.Index(fields=["account", "created_at", "id"], name="twilio_tokens_apikey_newest")
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(region=Region.US1),
                name="twilio_tokens_apikey_region",
                violation_error_message=REGION_REFUSED,
            )
        ]

    def __str__(self) -> str:
        return visible(f"{self.name} ({self.sid})")

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        row = super().from_db(*args, **kwargs)
        # Someone may have changed the table by hand. NULL, like a damaged text, does not open.
        if vars(row).get("secret", row) is None:
            row.secret = Sealed("")
            row.note_stored({"secret": row.secret})
        return row

    def save(
        self,
        *,
        force_insert: bool | tuple[ModelBase, ...] = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        using = using or router.db_for_write(type(self), instance=self)
        self.refuse_secret_of_another_row(using)
        names = None if update_fields is None else set(update_fields)
        if names is None and not force_insert:
            names = self.changed_fields(using)
        if names is None or "is_active" in names:
            self._note_retirement()
            names = names and names | {"retired_at"}
        save = partial(
            super().save,
            force_insert=force_insert,
            force_update=force_update,
            using=using,
            update_fields=names,
        )
        if not self._state.adding:
            save()
            return
        with transaction.atomic(using=using):
            save()
            self._come_last(using)

    def _come_last(self, using: str) -> None:
        """The newest key signs, even if the clock was fast when an earlier key was added."""
        keys = APIKey._base_manager.using(using)
        others = keys.filter(account_id=self.account_id).exclude(pk=self.pk)
        newest = others.aggregate(newest=models.Max("created_at"))["newest"]
        if newest is not None and newest >= self.created_at:
            self.created_at = newest + timedelta(microseconds=1)
            keys.filter(pk=self.pk).update(created_at=self.created_at)
            noted = partial(self.note_stored, {"created_at": self.created_at})
            transaction.on_commit(noted, using=using)

    def _refuse_changes(self, using: str, names: Collection[str] | None = None) -> None:
        # A new secret is encrypted for this SID, even if this save leaves the SID out.
        super()._refuse_changes(using, None if names and "secret" in names else names)

    def _note_retirement(self) -> None:
        if self.is_active:
            self.retired_at = None
        elif self.retired_at is None:
            self.retired_at = timezone.now()

    def refuse_secret_of_another_row(self, using: str) -> None:
        """Otherwise it would be stored silently, and could never be opened."""
        changed = self.changed_fields(using)
        field: Any = self._meta.get_field("secret")
        if (changed is None or "secret" in changed) and field.is_of_another_row(self):
            message = _("This secret is encrypted for another API key. Enter it again.")
            raise ValidationError({"secret": ValidationError(message, code="another_row")})
