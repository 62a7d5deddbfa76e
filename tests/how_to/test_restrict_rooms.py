"""Rooms that are not for everybody, as ``docs/how-to/restrict-rooms.md`` has them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User

from tests.how_to.sites import on_site
from tests.issued import decoded
from twilio_tokens.exceptions import InvalidGrant, PermissionDenied
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey

PAGE = "docs/how-to/restrict-rooms.md"
PERMISSION = "By permission for one room"


def may_join(user: User, secret: str, room: str | None = "Board") -> bool:
    try:
        issued = issue_access_token(user=user, grants=[Video(room=room)])
    except PermissionDenied:
        return False
    return decoded(issued.token, secret)["grants"]["video"] == {"room": room}


def check_other_rooms(user: User, secret: str) -> None:
    assert not may_join(user, secret, "board")
    assert not may_join(user, secret, "Cellar")
    with pytest.raises(InvalidGrant, match="requires a room"):
        may_join(user, secret, None)


@on_site(PAGE, "", "By group")
def test_members_of_a_group_may_join_its_rooms(user: User, api_key: APIKey, secret: str) -> None:
    from mysite.models import Room  # noqa: PLC0415 - only this site has it

    group = Group.objects.create(name="Directors")
    Room.objects.create(name="Board").groups.add(group)
    Room.objects.create(name="Cellar")
    assert not may_join(user, secret)
    user.groups.add(group)
    assert may_join(user, secret)
    check_other_rooms(user, secret)


@on_site(PAGE, "", PERMISSION, "django-guardian", needs=("guardian",))
def test_a_permission_of_guardian_opens_one_room(user: User, api_key: APIKey, secret: str) -> None:
    from guardian.shortcuts import assign_perm  # noqa: PLC0415 - only this site has it
    from mysite.models import Room  # noqa: PLC0415 - likewise

    host = User.objects.create_user("host")
    room, _other = (Room.objects.create(name=name, host=host) for name in ("Board", "Cellar"))
    assert not may_join(user, secret)
    assign_perm("mysite.join_room", user, room)
    user = User.objects.get(pk=user.pk)
    assert may_join(user, secret)
    check_other_rooms(user, secret)


@on_site(PAGE, "", PERMISSION, "rules", needs=("rules",))
def test_rules_say_who_may_join(user: User, api_key: APIKey, secret: str) -> None:
    from mysite.models import Room  # noqa: PLC0415 - only this site has it

    host = User.objects.create_user("host")
    room, _other = (Room.objects.create(name=name, host=host) for name in ("Board", "Cellar"))
    assert may_join(host, secret)
    assert not may_join(user, secret)
    Room.objects.filter(pk=room.pk).update(host=user)
    assert may_join(user, secret)
    check_other_rooms(user, secret)
    user.is_staff = True
    assert may_join(user, secret, "Cellar")
