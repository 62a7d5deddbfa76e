"""Video: rooms. SDK: twilio-video 2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.timezone import is_aware
from django.utils.translation import gettext_lazy as _

from twilio_tokens.characters import PATTERN, misleading, shown, without_invisible
from twilio_tokens.conf import answer_of, settings
from twilio_tokens.exceptions import PermissionDenied, SettingError

from .base import Grant, Note, register
from .fields import Example, FieldKind
from .identity_rule import IdentityRule

if TYPE_CHECKING:
    from twilio.jwt.access_token.grants import VideoGrant

#: Characters. Twilio does not publish a limit for the length of a room name.
ROOM_MAX_LENGTH = 128


@register
@dataclass(frozen=True)
class Video(Grant):
    product = "video"
    label = _("Video")
    default_ttl = 86_400
    identity_rule = IdentityRule(  # https://www.twilio.com/docs/api/errors/53200
        128, counts_wide=True, error_if_illegal=53200, error_if_missing=53200
    )
    example = Example({"room": "DailyStandup"}, {"room": "DailyStandup"})
    offered = MappingProxyType({"room_required": FieldKind.BOOLEAN})

    room: str | None = field(
        default=None,
        metadata={
            "label": _("Room"),
            "max_length": ROOM_MAX_LENGTH,
            "pattern": PATTERN,
            "help_text": _(
                "The room's unique name or SID. If omitted, the token gives access to every room."
            ),
        },
    )

    @classmethod
    def offer(cls) -> dict[str, Any]:
        return {"room_required": settings.room_required}

    def clean(self) -> None:
        super().clean()
        if self.room is None:
            if settings.room_required:
                raise self.invalid("room", _("This site requires a room."), "required")
        elif not without_invisible(self.room):
            raise self.invalid("room", _("This field may not be blank."), "blank")
        elif illegal := misleading(self.room):
            message = _("Control characters are not allowed: %(character)s.")
            raise self.invalid("room", message % {"character": shown(illegal)})

    def authorize(self, user: AbstractBaseUser, resources: Mapping[str, Any]) -> datetime | None:
        policy = settings.room_policy
        if policy is None:
            return None
        answer = answer_of("ROOM_POLICY", policy, user, self.room)
        if isinstance(answer, datetime):
            if not is_aware(answer):
                raise SettingError(
                    _(
                        "The function in TWILIO_TOKENS_ROOM_POLICY returned a datetime without a "
                        "time zone."
                    )
                )
            return answer
        # Only True allows it: the coroutine that an async function returns is truthy as well.
        if answer is not True:
            raise PermissionDenied(_("You may not join this room."))
        return None

    def to_twilio(self, user: AbstractBaseUser, resources: Mapping[str, Any]) -> VideoGrant:
        from twilio.jwt.access_token.grants import VideoGrant

        return VideoGrant(room=self.room)

    @classmethod
    def sdk_notes(
        cls, payload: Mapping[str, Any], *, identity: str, issued_at: datetime, expires_at: datetime
    ) -> Iterator[Note]:
        if payload.get("room"):
            text = _(
                "Gives access only to the room “%(room)s”. Twilio's servers enforce this; the SDK "
                "does not check it."
            )
            yield Note(text % {"room": payload["room"]})
        else:
            yield Note(_("Gives access to every room of the account."))
        yield Note(
            _(
                "The token must be valid when the user joins and at every reconnect. You cannot "
                "replace the token of a room: if the connection is lost after %(at)s, the user "
                "is disconnected with error 20104."
            ),
            expires_at,
        )
