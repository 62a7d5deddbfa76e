"""Counts the refusals of this process and adds them to the hour's total.

They are written after a request, at most every ``EVERY`` seconds, so a flood of refusals does not
become a flood of writes. A process that ends loses what it has not written.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from threading import Lock
from typing import Any

from django.core.signals import request_finished
from django.db import connections, router
from django.utils import timezone

from .codes import known, known_products
from .hours import start_of_hour
from .models import HourlyCount
from .signals import access_token_refused

logger = logging.getLogger(__name__)

#: Seconds.
EVERY = 10

#: The hour, the product and the code.
_Key = tuple[datetime, str, str]


class Refusals:
    def __init__(self) -> None:
        self._lock = Lock()
        self.clear()

    def clear(self) -> None:
        self._counts: Counter[_Key] = Counter()
        self._due = 0.0

    def note(self, *, products: Iterable[str], code: str, **kwargs: Any) -> None:
        """Receives ``access_token_refused``."""
        hour = start_of_hour(timezone.now())
        with self._lock:
            self._counts.update(
                (hour, product, known(code)) for product in ("", *known_products(products))
            )

    def write_if_due(self, **kwargs: Any) -> None:
        """Receives ``request_finished``."""
        if not self._counts or time.monotonic() < self._due:
            return
        with self._lock:
            counts, self._counts = self._counts, Counter()
            self._due = time.monotonic() + EVERY
        try:
            self._write(counts)
        except Exception as error:  # noqa: BLE001 - every request of the site passes here
            logger.warning("Refusals are not stored yet: %s", type(error).__name__)
        finally:
            with self._lock:
                self._counts += counts

    def _write(self, counts: Counter[_Key]) -> None:
        """Remove each count once it is written."""
        for key in sorted(counts):
            HourlyCount.objects.add(*key, counts[key])
            del counts[key]
        # Django has already closed the request's connections, unless they are persistent.
        connection = connections[router.db_for_write(HourlyCount)]
        if not connection.in_atomic_block:  # as it is in tests
            connection.close_if_unusable_or_obsolete()


refusals = Refusals()


def count_refusals() -> None:
    access_token_refused.connect(refusals.note)
    request_finished.connect(refusals.write_if_due)
