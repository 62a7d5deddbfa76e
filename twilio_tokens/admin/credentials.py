"""Accounts, API keys, services, apps and push credentials."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from twilio_tokens.admin.importing import import_view, importable
from twilio_tokens.conf import settings
from twilio_tokens.error_reports import hide_posted_secrets
from twilio_tokens.exceptions import Unavailable
from twilio_tokens.forms import APIKeyForm
from twilio_tokens.key_status import (
    Status,
    is_safe_to_delete,
    safe_to_delete_at,
    secret_problem,
    status,
    with_usage,
)
from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    Checked,
    IssuedToken,
    Outcome,
    PushCredential,
    TwiMLApp,
)
from twilio_tokens.verification import Finding, verify_key, verify_resource

LEVELS = {
    Outcome.VERIFIED: messages.SUCCESS,
    Outcome.REFUSED: messages.ERROR,
    Outcome.UNREACHABLE: messages.WARNING,
}


class CredentialAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A secret may be typed into each of these forms, by mistake too."""

    class Media:
        css = {"all": ["twilio_tokens/admin/console.css"]}

    def get_urls(self) -> list[URLPattern]:
        urls = [*self.own_urls(), *super().get_urls()]
        for each in urls:
            each.callback = hide_posted_secrets(each.callback)
        return urls

    def own_urls(self) -> list[URLPattern]:
        """The pages that Django's admin does not have."""
        return []

    def url(self, route: str, view: Any, name: str) -> URLPattern:
        full_name = f"twilio_tokens_{self.opts.model_name}_{name}"
        pattern: URLPattern = path(route, self.admin_site.admin_view(view), name=full_name)
        return pattern


class ProtectedByAudit(CredentialAdmin):
    """Says why a row that signed tokens stays, without loading a million records to list them."""

    #: The path from an issued token to the rows of this admin.
    audit_path: str

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        count = IssuedToken.objects.filter(**{f"{self.audit_path}__in": objs}).count()
        if count:
            message = ngettext(
                "%(count)d issued token, which is the audit of what was signed. Make the API key "
                "inactive instead.",
                "%(count)d issued tokens, which are the audit of what was signed. Make the API "
                "key inactive instead.",
                count,
            )
            return [], {}, set(), [message % {"count": count}]
        return super().get_deleted_objects(objs, request)


class CheckedAdmin(CredentialAdmin):
    """Rows that Twilio can be asked about."""

    actions = ("check_with_twilio",)

    def ask_twilio(self, row: Any) -> Finding:
        return verify_resource(row)

    def has_verify_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("twilio_tokens.verify_credentials")

    @admin.action(description=_("Check with Twilio"), permissions=["verify"])
    def check_with_twilio(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        verified = 0
        for row in rows.select_related("account"):
            try:
                finding = self.ask_twilio(row)
            except Unavailable as error:
                self.message_user(request, f"{row}: {error.reason}", messages.ERROR)
                continue
            row.record_check(finding.outcome, finding.message, finding.code)
            if finding.outcome == Outcome.VERIFIED:
                verified += 1
                continue
            self.message_user(request, f"{row}: {finding.message}", LEVELS[finding.outcome])
            if finding.outcome == Outcome.UNREACHABLE:
                # Each of the others could take as long to fail.
                self.message_user(
                    request, gettext("What came after it was not checked."), messages.WARNING
                )
                break
        if verified:
            self.message_user(
                request,
                ngettext("%(count)d was verified.", "%(count)d were verified.", verified)
                % {"count": verified},
                messages.SUCCESS,
            )

    @admin.display(description=_("check with Twilio"), ordering="check_outcome")
    def check_badge(self, row: Checked) -> SafeString:
        if row.checked_at is None:
            return _badge("never", gettext("never checked"))
        return format_html(
            '{} <span class="twilio-note">{}{}</span>',
            _badge(row.check_outcome, row.get_check_outcome_display()),
            localize(localtime(row.checked_at)),
            "" if row.check_outcome == Outcome.VERIFIED else f": {row.check_message}",
        )


@admin.register(Account)
class AccountAdmin(ProtectedByAudit):
    audit_path = "api_key__account"
    list_display = ("name", "sid", "is_default")
    list_filter = ("is_default",)
    search_fields = ("name", "sid")
    fields = ("name", "sid", "is_default")

    def own_urls(self) -> list[URLPattern]:
        return [self.url("<path:object_id>/import/", self.import_view, "import")]

    def import_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return import_view(self, request, object_id)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        context = {**(extra_context or {}), "may_import": bool(importable(self, request))}
        return super().change_view(request, object_id, form_url, context)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("sid",)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial = {"is_default": not Account.objects.filter(is_default=True).exists()}
        return {**initial, **super().get_changeform_initial_data(request)}


class KeyList(ChangeList):
    """Tells of the keys of one page who uses them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        order = [key.pk for key in self.result_list]
        keys = with_usage(APIKey.objects.select_related("account")).in_bulk(order)
        self.result_list = [keys[pk] for pk in order]


@admin.register(APIKey)
class APIKeyAdmin(ProtectedByAudit, CheckedAdmin):
    """``check_on_save = False`` on this class takes the check out of the forms."""

    check_on_save = True

    audit_path = "api_key"
    form = APIKeyForm
    list_display = (
        "name",
        "status",
        "check_badge",
        "live_tokens",
        "last_used",
        "safe_to_delete",
        "account",
        "sid",
        "region",
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
        return key and with_usage(self.get_queryset(request)).get(pk=key.pk)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = ["account", "name", "sid", "region", "secret", "is_active"]
        if _replaced(request) is not None:
            fields = ["name", "sid", "region", "secret"]
        if self.may_check_on_save(request, obj):
            fields.append("check_with_twilio")
        state = [(_("State"), {"fields": self.shown_only})]
        return [(None, {"fields": fields}), *(state if obj is not None else [])]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("account", "sid", "region", *self.shown_only)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.replaced = _replaced(request)
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
        replaced = _replaced(request)
        if replaced is not None:
            return {"name": replaced.name}
        return {**_default_account(), **super().get_changeform_initial_data(request)}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        key = self.get_object(request, object_id)
        may_replace = (
            key is not None
            and key.is_active
            and self.has_add_permission(request)
            and self.has_change_permission(request, key)
        )
        context = {**(extra_context or {}), "may_replace": may_replace}
        return super().change_view(request, object_id, form_url, context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> Any:
        key = None if object_id is None else self.get_object(request, object_id)
        is_there = object_id is None or key is not None
        if request.method == "POST" and is_there and self.may_check_on_save(request, key):
            # Before the page's transaction, which a slow Twilio should not hold open.
            form = self.get_form(request, key, change=key is not None)(request.POST, instance=key)
            form.is_valid()
            request.twilio_finding = form.finding  # type: ignore[attr-defined]
        return super().changeform_view(request, object_id, form_url, extra_context)

    def replace_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The form for a new key; saving it retires the one that it replaces."""
        key = self.get_object(request, object_id)
        if key is None:
            raise Http404
        if not (self.has_add_permission(request) and self.has_change_permission(request, key)):
            raise PermissionDenied
        request.replaced_key = key  # type: ignore[attr-defined]
        title = gettext("Replace API key %(name)s") % {"name": key.name}
        context = {"title": title, "replaced": key}
        response: HttpResponse = self.changeform_view(request, None, "", context)
        return response

    def save_model(self, request: HttpRequest, obj: APIKey, form: Any, change: bool) -> None:
        if "secret" in form.changed_data:
            obj.forget_check()
        super().save_model(request, obj, form, change)
        if form.finding is not None:
            finding = form.finding
            obj.record_check(finding.outcome, finding.message, finding.code)
            self.message_user(request, finding.message, LEVELS[finding.outcome])
        if form.replaced is not None:
            self._retire(request, form.replaced, obj)

    def _retire(self, request: HttpRequest, key: APIKey, successor: APIKey) -> None:
        key.is_active = False
        key.save()
        self.log_change(request, key, gettext("Replaced by %(key)s.") % {"key": successor})
        self.message_user(
            request,
            gettext("%(key)s is retired. The list says when it is safe to delete it at Twilio.")
            % {"key": key},
        )

    def ask_twilio(self, row: APIKey) -> Finding:
        return verify_key(row)

    @admin.display(description=_("status"))
    def status(self, key: APIKey) -> SafeString:
        state = status(key)
        badge = _badge(state.value, str(state.label))
        if state != Status.UNREADABLE:
            return badge
        return format_html('{} <span class="twilio-note">{}</span>', badge, secret_problem(key))

    @admin.display(description=_("stored secret"))
    def secret_state(self, key: APIKey) -> str:
        problem = secret_problem(key)
        if problem is not None:
            return gettext("unreadable: %(problem)s") % {"problem": problem}
        return gettext("encrypted with key %(id)s") % {"id": key.secret.key_id}

    @admin.display(description=_("last used"))
    def last_used(self, key: APIKey) -> Any:
        return key.last_used or gettext("never")  # type: ignore[attr-defined]

    @admin.display(description=_("live tokens"))
    def live_tokens(self, key: APIKey) -> Any:
        return key.live_tokens if settings.audit else gettext("unknown, the audit is off")  # type: ignore[attr-defined]

    @admin.display(description=_("safe to delete at Twilio"))
    def safe_to_delete(self, key: APIKey) -> str:
        moment = safe_to_delete_at(key)
        if moment is None:
            return "–"
        if is_safe_to_delete(key):
            return gettext("now")
        return gettext("after %(moment)s") % {"moment": localize(localtime(moment))}


class ResourceAdmin(CheckedAdmin):
    list_select_related = ("account",)
    search_fields = ("name", "sid", "account__name", "account__sid")
    readonly_fields = ("check_badge",)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {**_default_account(), **super().get_changeform_initial_data(request)}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = list(super().get_fields(request, obj))
        return fields if obj is None else [*fields, "check_badge"]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if {"account", "sid", "platform"} & set(form.changed_data):
            obj.forget_check()
        super().save_model(request, obj, form, change)


class RestrictedResourceAdmin(ResourceAdmin):
    filter_horizontal = ("groups",)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial = super().get_changeform_initial_data(request)
        try:
            of_account = self.model._default_manager.filter(account=initial.get("account"))
        except ValueError:  # Django, too, ignores what the address of the page gets wrong
            return initial
        return {"is_default": not of_account.exists(), **initial}


@admin.register(ChatService)
class ChatServiceAdmin(RestrictedResourceAdmin):
    list_display = ("name", "sid", "account", "is_default", "check_badge")
    list_filter = ("is_default", "check_outcome", "account", "groups")
    fields = ("account", "name", "sid", "is_default", "groups")


@admin.register(TwiMLApp)
class TwiMLAppAdmin(RestrictedResourceAdmin):
    list_display = ("name", "sid", "account", "is_default", "allow_incoming", "check_badge")
    list_filter = ("is_default", "allow_incoming", "check_outcome", "account", "groups")
    fields = ("account", "name", "sid", "is_default", "allow_incoming", "groups")


@admin.register(PushCredential)
class PushCredentialAdmin(ResourceAdmin):
    list_display = ("name", "sid", "platform", "account", "check_badge")
    list_filter = ("platform", "check_outcome", "account")
    fields = ("account", "name", "sid", "platform")


def _badge(kind: str, text: str) -> SafeString:
    return format_html('<span class="twilio-badge twilio-{}">{}</span>', kind, text)


def _replaced(request: HttpRequest) -> APIKey | None:
    return getattr(request, "replaced_key", None)


def _default_account() -> dict[str, Any]:
    account = Account.objects.filter(is_default=True).first()
    return {} if account is None else {"account": account.pk}
