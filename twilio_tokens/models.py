"""What admins keep: accounts, API keys, services, apps; and the record of issued tokens."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DataError, models, router, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from . import sids
from .crypto import Sealed
from .defaults import WithDefault
from .fields import NameField, SealedField, SIDField, SlugNameField
from .saving import SavesChanges

REGION_REFUSED = _(
    "Access Tokens for Video work only with an API key of region US1, and the region of a key "
    "cannot be changed. Make a key with region US1 in the Twilio Console and add that one."
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


class Outcome(models.TextChoices):
    VERIFIED = "verified", _("verified")
    REFUSED = "refused", _("refused")
    UNREACHABLE = "unreachable", _("unreachable")


class Checked(SavesChanges):
    """What Twilio said of a row when it was asked last."""

    checked_at = models.DateTimeField(_("last check"), null=True, editable=False)
    check_outcome = models.CharField(
        _("outcome of the check"),
        max_length=11,
        choices=Outcome.choices,
        blank=True,
        editable=False,
    )
    check_code = models.IntegerField(_("code"), null=True, editable=False)
    check_message = models.TextField(_("what was found"), blank=True, editable=False)

    class Meta:
        abstract = True

    def record_check(self, outcome: str, message: str, code: int | None = None) -> None:
        """Store a check's result, and nothing else of the row."""
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
            # Twilio's text may have characters for which this database has no room: NUL, lone
            # surrogates, emoji in a MariaDB table that is not utf8mb4.
            result["check_message"] = _plain(message)
            row.update(**result)
        for name, value in result.items():
            setattr(self, name, value)
        self.remember(using, result)

    def forget_check(self) -> None:
        """For what is about to be saved with other credentials than were checked."""
        self.checked_at = self.check_code = None
        self.check_outcome = self.check_message = ""


class Account(WithDefault):
    unchangeable = ("sid",)

    name = NameField(_("name"), max_length=100, help_text=_("For your own reference."))
    sid = SIDField(
        _("Account SID"),
        kind=sids.ACCOUNT,
        unique=True,
        help_text=_(
            "Starts with AC. Twilio Console: the start page of the account, under “Account Info”."
        ),
    )

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["default_marker"], name="twilio_tokens_account_default")
        ]

    def __str__(self) -> str:
        return str(self.name)

    def clean(self) -> None:
        super().clean()
        self._refuse_to_leave_none(router.db_for_write(type(self), instance=self))

    def _settle_default(self, using: str, names: set[str] | None) -> set[str] | None:
        if self._state.adding and not self._alike(using).exists():
            self.is_default = True
        if names is None or "is_default" in names:
            self._refuse_to_leave_none(using)
        return super()._settle_default(using, names)

    def _refuse_to_leave_none(self, using: str) -> None:
        if not self.is_default and self._alike(using).filter(pk=self.pk, is_default=True).exists():
            message = _(
                "One account must be the default. Make another one the default instead; this one "
                "then stops being it."
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


#: The id breaks the tie of two keys made in one microsecond.
NEWEST_FIRST = ("-created_at", "-id")


class APIKey(Checked):
    # What was signed and sealed under a SID stays true of it: a new SID is a new row.
    unchangeable = ("sid", "account_id")

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
            "Starts with SK. Twilio Console: Account → API keys & tokens → Create API key, of type "
            "Main or Standard. A Restricted key cannot sign Access Tokens."
        ),
    )
    region = models.CharField(
        _("region"),
        max_length=8,
        choices=Region.choices,
        validators=[validate_region],
        help_text=_(
            "The region that was chosen when the key was made. Only keys of US1 can be used; the "
            "SID does not tell the region."
        ),
    )
    secret = SealedField(
        _("secret"),
        help_text=_(
            "Shown once by the Twilio Console, when the key is made. It is stored encrypted and "
            "never shown again."
        ),
    )
    is_active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_("The newest active key of an account signs its Access Tokens."),
    )
    retired_at = models.DateTimeField(_("retired"), null=True, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = APIKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["account", *NEWEST_FIRST]
        permissions = [("verify_credentials", _("Can check credentials with Twilio"))]
        constraints = [
            models.CheckConstraint(
                condition=Q(region=Region.US1),
                name="twilio_tokens_apikey_region",
                violation_error_message=REGION_REFUSED,
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.sid})"

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Any:
        row = super().from_db(*args, **kwargs)
        # A table that somebody changed may hold NULL, which opens as little as a damaged text.
        if vars(row).get("secret", row) is None:
            row.secret = Sealed("")
            row.note_stored({"secret": row.secret})
        return row

    def save(
        self,
        *,
        force_insert: Any = False,
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
        super().save(
            force_insert=force_insert, force_update=force_update, using=using, update_fields=names
        )

    def _refuse_changes(self, using: str, names: Collection[str] | None = None) -> None:
        # A new secret is encrypted for this SID, whether the SID is saved or not.
        super()._refuse_changes(using, None if names and "secret" in names else names)

    def _note_retirement(self) -> None:
        if self.is_active:
            self.retired_at = None
        elif self.retired_at is None:
            self.retired_at = timezone.now()

    def refuse_secret_of_another_row(self, using: str) -> None:
        """It would be stored, and open to nothing, without a word."""
        changed = self.changed_fields(using)
        field: Any = self._meta.get_field("secret")
        if (changed is None or "secret" in changed) and field.is_of_another_row(self):
            message = _("This secret is encrypted for another API key. Type it in again.")
            raise ValidationError({"secret": ValidationError(message, code="another_row")})


class Resource(Checked):
    """What a grant names. Clients use the name, so that they work unchanged where SIDs differ."""

    account = models.ForeignKey(
        Account, models.CASCADE, related_name="%(class)ss", verbose_name=_("account")
    )
    name = SlugNameField(
        _("name"),
        unique=True,
        help_text=_(
            "What clients ask for. Keep it the same on staging and in production, where the SIDs "
            "differ."
        ),
    )
    friendly_name = models.CharField(
        _("name at Twilio"), max_length=255, blank=True, editable=False
    )

    class Meta:
        abstract = True
        ordering = ["name"]

    def __str__(self) -> str:
        return str(self.name)


class RestrictedResource(WithDefault, Resource):
    default_within = ("account",)

    groups = models.ManyToManyField(
        "auth.Group",
        blank=True,
        related_name="+",
        verbose_name=_("groups"),
        help_text=_(
            "Only members may use it; superusers, too, must be members. None chosen: every "
            "signed-in user may."
        ),
    )

    class Meta(Resource.Meta):
        abstract = True
        constraints = [
            models.UniqueConstraint(
                fields=["account", "default_marker"], name="%(app_label)s_%(class)s_default"
            )
        ]

    def _queue(self, using: str) -> models.QuerySet[Any]:
        return Account._base_manager.using(using).filter(pk=self.account_id)


class ChatService(RestrictedResource):
    sid = SIDField(
        _("Chat Service SID"),
        kind=sids.CHAT_SERVICE,
        help_text=_("Starts with IS. Twilio Console: Conversations → Manage → Services."),
    )

    class Meta(RestrictedResource.Meta):
        verbose_name = _("Chat service")
        verbose_name_plural = _("Chat services")


class TwiMLApp(RestrictedResource):
    sid = SIDField(
        _("TwiML App SID"),
        kind=sids.TWIML_APP,
        help_text=_("Starts with AP. Twilio Console: Voice → Manage → TwiML apps."),
    )
    allow_incoming = models.BooleanField(
        _("allow incoming calls"),
        default=False,
        help_text=_("Whether users of this app may also be called."),
    )

    class Meta(RestrictedResource.Meta):
        verbose_name = _("TwiML app")
        verbose_name_plural = _("TwiML apps")


class PushCredential(Resource):
    class Platform(models.TextChoices):
        APN = "apn", _("Apple (APN)")
        FCM = "fcm", _("Firebase (FCM)")

    sid = SIDField(
        _("push credential SID"),
        kind=sids.PUSH_CREDENTIAL,
        help_text=_("Starts with CR. Twilio Console: Account → Credentials → Push credentials."),
    )
    platform = models.CharField(_("platform"), max_length=3, choices=Platform.choices)

    class Meta(Resource.Meta):
        verbose_name = _("push credential")
        verbose_name_plural = _("push credentials")


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
        db_index=False,  # the index on key and expiry serves it
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
        help_text=_("The member of staff who made it in the admin, for a test."),
    )

    objects = IssuedTokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("issued token")
        verbose_name_plural = _("issued tokens")
        ordering = ["-issued_at", "-id"]
        permissions = [("issue_test_token", _("Can issue a test token for any user"))]
        indexes = [
            models.Index(fields=["api_key", "expires_at"], name="twilio_tokens_issued_live"),
            models.Index(fields=["api_key", "issued_at"], name="twilio_tokens_issued_used"),
        ]

    def __str__(self) -> str:
        return self.jti


def _plain(text: str) -> str:
    return text.encode("ascii", "replace").decode().replace("\0", "?")
