"""API keys."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from twilio_tokens.admin.change_list import SafeChangeList
from twilio_tokens.admin.credential_admin import (
    LEVELS,
    CheckedAdmin,
    ProtectedByAudit,
    badge,
    default_account,
)
from twilio_tokens.admin.forms import APIKeyForm
from twilio_tokens.admin.key_status import (
    USAGE,
    Status,
    is_audited,
    is_safe_to_delete,
    safe_to_delete_at,
    secret_problem,
    status,
    with_usage,
)
from twilio_tokens.admin.moments import to_the_minute
from twilio_tokens.admin.replacing import replace_view
from twilio_tokens.models import APIKey
from twilio_tokens.verification import Finding, verify_key

AUDIT_OFF = _("unknown, the audit is off")


class KeyList(SafeChangeList):
    """Tells of the keys of one page who uses them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        used = with_usage(APIKey.objects.all()).in_bulk([key.pk for key in self.result_list])
        for key in self.result_list:
            for name in USAGE:
                setattr(key, name, getattr(used.get(key.pk), name, None))


@admin.register(APIKey)
class APIKeyAdmin(ProtectedByAudit, CheckedAdmin):
    """``check_on_save = False`` on this class takes the check out of the forms."""

    check_on_save = True

    audit_path = "api_key"
    form = APIKeyForm
    list_display = (
        "name",
        "status",
        "safe_to_delete",
        "check_badge",
        "live_tokens",
        "last_used",
        "account",
        "sid",
    )
    list_filter = ("is_active", "check_outcome", "account")
    list_select_related = ("account",)
    search_fields = ("name", "sid", "account__name", "account__sid")
    shown_only = (
        "status",
        "secret_state",
        "check_badge",
        "last_used",
        "live_tokens",
        "safe_to_delete",
        "created_at",
        "updated_at",
    )

    def own_urls(self) -> list[URLPattern]:
        return [self.url("<path:object_id>/replace/", self.replace_view, "replace")]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return KeyList

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> APIKey | None:
        key = super().get_object(request, object_id, from_field)
        return key and with_usage(self.get_queryset(request)).filter(pk=key.pk).first()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = ["account", "name", "sid", "region", "secret", "is_active"]
        if self.may_check_on_save(request, obj):
            fields.append("check_with_twilio")
        state = [(_("State"), {"fields": self.shown_only})]
        fieldsets = [(None, {"fields": fields}), *(state if obj is not None else [])]
        return self.without_dead_link(request, obj, fieldsets)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ()
        return ("account", "account_name", "sid", "region", *self.shown_only)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.known = getattr(request, "twilio_finding", None)
        if not self.may_check_on_save(request, obj):
            # What is not shown must not be posted either.
            form.base_fields.pop("check_with_twilio", None)
        return form

    def may_check_on_save(self, request: HttpRequest, obj: Any) -> bool:
        may_save = (
            self.has_add_permission(request)
            if obj is None
            else self.has_change_permission(request, obj)
        )
        return self.check_on_save and may_save and self.has_verify_permission(request)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {**default_account(), **super().get_changeform_initial_data(request)}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        key = self.get_object(request, unquote(object_id))
        context = {}
        if key is not None and key.is_active and self.may_replace(request, key):
            context["replace_url"] = self.address("replace", key.pk)
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> Any:
        if request.method == "POST":
            self._ask_twilio_first(request, object_id)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _ask_twilio_first(self, request: HttpRequest, object_id: str | None) -> None:
        """Before the page's transaction, which a slow Twilio should not hold open."""
        if "_saveasnew" in request.POST:
            object_id = None
        key = None if object_id is None else self.get_object(request, unquote(object_id))
        is_there = object_id is None or key is not None
        if is_there and self.may_check_on_save(request, key):
            form = self.get_form(request, key, change=key is not None)(request.POST, instance=key)
            form.is_valid()
            request.twilio_finding = form.finding  # type: ignore[attr-defined]

    def save_model(self, request: HttpRequest, obj: APIKey, form: Any, change: bool) -> None:
        if "secret" in form.changed_data:
            obj.forget_check()
        if not obj.is_active and obj.retired_at is None:
            obj.retired_at = timezone.now()  # retired by an update() before, at a moment unknown
        super().save_model(request, obj, form, change)
        finding: Finding | None = getattr(form, "finding", None)  # the list's forms ask nobody
        if finding is not None:
            obj.record_check(finding.outcome, finding.message, finding.code)
            self.message_user(request, finding.message, LEVELS[finding.outcome])

    def replace_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return replace_view(self, request, object_id)

    def may_replace(self, request: HttpRequest, key: APIKey) -> bool:
        return self.has_add_permission(request) and self.has_change_permission(request, key)

    def ask_twilio(self, row: APIKey) -> Finding:
        return verify_key(row)

    @admin.display(description=_("status"))
    def status(self, key: APIKey) -> SafeString:
        state = status(key)
        shown = badge(state.value, str(state.label))
        if state != Status.UNREADABLE:
            return shown
        return format_html('{} <span class="twilio-note">{}</span>', shown, secret_problem(key))

    @admin.display(description=_("stored secret"))
    def secret_state(self, key: APIKey) -> str:
        problem = secret_problem(key)
        if problem is not None:
            return gettext("unreadable: %(problem)s") % {"problem": problem}
        return gettext("encrypted with key %(id)s") % {"id": key.secret.key_id}

    @admin.display(description=_("last used"))
    def last_used(self, key: APIKey) -> Any:
        last_used = key.last_used  # type: ignore[attr-defined]
        if last_used is not None:
            return to_the_minute(last_used)
        return gettext("not in the audit") if is_audited() else AUDIT_OFF

    @admin.display(description=_("live tokens"))
    def live_tokens(self, key: APIKey) -> Any:
        return key.live_tokens if is_audited() else AUDIT_OFF  # type: ignore[attr-defined]

    @admin.display(description=_("safe to delete at Twilio"))
    def safe_to_delete(self, key: APIKey) -> str:
        moment = safe_to_delete_at(key)
        if key.is_active:
            return "–"
        if moment is None:
            return gettext("unknown: no date of retirement")
        if is_safe_to_delete(key):
            return gettext("now")
        return gettext("after %(moment)s") % {"moment": to_the_minute(moment)}
