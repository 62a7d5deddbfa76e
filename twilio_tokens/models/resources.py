"""What a grant names: services, apps, workspaces, push credentials."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from twilio_tokens import sids
from twilio_tokens.defaults import WithDefault
from twilio_tokens.fields import SIDField, SlugNameField

from .accounts import Account
from .checked import Checked


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


class ResourceWithDefault(WithDefault, Resource):
    """One row of an account may be the default, for who names none."""

    default_within: tuple[str, ...] = ("account",)

    class Meta(Resource.Meta):
        abstract = True
        constraints = [
            models.UniqueConstraint(
                fields=["account", "default_marker"], name="%(app_label)s_%(class)s_default"
            )
        ]

    def _queue(self, using: str) -> models.QuerySet[Any]:
        return Account._base_manager.using(using).filter(pk=self.account_id)


class RestrictedResource(ResourceWithDefault):
    """The members of ``groups`` may use it; without groups, everyone."""

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

    class Meta(ResourceWithDefault.Meta):
        abstract = True


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


class PushCredential(ResourceWithDefault):
    class Platform(models.TextChoices):
        APN = "apn", _("Apple (APN)")
        FCM = "fcm", _("Firebase (FCM)")

    default_within = ("account", "platform", "sandbox")

    sid = SIDField(
        _("push credential SID"),
        kind=sids.PUSH_CREDENTIAL,
        help_text=_("Starts with CR. Twilio Console: Account → Credentials → Push credentials."),
    )
    platform = models.CharField(_("platform"), max_length=3, choices=Platform.choices)
    sandbox = models.BooleanField(
        _("sandbox"),
        default=False,
        help_text=_("For development builds of an iOS app, which Apple serves from its sandbox."),
    )

    class Meta(Resource.Meta):
        verbose_name = _("push credential")
        verbose_name_plural = _("push credentials")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "platform", "sandbox", "default_marker"],
                name="twilio_tokens_pushcredential_default",
            )
        ]

    def clean(self) -> None:
        super().clean()
        if self.sandbox and self.platform != self.Platform.APN:
            message = _("Only Apple's push service has a sandbox.")
            raise ValidationError({"sandbox": ValidationError(message, code="no_sandbox")})


class SyncService(RestrictedResource):
    sid = SIDField(
        _("Sync Service SID"),
        kind=sids.SYNC_SERVICE,
        help_text=_("Starts with IS. Twilio Console: Sync → Services."),
    )

    class Meta(RestrictedResource.Meta):
        verbose_name = _("Sync service")
        verbose_name_plural = _("Sync services")


class Workspace(RestrictedResource):
    sid = SIDField(
        _("Workspace SID"),
        kind=sids.WORKSPACE,
        help_text=_("Starts with WS. Twilio Console: TaskRouter → Workspaces."),
    )

    class Meta(RestrictedResource.Meta):
        verbose_name = _("TaskRouter workspace")
        verbose_name_plural = _("TaskRouter workspaces")
