"""Counts the refusals of this process, and adds them to those of the hour.

They are written after a request, at most every ``EVERY`` seconds, so that a flood of refusals is
no flood of writes. What a process has not written when it ends is lost.
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

from .grants import registered
from .hours import start_of_hour
from .models import HourlyCount
from .signals import access_token_refused

logger = logging.getLogger(__name__)

#: Seconds.
EVERY = 10

#: What a site's own code has refused for: the counts are of few codes, whatever is sent.
OTHER = "other"

#: The codes that are counted by name.
CODES = frozenset(
    {
        "account_mismatch",
        "audit_unavailable",
        "authentication_failed",
        "blank",
        "does_not_exist",
        "error",
        "identity_not_allowed",
        "invalid",
        "invalid_choice",
        "max_length",
        "max_string_length",
        "max_value",
        "method_not_allowed",
        "min_value",
        "more_rights",
        "not_acceptable",
        "not_authenticated",
        "not_configured",
        "not_found",
        "null",
        "null_characters_not_allowed",
        "parse_error",
        "permission_denied",
        "required",
        "secret_unavailable",
        "surrogate_characters_not_allowed",
        "throttle_unavailable",
        "throttled",
        "unknown_field",
        "unsupported_media_type",
    }
)

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
        hour, code = start_of_hour(timezone.now()), code if code in CODES else OTHER
        known = {each if each in registered() else OTHER for each in products}
        with self._lock:
            self._counts.update((hour, product, code) for product in ("", *known))

    def write_if_due(self, **kwargs: Any) -> None:
        """Receives ``request_finished``."""
        if not self._counts or time.monotonic() < self._due:
            return
        with self._lock:
            counts, self._counts = self._counts, Counter()
            self._due = time.monotonic() + EVERY
        try:
            self._write(counts)
        except Exception as error:  # noqa: BLE001 - every request of the site ends here
            logger.warning("Refusals are not stored yet: %s", type(error).__name__)
        finally:
            with self._lock:
                self._counts += counts

    def _write(self, counts: Counter[_Key]) -> None:
        """What is written is no longer among the counts."""
        for key in sorted(counts):
            HourlyCount.objects.add(*key, counts[key])
            del counts[key]
        # Django has closed the connections of the request already, where they are not kept.
        connections[router.db_for_write(HourlyCount)].close_if_unusable_or_obsolete()


refusals = Refusals()


def count_refusals() -> None:
    access_token_refused.connect(refusals.note)
    request_finished.connect(refusals.write_if_due)
