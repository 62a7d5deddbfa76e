"""Who may join which Video room: the site's ``TWILIO_TOKENS_ROOM_POLICY``."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User

from .models import Meeting


def may_join(user: User, room: str | None) -> bool | datetime:
    """While a meeting is open, those who are invited. Their tokens expire with the meeting."""
    # Twilio tells upper case from lower case in rooms; not every database does.
    for meeting in Meeting.objects.of(user).filter(room=room):
        if meeting.room == room and meeting.is_open:
            return meeting.ends or True
    return False
