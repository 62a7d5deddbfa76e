"""API keys in the console."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from twilio_tokens.admin.badges import Meaning, badge
from twilio_tokens.admin.change_list import SafeChangeList
from twilio_tokens.admin.credential_admin import (
    LEVELS,
    CheckedAdmin,
    Fieldsets,
    ProtectedByAudit,
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
from twilio_tokens.admin.replacing import may_replace, replace_view
from twilio_tokens.admin.saving_keys import SAVES, save_view
from twilio_tokens.models import APIKey
from twilio_tokens.verification import verify_key

STATUSES: dict[Status, Meaning] = {
    Status.SIGNING: "good",
    Status.STANDBY: "warning",
    Status.RETIRED: "neutral",
    Status.UNREADABLE: "bad",
}

AUDIT_OFF = _("unknown: the audit is off")


class KeyList(SafeChangeList):
    """Adds usage to the keys of one page."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        used = with_usage(APIKey.objects.all()).in_bulk([key.pk for key in self.result_list])
        for key in self.result_list:
            for name in USAGE:
                setattr(key, name, getattr(used.get(key.pk), name, None))


@admin.register(APIKey)
class APIKeyAdmin(ProtectedByAudit, CheckedAdmin):
    """To remove the check from the forms, set ``check_on_save = False`` on this class."""

    check_on_save = True
    ask_twilio = staticmethod(verify_key)
    caveat = _("This does not prove that the key can sign: a Restricted key can pass, too.")

    audit_path = "api_key"
    form = APIKeyForm
    list_display = (
        "name_in_list",
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

    def get_fieldsets(self, request: HttpRequest, obj: APIKey | None = None) -> Fieldsets:
        fields = ["account", "name", "sid", "region", "secret", "is_active"]
        if self.may_check_on_save(request, obj):
            fields.append("check_with_twilio")
        fieldsets: Fieldsets = [(None, {"fields": fields})]
        if obj is not None:
            fieldsets += [(_("State"), {"fields": self.shown_only})]
        return self.as_shown(request, obj, fieldsets)

    def get_readonly_fields(
        self, request: HttpRequest, obj: APIKey | None = None
    ) -> tuple[str, ...]:
        if obj is None:
            return ()
        return ("account", "account_name", "sid", "region", *self.shown_only)

    def get_form(
        self, request: HttpRequest, obj: APIKey | None = None, change: bool = False, **kwargs: Any
    ) -> type[ModelForm[APIKey]]:
        form = super().get_form(request, obj, change, **kwargs)
        if not self.may_check_on_save(request, obj):
            # A field that is not shown must not be accepted either.
            form.base_fields.pop("check_with_twilio", None)
        return form

    def may_check_on_save(self, request: HttpRequest, key: APIKey | None) -> bool:
        may_save = self.may_save(request, key)
        return self.check_on_save and may_save and self.has_check_permission(request)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {**default_account(), **super().get_changeform_initial_data(request)}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        key = context.get("original")
        if key is not None and key.is_active and may_replace(self, request, key):
            context["replace_url"] = self.address("replace", key.pk)
        return super().render_change_form(request, context, *args, **kwargs)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        # Django handles inlines, actions and "save as new", which a site's own class may have.
        if SAVES & request.POST.keys() and not self.inlines:
            key = None if object_id is None else self.get_object(request, unquote(object_id))
            if object_id is None or key is not None:
                return save_view(self, request, key)
        return super().changeform_view(request, object_id, *args, **kwargs)

    def save_model(
        self, request: HttpRequest, obj: APIKey, form: ModelForm[APIKey], change: bool
    ) -> None:
        if "secret" in form.changed_data:
            obj.forget_check()
        if not obj.is_active and obj.retired_at is None:
            obj.retired_at = timezone.now()  # retired earlier by an update(), at an unknown time
        super().save_model(request, obj, form, change)
        finding = form.finding if isinstance(form, APIKeyForm) else None  # the list does not check
        if finding is not None:
            obj.record_check(finding.outcome, finding.message, finding.code)
            self.message_user(request, finding.message, LEVELS[finding.outcome])

    def replace_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return replace_view(self, request, object_id)

    @admin.display(description=_("status"))
    def status(self, key: APIKey) -> SafeString:
        state = status(key)
        note = secret_problem(key) if state == Status.UNREADABLE else None
        return badge(STATUSES[state], str(state.label), note or "")

    @admin.display(description=_("stored secret"))
    def secret_state(self, key: APIKey) -> str:
        problem = secret_problem(key)
        if problem is not None:
            return gettext("unreadable: %(problem)s") % {"problem": problem}
        return gettext("encrypted with key %(id)s") % {"id": key.secret.key_id}

    @admin.display(description=_("last used"))
    def last_used(self, key: APIKey) -> str:
        last_used = key.last_used  # type: ignore[attr-defined]
        if last_used is not None:
            return to_the_minute(last_used)
        return gettext("not in the audit") if is_audited() else str(AUDIT_OFF)

    @admin.display(description=_("live tokens"))
    def live_tokens(self, key: APIKey) -> int | str:
        return key.live_tokens if is_audited() else str(AUDIT_OFF)  # type: ignore[attr-defined]

    @admin.display(description=_("safe to delete at Twilio"))
    def safe_to_delete(self, key: APIKey) -> str:
        moment = safe_to_delete_at(key)
        if key.is_active:
            return "–"
        if moment is None:
            return gettext("unknown: the retirement date is missing")
        if is_safe_to_delete(key):
            return gettext("now")
        return gettext("after %(moment)s") % {"moment": to_the_minute(moment)}
