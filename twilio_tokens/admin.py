"""The operators' console."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from .crypto import load_key_ring
from .error_reports import PostedSecretFilter
from .exceptions import EncryptionKeyError
from .forms import APIKeyForm
from .models import Account, APIKey, ChatService, IssuedToken, PushCredential, TwiMLApp


class ProtectedByAudit(admin.ModelAdmin):  # type: ignore[type-arg]
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


@admin.register(Account)
class AccountAdmin(ProtectedByAudit):
    audit_path = "api_key__account"
    list_display = ("name", "sid", "is_default")
    list_filter = ("is_default",)
    search_fields = ("name", "sid")
    fields = ("name", "sid", "is_default")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("sid",)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial = {"is_default": not Account.objects.filter(is_default=True).exists()}
        return {**initial, **super().get_changeform_initial_data(request)}


@admin.register(APIKey)
class APIKeyAdmin(ProtectedByAudit):
    audit_path = "api_key"
    form = APIKeyForm
    list_display = ("name", "sid", "account", "region", "is_active", "secret_state", "created_at")
    list_filter = ("is_active", "account")
    list_select_related = ("account",)
    search_fields = ("name", "sid", "account__name", "account__sid")
    date_hierarchy = "created_at"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = ["account", "name", "sid", "region", "secret", "is_active"]
        return fields if obj is None else [*fields, "secret_state", "created_at", "updated_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ()
        return ("account", "sid", "region", "secret_state", "created_at", "updated_at")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {**_default_account(), **super().get_changeform_initial_data(request)}

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        request.exception_reporter_filter = PostedSecretFilter()
        return super().changeform_view(request, *args, **kwargs)

    @admin.display(description=_("stored secret"))
    def secret_state(self, key: APIKey) -> str:
        """Told from the encryption key's id alone: a list of keys opens no secret."""
        try:
            is_readable = key.secret.key_id in load_key_ring()
        except EncryptionKeyError as error:
            return gettext("unreadable: %(problem)s") % {"problem": error.reason}
        if not is_readable:
            return gettext("unreadable: its encryption key is not in the key ring")
        return gettext("encrypted with key %(id)s") % {"id": key.secret.key_id}


class ResourceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_select_related = ("account",)
    search_fields = ("name", "sid", "account__name", "account__sid")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {**_default_account(), **super().get_changeform_initial_data(request)}


class RestrictedResourceAdmin(ResourceAdmin):
    filter_horizontal = ("groups",)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial = super().get_changeform_initial_data(request)
        of_account = self.model._default_manager.filter(account=initial.get("account"))
        return {"is_default": not of_account.exists(), **initial}


@admin.register(ChatService)
class ChatServiceAdmin(RestrictedResourceAdmin):
    list_display = ("name", "sid", "account", "is_default")
    list_filter = ("is_default", "account", "groups")
    fields = ("account", "name", "sid", "is_default", "groups")


@admin.register(TwiMLApp)
class TwiMLAppAdmin(RestrictedResourceAdmin):
    list_display = ("name", "sid", "account", "is_default", "allow_incoming")
    list_filter = ("is_default", "allow_incoming", "account", "groups")
    fields = ("account", "name", "sid", "is_default", "allow_incoming", "groups")


@admin.register(PushCredential)
class PushCredentialAdmin(ResourceAdmin):
    list_display = ("name", "sid", "platform", "account")
    list_filter = ("platform", "account")
    fields = ("account", "name", "sid", "platform")


@admin.register(IssuedToken)
class IssuedTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("issued_at", "identity", "user", "products", "api_key", "expires_at", "is_live")
    list_filter = ("api_key",)
    list_select_related = ("user", "api_key")
    search_fields = ("identity", "jti")
    date_hierarchy = "issued_at"
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


def _default_account() -> dict[str, Any]:
    account = Account.objects.filter(is_default=True).first()
    return {} if account is None else {"account": account.pk}
