"""Caches credentials in the memory of the process.

It holds rows as the database has them, with their secrets sealed. The transaction that makes a
change sees it at once, the whole process sees it after the commit, and other processes within
``TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS``. Changes that send no signals (``update()``,
``bulk_create()``, ``bulk_update()``, SQL) are seen within that time, or after ``cache.clear()``.
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

#: Entries; the oldest is dropped first.
CACHE_SIZE = 1_024

#: Seconds that a thread waits while another one loads the same row.
LONGEST_WAIT = 5

_Value = TypeVar("_Value")


class _Thread(threading.local):
    """What a thread knows about its transaction; each thread has its own connections."""

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

        Concurrent threads share one call of ``load``. None is not cached.
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
        """Let the threads that load this key take turns.

        No thread waits forever: the database may make one wait for another's transaction.
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
            # A row read before another thread's commit must not outlive it. An open transaction
            # may still read the state from before that commit.
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
        """Receives the signals that announce changes."""
        self._thread.may_have_changed = True
        transaction.on_commit(self.clear, using=using)

    def is_changed_in_this_transaction(self) -> bool:
        # Looking up the connection takes longer than every other lookup for a token.
        if self._thread.may_have_changed:
            # A rollback drops the callback, and with it this record of the change.
            callbacks = _connection().run_on_commit
            self._thread.may_have_changed = any(each[1] == self.clear for each in callbacks)
        return self._thread.may_have_changed


def _connection() -> BaseDatabaseWrapper:
    return connections[router.db_for_write(Account)]


cache = CredentialCache()


def watch_models() -> None:
    """Clear the cache whenever Django signals a change of something that it may hold.

    A signal names the class that was saved, which may be a proxy or a child model.
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
