"""Rooms that are open while a meeting lasts, as ``docs/how-to/schedule-meetings.md`` has them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client as TwilioClient

from tests.how_to.sites import on_site
from tests.issued import decoded
from tests.rows import sid
from twilio_tokens.exceptions import PermissionDenied
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey

PAGE = "docs/how-to/schedule-meetings.md"


@on_site(PAGE)
def test_a_token_ends_with_the_meeting(user: User, api_key: APIKey, secret: str) -> None:
    from mysite.models import Meeting  # noqa: PLC0415 - only this site has it

    def expires_at() -> int:
        token = issue_access_token(user=user, grants=[Video(room="Board")]).token
        return decoded(token, secret)["exp"]

    now = timezone.now()
    meeting = Meeting.objects.create(
        room="Board", starts_at=now + timedelta(minutes=5), ends_at=now + timedelta(hours=1)
    )
    with pytest.raises(PermissionDenied):
        expires_at()
    meeting.participants.add(user)
    assert expires_at() == int(meeting.ends_at.timestamp())
    meeting.ends_at = now + timedelta(hours=2)
    meeting.save()
    assert expires_at() == int(meeting.ends_at.timestamp())
    for times in (
        {"starts_at": now + timedelta(minutes=20)},
        {"starts_at": now - timedelta(hours=1), "ends_at": now},
    ):
        Meeting.objects.update(**times)
        with pytest.raises(PermissionDenied):
            expires_at()


class Rooms(TwilioHttpClient):
    """Twilio, with one room in progress."""

    asked: list[tuple[str, str, Any, Any]]

    def request(
        self, method: str, url: str, params: Any = None, data: Any = None, *args: Any, **kwargs: Any
    ) -> Response:
        self.asked.append((method, url, params, data))
        room = {"sid": sid("RM")}
        answer = {"rooms": [room], "meta": {"key": "rooms"}} if method == "GET" else room
        return Response(200, json.dumps(answer))


@on_site(PAGE)
def test_closing_a_room_completes_it() -> None:
    from mysite.closing import close  # noqa: PLC0415 - only this site has it

    rooms = Rooms()
    rooms.asked = []
    close(TwilioClient(sid("AC"), "auth token", http_client=rooms), "Board")
    listed, closed = rooms.asked
    assert (listed[2]["UniqueName"], listed[2]["Status"]) == ("Board", "in-progress")
    assert closed[:2] == ("POST", f"https://video.twilio.com/v1/Rooms/{sid('RM')}")
    assert closed[3]["Status"] == "completed"
