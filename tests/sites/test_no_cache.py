"""A rate that cannot be kept is no licence to issue without one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sites.caller import Caller
from tests.sites.operator import new_user
from twilio_tokens.models import APIKey, IssuedToken


@pytest.mark.django_db
def test_with_a_rate_no_token_is_issued(settings: Any, api_key: APIKey) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = "60/min"
    caller = Caller(new_user("anna"))
    answer = caller.ask("tokens/video/", {"room": "A"}, status=503)
    assert answer["code"] == "throttle_unavailable"
    assert not IssuedToken.objects.exists()
    assert caller.get().status_code == 200
