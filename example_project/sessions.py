"""Sessions in the cache and in the database, of which the second suffices to read them."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends import cached_db
from redis.exceptions import RedisError


class SessionStore(cached_db.SessionStore):
    def load(self) -> dict[str, Any]:
        try:
            return super().load()
        except RedisError:
            # It was read, but could not be put into the cache. Who is signed in stays so; to sign
            # out needs Redis, which would otherwise remember the session.
            return super(cached_db.SessionStore, self).load()
