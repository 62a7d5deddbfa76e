"""The process's memory of credentials.

It holds rows as the database has them, so secrets sealed. A change is seen at once by
the transaction that makes it, from its commit on by the whole process, and by other
processes within ``TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS``. What sends no signals
(``update()``, ``bulk_create()``, ``bulk_update()``, SQL) is seen within that time, too, or after
``cache.clear()``.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import m2m_changed, post_delete, post_save

from .models import Account, APIKey, Resource, RestrictedResource

#: Entries; the oldest leaves first.
CACHE_SIZE = 1_024

#: Seconds that a thread waits while another one reads the same from the database.
LONGEST_WAIT = 5

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
