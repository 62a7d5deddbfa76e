"""What a grant names: services, apps, workspaces, push credentials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from twilio_tokens import sids
from twilio_tokens.characters import visible
from twilio_tokens.defaults import WithDefault
from twilio_tokens.fields import SIDField, SlugNameField

from .accounts import Account
from .checked import Checked
from .restricted import Restricted


@dataclass(frozen=True)
class Collection:
    """Where Twilio's REST API has all of a kind; ``{account}`` stands for the account's SID."""

    url: str
    #: What an answer calls them.
    items: str
    suffix: str = ""
    #: The largest that Twilio gives.
    page_size: int = 100

    def first_page(self, account_sid: str) -> str:
        return f"{self.url.format(account=account_sid)}{self.suffix}?PageSize={self.page_size}"

    def item(self, account_sid: str, sid: str) -> str:
        return f"{self.url.format(account=account_sid)}/{sid}{self.suffix}"


@dataclass(frozen=True)
class SIDVariable:
    """An environment variable of Twilio's guides that holds a SID.

    Each of the names counts with ``TWILIO_`` before it, and without where that one is missing.
    """

    names: tuple[str, ...]
    #: What else a row that is made from it gets.
    made_with: Mapping[str, object] = field(default_factory=dict)
    #: With the prefix, too, used for other things: its value must tell.
    ambiguous: tuple[str, ...] = ()


class Resource(Checked):
    """What a grant names. Clients use the name, so that they work unchanged where SIDs differ."""

    #: Each kind has its own.
    sid: SIDField

    #: Where Twilio can be asked about them; None where it cannot be.
    at_twilio: Collection | None = None
    #: Where ``twilio_import_env`` finds them.
    variables: tuple[SIDVariable, ...] = ()

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
        return visible(str(self.name))

    @classmethod
    def told_by_twilio(cls, item: Mapping[str, str]) -> dict[str, object]:
        """Values of fields, besides the names, in what Twilio answers about one."""
        return {}


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


class RestrictedResource(Restricted, ResourceWithDefault):
    class Meta(ResourceWithDefault.Meta):
        abstract = True


class ChatService(RestrictedResource):
    at_twilio = Collection("https://conversations.twilio.com/v1/Services", "services")
    variables = (
        SIDVariable(
            ("CHAT_SERVICE_SID", "CONVERSATIONS_SERVICE_SID", "SERVICE_SID"),
            # Twilio's guides have it for services of Verify, Sync and Notify, too.
            ambiguous=("TWILIO_SERVICE_SID",),
        ),
    )

    sid = SIDField(
        _("Chat Service SID"),
        kind=sids.CHAT_SERVICE,
        help_text=_("Starts with IS. Twilio Console: Conversations → Manage → Services."),
    )

    class Meta(RestrictedResource.Meta):
        verbose_name = _("Chat service")
        verbose_name_plural = _("Chat services")


class TwiMLApp(RestrictedResource):
    at_twilio = Collection(
        "https://api.twilio.com/2010-04-01/Accounts/{account}/Applications",
        "applications",
        suffix=".json",
        page_size=1000,
    )
    variables = (
        SIDVariable(("TWIML_APP_SID", "TWIML_APPLICATION_SID", "APP_SID", "OUTGOING_SID")),
    )

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
    at_twilio = Collection("https://conversations.twilio.com/v1/Credentials", "credentials")
    variables = (
        SIDVariable(("APN_PUSH_CREDENTIAL_SID",), {"name": "apn", "platform": Platform.APN}),
        SIDVariable(("FCM_PUSH_CREDENTIAL_SID",), {"name": "fcm", "platform": Platform.FCM}),
    )

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

    @classmethod
    def told_by_twilio(cls, item: Mapping[str, str]) -> dict[str, object]:
        told: dict[str, object] = {}
        if platform := item.get("type"):
            # Google's service had another name before.
            told["platform"] = cls.Platform.FCM.value if platform == "gcm" else platform
        if platform == cls.Platform.APN and "sandbox" in item:
            told["sandbox"] = item["sandbox"].casefold() == "true"
        return told

    def clean(self) -> None:
        super().clean()
        if self.sandbox and self.platform != self.Platform.APN:
            message = _("Only Apple's push service has a sandbox.")
            raise ValidationError({"sandbox": ValidationError(message, code="no_sandbox")})


class SyncService(RestrictedResource):
    at_twilio = Collection("https://sync.twilio.com/v1/Services", "services")
    variables = (
        # "default", which Twilio's samples set it to, is no SID, but stands for one.
        SIDVariable(("SYNC_SERVICE_SID",), ambiguous=("TWILIO_SYNC_SERVICE_SID",)),
    )

    sid = SIDField(
        _("Sync Service SID"),
        kind=sids.SYNC_SERVICE,
        help_text=_("Starts with IS. Twilio Console: Sync → Services."),
    )

    class Meta(RestrictedResource.Meta):
        verbose_name = _("Sync service")
        verbose_name_plural = _("Sync services")


class Workspace(RestrictedResource):
    at_twilio = Collection("https://taskrouter.twilio.com/v1/Workspaces", "workspaces")
    variables = (SIDVariable(("WORKSPACE_SID", "TASKROUTER_WORKSPACE_SID")),)

    sid = SIDField(
        _("Workspace SID"),
        kind=sids.WORKSPACE,
        help_text=_("Starts with WS. Twilio Console: TaskRouter → Workspaces."),
    )

    class Meta(RestrictedResource.Meta):
        verbose_name = _("TaskRouter workspace")
        verbose_name_plural = _("TaskRouter workspaces")


def resource_kinds() -> list[type[Resource]]:
    """All that grants can name, a site's own among them; no models that only extend another."""
    return [
        model
        for model in apps.get_models()
        if issubclass(model, Resource) and not (model._meta.proxy or model._meta.parents)
    ]
