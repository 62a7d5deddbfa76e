"""What Sentry's SDK would send, kept here instead."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import sentry_sdk
from django.apps import AppConfig
from sentry_sdk.envelope import Envelope
from sentry_sdk.scrubber import DEFAULT_DENYLIST, EventScrubber
from sentry_sdk.transport import Transport

events: list[dict[str, Any]] = []


class Collector(Transport):
    def capture_envelope(self, envelope: Envelope) -> None:
        events.extend(json.loads(item.get_bytes()) for item in envelope.items)


def start(
    *, send_default_pii: bool = False, hidden: list[str] | None = None, **options: Any
) -> None:
    """With the variables of every frame, whole bodies, breadcrumbs and traces.

    What Sentry hides by name are its defaults and ``hidden``; with None it hides nothing.
    """
    denylist = [] if hidden is None else [*DEFAULT_DENYLIST, *hidden]
    with warnings.catch_warnings():
        # Newer versions have a finer option beside send_default_pii.
        warnings.simplefilter("ignore", DeprecationWarning)
        sentry_sdk.init(
            dsn="https://public@sentry.invalid/1",
            transport=Collector,
            include_local_variables=True,
            max_request_body_size="always",
            traces_sample_rate=1.0,
            send_default_pii=send_default_pii,
            event_scrubber=EventScrubber(denylist=denylist, pii_denylist=[]),
            **options,
        )


def frames() -> Iterator[dict[str, Any]]:
    for event in events:
        for error in event.get("exception", {}).get("values", []):
            yield from error.get("stacktrace", {}).get("frames", [])


class SentryConfig(AppConfig):
    name = "tests.sites"
    label = "sentry"

    def ready(self) -> None:
        start()
