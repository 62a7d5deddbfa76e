from django.contrib import admin
from reversion.admin import VersionAdmin

from twilio_tokens.admin.keys import APIKeyAdmin
from twilio_tokens.models import APIKey

admin.site.unregister(APIKey)


@admin.register(APIKey)
class KeyAdmin(VersionAdmin, APIKeyAdmin):
    """Goes back to what a key was, and brings back deleted ones."""
