from django.contrib import admin
from import_export.admin import ImportExportMixin
from import_export.resources import ModelResource

from twilio_tokens.admin.keys import APIKeyAdmin
from twilio_tokens.models import APIKey


class KeyResource(ModelResource):
    """All fields, as they come."""

    class Meta:
        model = APIKey


admin.site.unregister(APIKey)


@admin.register(APIKey)
class KeyAdmin(ImportExportMixin, APIKeyAdmin):
    resource_classes = (KeyResource,)
