"""Who may join which Video room: the site's ``TWILIO_TOKENS_ROOM_POLICY``."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser

from .models import Meeting


def may_join(user: AbstractBaseUser, room: str | None) -> bool | datetime:
    """While a meeting is open, those who are invited. Their tokens expire with the meeting."""
    for meeting in open_to(user):
        if meeting.room == room:
            return meeting.ends or True
    return False


def open_to(user: AbstractBaseUser | AnonymousUser) -> list[Meeting]:
    return [meeting for meeting in Meeting.objects.of(user) if meeting.is_open]
