"""Accounts in the console."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from twilio_tokens.admin.credential_admin import ProtectedByAudit
from twilio_tokens.admin.importing import import_view, importable
from twilio_tokens.models import Account


@admin.register(Account)
class AccountAdmin(ProtectedByAudit):
    audit_path = "api_key__account"
    list_display = ("name_in_list", "sid", "is_default")
    list_filter = ("is_default",)
    search_fields = ("name", "sid")
    fields = ("name", "sid", "is_default")

    def own_urls(self) -> list[URLPattern]:
        return [self.url("<path:object_id>/import/", self.import_view, "import")]

    def import_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return import_view(self, request, object_id)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["may_import"] = context.get("original") and importable(self, request)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Account | None = None
    ) -> tuple[str, ...]:
        return () if obj is None else ("sid",)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial = {"is_default": not Account.objects.default()}
        return {**initial, **super().get_changeform_initial_data(request)}
