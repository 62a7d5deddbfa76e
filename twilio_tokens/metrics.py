"""Metrics. The only module that uses OpenTelemetry's API.

Without that package, or without an SDK that collects, it does nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.utils import timezone

from .codes import OTHER, known, known_products
from .models import APIKey

try:
    from opentelemetry import metrics as otel

    _meter: otel.Meter | None = otel.get_meter("twilio_tokens")
except ImportError:
    _meter = None

logger = logging.getLogger(__name__)

#: Seconds. Signing takes microseconds, a request milliseconds.
SIGNING_BUCKETS = (1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 1e-1, 1)
REQUEST_BUCKETS = (1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 1e-1, 2.5e-1, 5e-1, 1, 2.5, 5, 10)

#: Accounts whose keys are reported. With thousands of tenants, a process reports only some.
MOST_KEYS = 100

#: For each account, the key that this process last signed with: its SID, and when it was stored.
_keys: dict[Any, tuple[str, datetime]] = {}


def _ages(options: otel.CallbackOptions) -> Iterator[otel.Observation]:
    for sid, created_at in list(_keys.values()):
        age = (timezone.now() - created_at).total_seconds()
        yield otel.Observation(age, {"twilio_tokens.key_sid": sid})


class _Instruments:
    def __init__(self, meter: otel.Meter) -> None:
        self.issued = meter.create_counter(
            "twilio_tokens.issued", "{token}", "Access Tokens issued, counted once per product."
        )
        self.refused = meter.create_counter(
            "twilio_tokens.refused", "{token}", "Access Tokens refused, counted once per product."
        )
        self.checks = meter.create_counter(
            "twilio_tokens.checks",
            "{check}",
            "Checks of stored credentials with Twilio, by result.",
        )
        self.signing = meter.create_histogram(
            "twilio_tokens.signing.duration",
            "s",
            "Time to decrypt the secret and sign the token.",
            explicit_bucket_boundaries_advisory=SIGNING_BUCKETS,
        )
        self.requests = meter.create_histogram(
            "twilio_tokens.request.duration",
            "s",
            "Time in which the API answers a request for an Access Token.",
            explicit_bucket_boundaries_advisory=REQUEST_BUCKETS,
        )
        self.key_age = meter.create_observable_gauge(
            "twilio_tokens.key.age", [_ages], "s", "Age of the API keys that sign tokens."
        )


def _instruments_of(meter: otel.Meter | None) -> _Instruments | None:
    if meter is None:
        return None
    try:
        return _Instruments(meter)
    except TypeError:  # older versions cannot set the buckets of a histogram
        logger.warning("Metrics are off: they need opentelemetry-api 1.30 or newer.")
        return None


_instruments = _instruments_of(_meter)


def issued(products: Iterable[str], key: APIKey) -> None:
    if _instruments is None:
        return
    for product in products:
        _instruments.issued.add(1, {"twilio_tokens.product": product})
    if key.account_id in _keys or len(_keys) < MOST_KEYS:
        _keys[key.account_id] = key.sid, key.created_at


def refused(products: Iterable[str], code: str) -> None:
    """Once for each product, or for ``OTHER`` if none is known."""
    if _instruments is None:
        return
    for product in known_products(products) or {OTHER}:
        labels = {"twilio_tokens.product": product, "error.type": known(code)}
        _instruments.refused.add(1, labels)


def signed(seconds: float) -> None:
    if _instruments is not None:
        _instruments.signing.record(seconds)


def answered(seconds: float, code: str | None) -> None:
    """``code`` is the error's, if there is one."""
    if _instruments is not None:
        _instruments.requests.record(seconds, {"error.type": known(code)} if code else None)


def checked(kind: str | None, verdict: str) -> None:
    """``kind`` is the name of a model, ``verdict`` an ``Outcome``."""
    if _instruments is not None:
        labels = {"twilio_tokens.kind": kind or OTHER, "twilio_tokens.verdict": verdict}
        _instruments.checks.add(1, labels)
