from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models

from twilio_tokens import sids
from twilio_tokens.fields import SealedField, SIDField
from twilio_tokens.models import APIKey, ChatService, RestrictedResource, SIDVariable


class Stage(RestrictedResource):
    """Of a product of the site's own, of which Twilio's API is not known."""

    variables = (SIDVariable(("STAGE_SID",)),)

    sid = SIDField("Stage SID", kind=sids.SIDKind("VL", "a stage SID"))

    class Meta(RestrictedResource.Meta):
        verbose_name = "stage"


class OwnKey(APIKey):
    """What a site adds behaviour to."""

    class Meta:
        proxy = True


class BilledKey(APIKey):
    """What a site adds columns to."""

    cost_centre = models.CharField(max_length=20)


class BilledService(ChatService):
    cost_centre = models.CharField(max_length=20)

    class Meta:
        verbose_name = "billed service"


class InvitedService(RestrictedResource):
    """A site's own way of letting groups in."""

    at_twilio = ChatService.at_twilio

    sid = SIDField("Chat Service SID", kind=sids.CHAT_SERVICE)
    groups = models.ManyToManyField(  # type: ignore[assignment]  # the stubs know no other
        Group, through="Invitation", related_name="+"
    )

    class Meta(RestrictedResource.Meta):
        verbose_name = "service by invitation"


class Invitation(models.Model):  # noqa: DJ008 - nobody looks at it
    service = models.ForeignKey(InvitedService, models.CASCADE)
    group = models.ForeignKey(Group, models.CASCADE)


class Webhook(models.Model):  # noqa: DJ008 - nobody looks at it
    """A site's own model with a secret."""

    id = models.UUIDField(primary_key=True)
    sid = models.CharField(max_length=34)
    note = models.CharField(max_length=100, blank=True)
    secret = SealedField(null=True)


class TwilioIdentity(models.Model):  # noqa: DJ008 - nobody looks at it
    """Given once, and to nobody else: the row outlives the user."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.SET_NULL, null=True)
    name = models.CharField(max_length=256, unique=True)
