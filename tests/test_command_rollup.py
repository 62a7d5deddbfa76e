from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone as django_timezone

from twilio_tokens.models import APIKey

from .issued import record

NOON = datetime(2026, 3, 10, 12, 30, tzinfo=timezone.utc)


@pytest.mark.parametrize("use_tz", [True, False])
def test_it_says_how_far_it_is_and_how_many_it_has_counted(
    use_tz: bool, api_key: APIKey, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.USE_TZ, settings.TIME_ZONE = use_tz, "Asia/Tokyo"
    with time_machine.travel(NOON, tick=False):
        now = django_timezone.now()
        for days in (1, 1, 0):
            at = now - timedelta(days=days, hours=2)
            record(issued_at=at, expires_at=at)
        call_command("twilio_rollup")
        output = capsys.readouterr()
        assert output.out == "Counted 3 issued tokens.\n"
        hour = (django_timezone.localtime(now) if use_tz else now).strftime("%H:00")
        assert output.err.splitlines() == ["2026-03-10 00:00: 2", f"2026-03-10 {hour}: 3"]
        call_command("twilio_rollup", verbosity=0)
        assert capsys.readouterr() == ("Counted 0 issued tokens.\n", "")
