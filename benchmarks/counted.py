"""The site as gunicorn serves it: each answer tells how often its process read each credential."""

from __future__ import annotations

import json
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"

from django.core.wsgi import get_wsgi_application
from django.db import connection

CREDENTIAL = re.compile(r'SELECT .* FROM "(twilio_tokens_(?:account|apikey|chatservice|twimlapp))"')

site = get_wsgi_application()
reads: Counter[str] = Counter()
lock = threading.Lock()


def count(execute: Callable[..., object], sql: str, *args: Any) -> object:
    if found := CREDENTIAL.match(sql):
        with lock:
            reads[found[1]] += 1
    return execute(sql, *args)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    def start(status: str, headers: list[tuple[str, str]], *args: Any) -> object:
        told = [("X-Process", str(os.getpid())), ("X-Reads", json.dumps(reads))]
        return start_response(status, [*headers, *told], *args)

    with ExitStack() as stack:
        stack.enter_context(connection.execute_wrapper(count))
        return site(environ, start)
