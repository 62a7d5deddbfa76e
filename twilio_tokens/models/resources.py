"""What grants refer to: services, apps, workspaces and push credentials."""

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

from .accounts import CONSOLE, Account
from .checked import Checked
from .restricted import Restricted


@dataclass(frozen=True)
class Collection:
    """Where Twilio's REST API lists one kind; ``{account}`` stands for the Account SID."""

    url: str
    #: The key of the list in Twilio's answer.
    items: str
    suffix: str = ""
    #: The largest page that Twilio serves.
    page_size: int = 100

    def first_page(self, account_sid: str) -> str:
        return f"{self.url.format(account=account_sid)}{self.suffix}?PageSize={self.page_size}"

    def item(self, account_sid: str, sid: str) -> str:
        return f"{self.url.format(account=account_sid)}/{sid}{self.suffix}"


@dataclass(frozen=True)
class SIDVariable:
    """An environment variable from Twilio's guides that holds a SID.

    Each name counts with ``TWILIO_`` in front of it, and without it only if that one is missing.
    """

    names: tuple[str, ...]
    #: Other field values of a row created from it.
    made_with: Mapping[str, object] = field(default_factory=dict)
    #: Names used for other things even with the prefix: the value decides.
    ambiguous: tuple[str, ...] = ()


class Resource(Checked):
    """What a grant refers to. Clients use the name, so they work unchanged where SIDs differ."""

    #: Each kind declares its own.
    sid: SIDField

    #: Where Twilio's API lists them; None if it does not.
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
            "Clients ask for it by this name. Use the same name on staging and in production, "
            "where the SIDs differ."
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
        """Field values, other than the names, from Twilio's answer about one item."""
        return {}


class ResourceWithDefault(WithDefault, Resource):
    """One row per account may be the default, for requests that name none."""

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
            # Twilio's guides also use it for Verify, Sync and Notify services.
            ambiguous=("TWILIO_SERVICE_SID",),
        ),
    )

    sid = SIDField(
        _("Chat Service SID"),
        kind=sids.CHAT_SERVICE,
        help_text=_(
            "Starts with IS. Twilio Console: Conversations (classic) → Services, region US1."
        ),
    )

    class Meta(RestrictedResource.Meta):
        verbose_name = _("Chat service")
        verbose_name_plural = _("Chat services")


class TwiMLApp(RestrictedResource):
    console_url = f"{CONSOLE}/us1/voice/twiml-apps/"
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
        help_text=_("Starts with AP. Twilio Console: Voice → TwiML Apps, region US1."),
    )
    allow_incoming = models.BooleanField(
        _("allow incoming calls"),
        default=False,
        help_text=_("Lets users of this app receive calls as well as make them."),
    )

    class Meta(RestrictedResource.Meta):
        verbose_name = _("TwiML App")
        verbose_name_plural = _("TwiML Apps")


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
        help_text=_("For development builds of an iOS app, which use Apple's sandbox."),
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
            # Google's service used to be called GCM.
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
        # Twilio's samples set it to "default", which is not a SID but stands for one.
        SIDVariable(("SYNC_SERVICE_SID",), ambiguous=("TWILIO_SYNC_SERVICE_SID",)),
    )

    sid = SIDField(
        _("Sync Service SID"),
        kind=sids.SYNC_SERVICE,
        help_text=_("Starts with IS. Twilio Console: Sync → Services, region US1."),
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
        help_text=_("Starts with WS. Twilio Console: TaskRouter → Workspaces, region US1."),
    )

    class Meta(RestrictedResource.Meta):
        verbose_name = _("TaskRouter workspace")
        verbose_name_plural = _("TaskRouter workspaces")


def resource_kinds() -> list[type[Resource]]:
    """All kinds that grants can refer to, the site's own included, without proxies and children."""
    return [
        model
        for model in apps.get_models()
        if issubclass(model, Resource) and not (model._meta.proxy or model._meta.parents)
    ]
