"""A room policy that says until when."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from tests.issued import decoded
from twilio_tokens.exceptions import PermissionDenied
from twilio_tokens.grants import Chat, Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import IssuedToken

URL = "/twilio/tokens/video/"


def in_(seconds: float, zone: Any = timezone.utc) -> datetime:
    return datetime.now(zone) + timedelta(seconds=seconds)


@pytest.mark.usefixtures("api_key", "chat_service")
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/New_York"])
def test_a_token_ends_with_the_meeting(
    api: APIClient, user: User, secret: str, settings: Any, zone: str
) -> None:
    end = in_(1_000, ZoneInfo(zone))
    settings.TWILIO_TOKENS_ROOM_POLICY = lambda user, room: end
    for body in ({"room": "a"}, {"room": "a", "ttl": 86_400}):
        answer = api.post(URL, body, format="json").data
        assert decoded(answer["token"], secret)["exp"] == int(end.timestamp())
        assert answer["expires_in"] <= 1_000
        assert answer["refresh_at"] < answer["expires_at"]
    assert api.post(URL, {"room": "a", "ttl": 60}, format="json").data["expires_in"] == 60
    together = issue_access_token(user=user, grants=[Chat(), Video("a")], ttl=3_600)
    assert together.expires_at.timestamp() == int(end.timestamp())
    records = IssuedToken.objects.values_list("expires_at", flat=True)
    assert {int(each.timestamp()) for each in records if each > in_(100)} == {int(end.timestamp())}


@pytest.mark.usefixtures("api_key")
@pytest.mark.parametrize(
    "end", [in_(86_400 * 30), datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))]
)
def test_a_meeting_that_lasts_longer_changes_nothing(
    api: APIClient, settings: Any, end: datetime
) -> None:
    settings.TWILIO_TOKENS_ROOM_POLICY = lambda user, room: end
    assert api.post(URL, {}, format="json").data["expires_in"] == 86_400


@pytest.mark.usefixtures("api_key")
@pytest.mark.parametrize("seconds", [-86_400, -1, 0])
def test_a_meeting_that_is_over_is_no_token(
    api: APIClient, user: User, settings: Any, seconds: int
) -> None:
    settings.TWILIO_TOKENS_ROOM_POLICY = lambda user, room: in_(seconds)
    response = api.post(URL, {}, format="json")
    assert (response.status_code, response.data["code"]) == (403, "permission_denied")
    with pytest.raises(PermissionDenied):
        issue_access_token(user=user, grants=[Video()])
    assert not IssuedToken.objects.exists()


@pytest.mark.usefixtures("api_key")
def test_the_first_day_of_the_calendar_is_over_as_well(api: APIClient, settings: Any) -> None:
    end = datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))
    settings.TWILIO_TOKENS_ROOM_POLICY = lambda user, room: end
    assert api.post(URL, {}, format="json").data["code"] == "permission_denied"


@pytest.mark.usefixtures("api_key")
def test_a_time_without_a_zone_is_a_mistake_of_the_site(
    api: APIClient, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.TWILIO_TOKENS_ROOM_POLICY = lambda user, room: datetime(2100, 1, 1)  # noqa: DTZ001
    response = api.post(URL, {}, format="json")
    assert (response.status_code, response.data["code"]) == (503, "not_configured")
    assert "TWILIO_TOKENS_ROOM_POLICY returned a datetime without a time zone" in caplog.text
