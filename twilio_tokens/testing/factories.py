"""Rows for tests. SIDs and secrets are random, so that no secret scanner takes them for real ones.

Whatever you leave out gets a valid value. Without ``account`` the row belongs to the default
account, which is made if there is none. A service, an app, a workspace or a push credential becomes
the default if there is none yet.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from twilio_tokens.models import (
    Account,
    APIKey,
    ChatService,
    PushCredential,
    Region,
    SyncService,
    TwiMLApp,
    Workspace,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import Group

    from twilio_tokens.models.resources import ResourceWithDefault

_Resource = TypeVar("_Resource", bound="ResourceWithDefault")

_numbers = count(1)


def new_sid(prefix: str) -> str:
    """A SID of the kind with this prefix, such as ``"WK"``."""
    return prefix + secrets.token_hex(16)


def new_secret() -> str:
    """A secret as long as those that Twilio makes."""
    return secrets.token_urlsafe(24)


def make_account(
    *, name: str | None = None, sid: str | None = None, is_default: bool = False
) -> Account:
    """The first account becomes the default in any case."""
    return Account.objects.create(
        name=name or f"Account {next(_numbers)}", sid=sid or new_sid("AC"), is_default=is_default
    )


def make_api_key(
    *,
    account: Account | None = None,
    secret: str | None = None,
    name: str | None = None,
    sid: str | None = None,
    is_active: bool = True,
) -> APIKey:
    """Pass the ``secret`` if you want to verify tokens: a key does not give it back."""
    return APIKey.objects.create(
        account=account or _default_account(),
        secret=secret or new_secret(),
        name=name or f"API key {next(_numbers)}",
        sid=sid or new_sid("SK"),
        region=Region.US1,
        is_active=is_active,
    )


def make_chat_service(
    *,
    account: Account | None = None,
    name: str | None = None,
    sid: str | None = None,
    is_default: bool | None = None,
    groups: Iterable[Group] = (),
) -> ChatService:
    service = _make(ChatService, account, name or f"chat-{next(_numbers)}", sid, is_default)
    service.groups.set(groups)
    return service


def make_twiml_app(
    *,
    account: Account | None = None,
    name: str | None = None,
    sid: str | None = None,
    is_default: bool | None = None,
    allow_incoming: bool = False,
    groups: Iterable[Group] = (),
) -> TwiMLApp:
    app = _make(
        TwiMLApp,
        account,
        name or f"app-{next(_numbers)}",
        sid,
        is_default,
        allow_incoming=allow_incoming,
    )
    app.groups.set(groups)
    return app


def make_push_credential(
    *,
    account: Account | None = None,
    name: str | None = None,
    sid: str | None = None,
    is_default: bool | None = None,
    platform: str = PushCredential.Platform.APN,
    sandbox: bool = False,
) -> PushCredential:
    name = name or f"{platform}-{next(_numbers)}"
    values = {"platform": platform, "sandbox": sandbox}
    return _make(PushCredential, account, name, sid, is_default, **values)


def make_sync_service(
    *,
    account: Account | None = None,
    name: str | None = None,
    sid: str | None = None,
    is_default: bool | None = None,
    groups: Iterable[Group] = (),
) -> SyncService:
    service = _make(SyncService, account, name or f"sync-{next(_numbers)}", sid, is_default)
    service.groups.set(groups)
    return service


def make_workspace(
    *,
    account: Account | None = None,
    name: str | None = None,
    sid: str | None = None,
    is_default: bool | None = None,
    groups: Iterable[Group] = (),
) -> Workspace:
    workspace = _make(Workspace, account, name or f"workspace-{next(_numbers)}", sid, is_default)
    workspace.groups.set(groups)
    return workspace


def _default_account() -> Account:
    return Account.objects.default() or make_account(is_default=True)


def _make(
    model: type[_Resource],
    account: Account | None,
    name: str,
    sid: str | None,
    is_default: bool | None,
    **values: object,
) -> _Resource:
    field: Any = model._meta.get_field("sid")
    sid = sid or new_sid(field.kind.prefix)
    resource = model(account=account or _default_account(), name=name, sid=sid, **values)
    first = resource.alike().default() is None
    resource.is_default = first if is_default is None else is_default
    resource.full_clean()
    resource.save()
    return resource
