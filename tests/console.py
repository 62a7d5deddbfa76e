"""The console's pages, what an operator posts to them, and who may."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    PushCredential,
    SyncService,
    TwiMLApp,
    Workspace,
)

from .rows import new_secret, sid

PREFIXES = {
    Account: "AC",
    APIKey: "SK",
    ChatService: "IS",
    TwiMLApp: "AP",
    PushCredential: "CR",
    SyncService: "IS",
    Workspace: "WS",
}
AUDIT_LIST = "admin:twilio_tokens_issuedtoken_changelist"


def url(model: Any, page: str, *args: Any) -> str:
    return reverse(f"admin:twilio_tokens_{model._meta.model_name}_{page}", args=args)


def filled(model: Any, **values: Any) -> dict[str, Any]:
    """What an operator posts to add a row. Its account is the one that is there."""
    data = {"name": "new", "sid": sid(PREFIXES[model], "1")}
    if "_saveasnew" not in values:
        data["_save"] = "Save"
    if model is Account:
        data["is_default"] = "on"
    else:
        data["account"] = Account.objects.values_list("pk", flat=True).first()
    if model is APIKey:
        data |= {"region": "us1", "secret": new_secret(), "is_active": "on"}
    if model is PushCredential:
        data["platform"] = "fcm"
    return data | values


def errors(response: Any) -> dict[str, list[str]]:
    """The messages beside the fields of the form that is shown again."""
    assert response.status_code == 200
    return response.context["adminform"].form.errors


def messages(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def permit(user: User, *codenames: str) -> User:
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return User.objects.get(pk=user.pk)


def staff(*permissions: str) -> Client:
    """A member of staff with these permissions, signed in."""
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    assert user.user_permissions.count() == len(permissions)
    client = Client()
    client.force_login(user)
    return client
