"""Chooses the account, API key, service and app for a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from .conf import answer_of, settings
from .credential_cache import cache
from .exceptions import AccountMismatch, DoesNotExist, NotConfigured
from .grants import Grant
from .models import Account, APIKey, Region, Resource, RestrictedResource

_NAME = re.compile(r"[-a-zA-Z0-9_]{1,50}")
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class _Entry:
    resource: Resource
    group_ids: frozenset[Any]


class Credentials:
    """What one user may use, for the duration of one request."""

    def __init__(self, user: AbstractBaseUser) -> None:
        self.user = user

    @cached_property
    def _seconds(self) -> float:
        """How old a cached row may be."""
        return 0 if cache.is_changed_in_this_transaction() else settings.credential_cache_seconds

    def _cached(self, key: Hashable, load: Callable[[], _Value | None]) -> _Value | None:
        return cache.get(key, load, seconds=self._seconds)

    @cached_property
    def tenant(self) -> Account | None:
        """The account that ``TWILIO_TOKENS_ACCOUNT`` binds this user to.

        None if the setting is None. Raises ``NotConfigured`` if the function returns no account.
        """
        choose = settings.account
        if choose is None:
            return None
        account = answer_of("ACCOUNT", choose, self.user)
        if not isinstance(account, Account) or account.pk is None:
            raise NotConfigured(
                _(
                    "The function in TWILIO_TOKENS_ACCOUNT did not return a saved account for this "
                    "user."
                )
            )
        return account

    @property
    def default_account(self) -> Account:
        account = self._cached("account", lambda: Account.objects.default())
        if account is None:
            raise NotConfigured(_("There is no default account. Choose one in the admin."))
        return account

    def signing_key(self, account: Account) -> APIKey:
        """The newest active key, which must belong to region US1: no older key stands in for it."""
        key = self._cached((APIKey, account.pk), lambda: APIKey.objects.newest_active(account.pk))
        if key is None:
            raise no_active_key(account)
        if key.region != Region.US1:
            raise NotConfigured(
                _(
                    "API key {key} belongs to region {region}. Only keys of region US1 can "
                    "sign Access Tokens."
                ),
                key=key.sid,
                region=key.region.upper(),
            )
        return key

    def resolve(self, grants: Sequence[Grant]) -> tuple[Account, dict[str, dict[str, Any]]]:
        """The account that signs, and for each product its records of that account, by field."""
        resources: dict[str, dict[str, Any]] = {grant.product: {} for grant in grants}
        account = self.tenant
        for grant in grants:
            for name in grant.resources:
                resource = resources[grant.product][name] = self._asked_for(grant, name)
                if account is None and resource is not None and name == grant.needed:
                    account = resource.account
        account = account or self.default_account
        for grant in grants:
            of_grant = resources[grant.product]
            for name, resource in of_grant.items():
                if resource is None:
                    of_grant[name] = self._default_for(grant, name, account)
                elif resource.account_id != account.pk:
                    raise AccountMismatch
        return account, resources

    def _asked_for(self, grant: Grant, name: str) -> Resource | None:
        asked_for = getattr(grant, name)
        if asked_for is None:
            return None
        resource = self.find(grant.resources[name], asked_for)
        if resource is None:
            raise DoesNotExist(
                _("No %(kind)s with this name is available to you.")
                % {"kind": grant.resources[name]._meta.verbose_name},
                field=name,
                product=grant.product,
            )
        return resource

    def _default_for(self, grant: Grant, name: str, account: Account) -> Resource | None:
        default = grant.default_for(name)
        if default is None:
            return None
        model = grant.resources[name]
        resource, is_permitted = self.default(model, account, **default.among)
        if resource is not None and is_permitted:
            return resource
        kind = model._meta.verbose_name
        if resource is None and name == grant.needed:
            raise NotConfigured(
                _("Account {account} has no default {kind}. Choose one in the admin."),
                account=account.sid,
                kind=kind,
            )
        message = (
            _("You may not use the default %(kind)s. Name another one.")
            if resource
            else _("There is no matching default %(kind)s.")
        )
        raise DoesNotExist(
            message % {"kind": kind}, field=default.asked_for_by, product=grant.product
        )

    def find(self, model: type[Resource], name: str) -> Resource | None:
        """The resource with that name, or None if there is none that this user may know of."""
        if not _NAME.fullmatch(name):
            return None
        entry = self._cached((model, "name", name), lambda: _load(model, name=name))
        # MariaDB ignores case.
        if entry is None or entry.resource.name != name or not self._permits(entry):
            return None
        if self.tenant is not None and entry.resource.account_id != self.tenant.pk:
            return None
        return entry.resource

    def default(
        self, model: type[Resource], account: Account, **among: Any
    ) -> tuple[Resource | None, bool]:
        """The account's default among similar rows, and whether this user may use it."""
        entry = self._cached(
            (model, "default", account.pk, *among.values()),
            # By the marker, which has an index, rather than by is_default.
            lambda: _load(model, account_id=account.pk, default_marker=1, **among),
        )
        return (None, False) if entry is None else (entry.resource, self._permits(entry))

    def named(self, model: type[Resource]) -> dict[str, Any]:
        """The names of all resources that this user may use, in order, each with the primary
        key of its account. Always read from the database."""
        resources = model._default_manager.order_by("name")
        if self.tenant is not None:
            resources = resources.filter(account=self.tenant)
        if issubclass(model, RestrictedResource):
            resources = resources.filter(
                models.Q(groups=None, is_restricted=False) | models.Q(groups__in=self._group_ids)
            ).distinct()
        return dict(resources.values_list("name", "account"))

    def _permits(self, entry: _Entry) -> bool:
        if not entry.group_ids:
            return not getattr(entry.resource, "is_restricted", False)
        return not entry.group_ids.isdisjoint(self._group_ids)

    @cached_property
    def _group_ids(self) -> frozenset[Any]:
        return _group_ids_of(self.user)


def no_active_key(account: Account) -> NotConfigured:
    return NotConfigured(
        _("Account {account} has no active API key. Add or activate one in the admin."),
        account=account.sid,
    )


def _group_ids_of(holder: object) -> frozenset[Any]:
    """Of a user or a resource. A custom user model may have no groups."""
    groups = getattr(holder, "groups", None)
    return frozenset(groups.values_list("pk", flat=True) if groups is not None else ())


def _load(model: type[Resource], **lookup: Any) -> _Entry | None:
    resource = model._default_manager.select_related("account").filter(**lookup).first()
    return None if resource is None else _Entry(resource, _group_ids_of(resource))
