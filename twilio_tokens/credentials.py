"""Which account, API key, service and app serve a request, and the process's memory of them.

The cache holds rows as the database has them, so secrets sealed. A change is seen at once by
the transaction that makes it, from its commit on by the whole process, and by other
processes within ``TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS``. What sends no signals
(``update()``, ``bulk_create()``, ``bulk_update()``, SQL) is seen within that time, too, or after
``cache.clear()``.
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from django.apps import apps
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group
from django.db import connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from .conf import answer_of, settings
from .exceptions import AccountMismatch, DoesNotExist, NotConfigured
from .grants import Grant
from .models import Account, APIKey, Region, Resource, RestrictedResource

#: Entries; the oldest leaves first.
CACHE_SIZE = 1_024

#: Seconds that a thread waits while another one reads the same from the database.
LONGEST_WAIT = 5

_NAME = re.compile(r"[-a-zA-Z0-9_]{1,50}")
_Value = TypeVar("_Value")


class _Thread(threading.local):
    """What a thread, which has its own connections, knows of its transaction."""

    may_have_changed = False


class CredentialCache:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[Hashable, tuple[float, Any]] = {}
        self._generation = 0
        self._cleared_at = -math.inf
        self._loading = [threading.Lock() for _ in range(64)]
        self._thread = _Thread()

    def get(
        self, key: Hashable, load: Callable[[], _Value | None], *, seconds: float
    ) -> _Value | None:
        """The value if it was loaded less than ``seconds`` ago, or what ``load`` returns.

        Many threads that need the same at once load it once. None is not remembered.
        """
        if not seconds:
            return load()
        value: _Value | None = self._remembered(key, seconds)
        if value is None:
            with self._turn(key):
                value = self._remembered(key, seconds)
                if value is None:
                    value = self._load(key, load, seconds)
        return value

    def _remembered(self, key: Hashable, seconds: float) -> Any:  # noqa: ANN401 - of any key
        now = time.monotonic()
        loaded_at, value = self._entries.get(key, (None, None))
        if loaded_at is not None and now - loaded_at < seconds:
            return value
        return None

    @contextmanager
    def _turn(self, key: Hashable) -> Iterator[None]:
        """One thread after the other, of those that load this.

        Nobody waits for ever: the database may let one of them wait for another's transaction.
        """
        lock = self._loading[hash(key) % len(self._loading)]
        is_locked = lock.acquire(timeout=LONGEST_WAIT)
        try:
            yield
        finally:
            if is_locked:
                lock.release()

    def _load(
        self, key: Hashable, load: Callable[[], _Value | None], seconds: float
    ) -> _Value | None:
        now = time.monotonic()
        generation = self._generation
        value = load()
        with self._lock:
            # What was read before another thread's commit must not outlive it. An open
            # transaction may go on reading what was true before.
            is_current = generation == self._generation and not (
                _connection().in_atomic_block and now - self._cleared_at < seconds
            )
            if value is not None and is_current:
                self._entries.pop(key, None)
                while len(self._entries) >= CACHE_SIZE:
                    del self._entries[next(iter(self._entries))]
                self._entries[key] = (now, value)
        return value

    def clear(self) -> None:
        with self._lock:
            self._generation += 1
            self._cleared_at = time.monotonic()
            self._entries.clear()

    def clear_on_commit(self, *, using: str | None = None, **kwargs: Any) -> None:
        """A receiver of the signals that tell of changes."""
        self._thread.may_have_changed = True
        transaction.on_commit(self.clear, using=using)

    def is_changed_in_this_transaction(self) -> bool:
        # Asking for the connection takes longer than all else that is looked up for a token.
        if self._thread.may_have_changed:
            # Django forgets the callback at a rollback, and with it the change is forgotten here.
            callbacks = _connection().run_on_commit
            self._thread.may_have_changed = any(each[1] == self.clear for each in callbacks)
        return self._thread.may_have_changed


def _connection() -> BaseDatabaseWrapper:
    return connections[router.db_for_write(Account)]


cache = CredentialCache()


def watch_models() -> None:
    """Clear the cache whenever Django tells that what it may hold was changed.

    Signals name the class that was saved: a proxy, or a child model, is another class.
    """
    for model in apps.get_models():
        if issubclass(model, (Account, APIKey, Resource, Group)):
            _clear_when_saved(model)
        if issubclass(model, RestrictedResource):
            through = model.groups.through
            m2m_changed.connect(cache.clear_on_commit, sender=through)
            _clear_when_saved(through)


def _clear_when_saved(model: type[models.Model]) -> None:
    for signal in (post_save, post_delete):
        signal.connect(cache.clear_on_commit, sender=model)


@dataclass(frozen=True)
class _Entry:
    resource: Resource
    group_ids: frozenset[Any]


class Credentials:
    """What one user may use, for the length of one request."""

    def __init__(self, user: AbstractBaseUser) -> None:
        self.user = user

    @cached_property
    def _seconds(self) -> float:
        """How old a remembered row may be."""
        return 0 if cache.is_changed_in_this_transaction() else settings.credential_cache_seconds

    def _cached(self, key: Hashable, load: Callable[[], _Value | None]) -> _Value | None:
        return cache.get(key, load, seconds=self._seconds)

    @cached_property
    def tenant(self) -> Account | None:
        """The account that ``TWILIO_TOKENS_ACCOUNT`` binds this user to.

        None where the setting is None; ``NotConfigured`` where the callable returns no account.
        """
        choose = settings.account
        if choose is None:
            return None
        account = answer_of("ACCOUNT", choose, self.user)
        if not isinstance(account, Account) or account.pk is None:
            raise NotConfigured("TWILIO_TOKENS_ACCOUNT returned no saved account for this user.")
        return account

    @property
    def default_account(self) -> Account:
        account = self._cached("account", lambda: Account.objects.default())
        if account is None:
            raise NotConfigured("No Twilio account is the default.")
        return account

    def signing_key(self, account: Account) -> APIKey:
        """The newest active key, which must be of region US1: there is no falling back."""
        key = self._cached((APIKey, account.pk), lambda: APIKey.objects.newest_active(account.pk))
        if key is None:
            raise NotConfigured(f"Account {account.sid} has no active API key.")
        if key.region != Region.US1:
            raise NotConfigured(
                f"API key {key.sid} is of region {key.region}; only keys of us1 can sign."
            )
        return key

    def resolve(self, grants: Sequence[Grant]) -> tuple[Account, dict[str, dict[str, Any]]]:
        """The account that signs, and by product the record for each name, all of that account."""
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
                _("There is no %(kind)s of this name for you.")
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
            raise NotConfigured(f"Account {account.sid} has no default {kind}.")
        message = (
            _("The default %(kind)s is not for you; name another.")
            if resource
            else _("There is no default %(kind)s for this.")
        )
        raise DoesNotExist(
            message % {"kind": kind}, field=default.asked_for_by, product=grant.product
        )

    def find(self, model: type[Resource], name: str) -> Resource | None:
        """The resource of that name, or None where there is none that this user may know of."""
        if not _NAME.fullmatch(name):
            return None
        entry = self._cached((model, "name", name), lambda: _load(model, name=name))
        # MariaDB compares without case.
        if entry is None or entry.resource.name != name or not self._permits(entry):
            return None
        if self.tenant is not None and entry.resource.account_id != self.tenant.pk:
            return None
        return entry.resource

    def default(
        self, model: type[Resource], account: Account, **among: Any
    ) -> tuple[Resource | None, bool]:
        """The account's default among rows alike, and whether this user may use it."""
        entry = self._cached(
            (model, "default", account.pk, *among.values()),
            # By the marker, of which there is an index, and not by is_default.
            lambda: _load(model, account_id=account.pk, default_marker=1, **among),
        )
        return (None, False) if entry is None else (entry.resource, self._permits(entry))

    def named(self, model: type[Resource]) -> dict[str, Any]:
        """The names of all resources that this user may use, in order, each with the primary
        key of its account; read afresh."""
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


def _group_ids_of(holder: object) -> frozenset[Any]:
    """Of a user, or of a resource; a site's own user model need not have groups."""
    groups = getattr(holder, "groups", None)
    return frozenset(groups.values_list("pk", flat=True) if groups is not None else ())


def _load(model: type[Resource], **lookup: Any) -> _Entry | None:
    resource = model._default_manager.select_related("account").filter(**lookup).first()
    return None if resource is None else _Entry(resource, _group_ids_of(resource))
