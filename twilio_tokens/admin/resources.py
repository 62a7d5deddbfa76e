"""Services, apps, workspaces and push credentials in the console."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import BaseModelForm, ModelForm, ModelMultipleChoiceField
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from twilio_tokens.admin.badges import badge
from twilio_tokens.admin.change_list import are_usable_ids
from twilio_tokens.admin.credential_admin import CheckedAdmin, default_account
from twilio_tokens.admin.forms import RestrictedResourceForm, SafeMultipleChoiceField
from twilio_tokens.characters import visible
from twilio_tokens.models import (
    Account,
    ChatService,
    PushCredential,
    Resource,
    RestrictedResource,
    SyncService,
    TwiMLApp,
    Workspace,
)


class ResourceAdmin(CheckedAdmin):
    list_select_related = ("account",)
    search_fields = ("name", "sid", "account__name", "account__sid")
    readonly_fields = ("account_name", "check_badge")

    def has_check_permission(self, request: HttpRequest) -> bool:
        """Of a site's own, Twilio may not be asked."""
        return self.model.at_twilio is not None and super().has_check_permission(request)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Propose the first entry of an account as its default."""
        initial = {**default_account(), **super().get_changeform_initial_data(request)}
        if not are_usable_ids(Account, [initial.get("account")]):
            return initial  # Django ignores mistakes in the page's address, too
        of_account = self.model._default_manager.filter(account=initial.get("account"))
        return {"is_default": not of_account.exists(), **initial}

    def get_fields(self, request: HttpRequest, obj: Resource | None = None) -> list[Any]:
        fields = list(super().get_fields(request, obj))
        return fields if obj is None else [*fields, "check_badge"]

    def save_model(
        self, request: HttpRequest, obj: Resource, form: ModelForm[Resource], change: bool
    ) -> None:
        if {"account", "sid", "platform", "sandbox"} & set(form.changed_data):
            obj.forget_check()
        super().save_model(request, obj, form, change)


class RestrictedResourceAdmin(ResourceAdmin):
    form = RestrictedResourceForm
    filter_horizontal = ("groups",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).prefetch_related("groups")

    def get_fields(self, request: HttpRequest, obj: Resource | None = None) -> list[Any]:
        fields = super().get_fields(request, obj)
        is_offered = (
            isinstance(obj, RestrictedResource)
            and obj.is_closed
            and self.has_change_permission(request, obj)
        )
        if not is_offered:
            return fields
        after_groups = fields.index("groups") + 1
        return [*fields[:after_groups], "reopen", *fields[after_groups:]]

    def save_related(self, request: HttpRequest, form: BaseModelForm[Any], *args: Any) -> None:
        super().save_related(request, form, *args)
        row = form.instance
        if form.cleaned_data.get("reopen") and row.is_closed:
            row.open_to_everyone()

    @admin.display(description=_("open to"))
    def open_to(self, row: RestrictedResource) -> str:
        groups = [visible(str(group)) for group in row.groups.all()]
        if not groups and row.is_restricted:
            return badge("bad", gettext("nobody"), gettext("Its last group was deleted."))
        return ", ".join(groups) or gettext("everyone")

    def formfield_for_manytomany(
        self, *args: Any, **kwargs: Any
    ) -> ModelMultipleChoiceField[Any] | None:
        kwargs.setdefault("form_class", SafeMultipleChoiceField)
        return super().formfield_for_manytomany(*args, **kwargs)


@admin.register(ChatService, SyncService, Workspace)
class ServiceAdmin(RestrictedResourceAdmin):
    list_display = ("name_in_list", "is_default", "open_to", "check_badge", "account", "sid")
    list_filter = ("is_default", "check_outcome", "account", "groups")
    fields = ("account", "name", "sid", "is_default", "groups")


@admin.register(TwiMLApp)
class TwiMLAppAdmin(RestrictedResourceAdmin):
    list_display = (
        "name_in_list",
        "is_default",
        "allow_incoming",
        "open_to",
        "check_badge",
        "account",
        "sid",
    )
    list_filter = ("is_default", "allow_incoming", "check_outcome", "account", "groups")
    fields = ("account", "name", "sid", "is_default", "allow_incoming", "groups")


@admin.register(PushCredential)
class PushCredentialAdmin(ResourceAdmin):
    list_display = (
        "name_in_list",
        "platform",
        "sandbox",
        "is_default",
        "check_badge",
        "account",
        "sid",
    )
    list_filter = ("platform", "sandbox", "is_default", "check_outcome", "account")
    fields = ("account", "name", "sid", "platform", "sandbox", "is_default")
