"""What Sentry's SDK sends, kept here instead: as it comes, and as its scrubber would leave it."""

from __future__ import annotations

import json
import warnings
from typing import Any

import sentry_sdk
from django.apps import AppConfig
from sentry_sdk.envelope import Envelope
from sentry_sdk.scrubber import EventScrubber
from sentry_sdk.transport import Transport


class Collector(Transport):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.events += [
            json.loads(item.get_bytes()) for item in envelope.items if item.type == "event"
        ]


collector = Collector()


def start(*, is_scrubbed: bool, send_default_pii: bool) -> None:
    """As a site does, with its settings."""
    with warnings.catch_warnings():
        # Newer versions have a finer option beside send_default_pii.
        warnings.simplefilter("ignore", DeprecationWarning)
        sentry_sdk.init(
            dsn="https://public@sentry.invalid/1",
            transport=collector,
            include_local_variables=True,
            send_default_pii=send_default_pii,
            max_request_body_size="always",
            event_scrubber=None if is_scrubbed else EventScrubber(denylist=[], pii_denylist=[]),
        )


class SentryConfig(AppConfig):
    name = "tests.sites"
    label = "sentry"

    def ready(self) -> None:
        start(is_scrubbed=True, send_default_pii=False)
