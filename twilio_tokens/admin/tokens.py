"""The audit of issued tokens."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from twilio_tokens.models import IssuedToken


@admin.register(IssuedToken)
class IssuedTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("issued_at", "identity", "user", "products", "api_key", "expires_at", "is_live")
    # No date_hierarchy: it fails on a MariaDB without tables of time zones.
    list_filter = ("issued_at", "api_key")
    list_select_related = ("user", "api_key")
    search_fields = ("identity", "jti")
    fields = ("jti", "user", "identity", "api_key", "grants", "issued_at", "expires_at")

    @admin.display(description=_("products"))
    def products(self, record: IssuedToken) -> str:
        return ", ".join(record.grants)

    @admin.display(description=_("live"), boolean=True)
    def is_live(self, record: IssuedToken) -> bool:
        return record.expires_at > timezone.now()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
