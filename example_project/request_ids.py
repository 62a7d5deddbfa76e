"""The id of a request: on each line of its log, and on the answer.

It comes from the proxy's header or, where that has none, is made here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

HEADER = "X-Request-ID"

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class RequestIDFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = _request_id.get()
        return True


@sync_and_async_middleware
def request_ids(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    if not iscoroutinefunction(get_response):

        def answer(request: HttpRequest) -> HttpResponseBase:
            with _identified(request) as request_id:
                return _marked(get_response(request), request_id)

        return answer

    async def answer_async(request: HttpRequest) -> HttpResponseBase:
        with _identified(request) as request_id:
            return _marked(await get_response(request), request_id)

    return answer_async


@contextmanager
def _identified(request: HttpRequest) -> Iterator[str]:
    # Anybody may send the header: nothing of it but an id gets into the log.
    sent = request.headers.get(HEADER, "")
    request_id = sent if re.fullmatch(r"[0-9A-Za-z-]{8,64}", sent) else uuid4().hex
    token = _request_id.set(request_id)
    try:
        yield request_id
    finally:
        _request_id.reset(token)


def _marked(response: HttpResponseBase, request_id: str) -> HttpResponseBase:
    response.headers[HEADER] = request_id
    return response
