"""Functions of the site that the settings name."""

from __future__ import annotations

from typing import Any

from django.conf import settings


def encryption_keys() -> list[str]:
    """As they are now: the site is not started again to change them."""
    keys: list[str] = (settings.FOLDER / "keys").read_text().split()
    return keys


def is_room_of_a_group(user: Any, room: str | None) -> bool:
    """A room is for the group of its name; the database is asked in each request."""
    return room is None or user.groups.filter(name=room).exists()
