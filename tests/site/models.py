from twilio_tokens import sids
from twilio_tokens.fields import SIDField
from twilio_tokens.models import RestrictedResource


class SyncService(RestrictedResource):
    sid = SIDField("Sync Service SID", kind=sids.CHAT_SERVICE)

    class Meta(RestrictedResource.Meta):
        verbose_name = "Sync service"
