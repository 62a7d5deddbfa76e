"""A read replica that catches up before each request and each command, and then stands still."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import connections
from django.http import HttpRequest, HttpResponse

_is_lagging = ContextVar("is_lagging", default=False)


class Router:
    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica" if _is_lagging.get() else "default"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, *rows: Any, **hints: Any) -> bool:
        return True


@contextmanager
def lagging() -> Iterator[None]:
    for connection in connections.all():
        connection.ensure_connection()
    connections["default"].connection.backup(connections["replica"].connection)
    before = _is_lagging.set(True)
    yield
    _is_lagging.reset(before)


def middleware(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    def respond(request: HttpRequest) -> HttpResponse:
        with lagging():
            return get_response(request)

    return respond
