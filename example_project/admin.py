from __future__ import annotations

from django.contrib import admin

from .models import Meeting


@admin.register(Meeting)
class MeetingAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # Django's takes none
    list_display = ("room", "starts", "ends")
    list_filter = ("groups",)
    search_fields = ("room", "users__username")
    autocomplete_fields = ("users",)
    filter_horizontal = ("groups",)
