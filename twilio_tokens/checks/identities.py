"""Whether an identity stays with one person. See docs/identity.md."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db.models import EmailField

from twilio_tokens.conf import settings
from twilio_tokens.exceptions import SettingError
from twilio_tokens.identity import encoded_username, username

PRIMARY_KEY = 'TWILIO_TOKENS_IDENTITY = "twilio_tokens.identity.primary_key"'


@register(Tags.security, deploy=True)
def check_username_is_chosen(**kwargs: Any) -> list[CheckMessage]:
    """Once the setting is written down, the choice is made, and this is silent."""
    if django_settings.is_overridden("TWILIO_TOKENS_IDENTITY"):  # type: ignore[misc]
        return []
    return [
        checks.Info(
            "The username is the identity at Twilio. Who renames a user cuts them off from their "
            "chats; whoever gets a username that was another's gets that person's chats.",
            hint=f"{PRIMARY_KEY} stays with one person. If no username changes hands on your "
            'site, set it to "twilio_tokens.identity.username". See docs/identity.md.',
            id="twilio_tokens.I050",
        )
    ]


@register(Tags.security, deploy=True)
def check_usernames_are_one_persons(**kwargs: Any) -> list[CheckMessage]:
    field = _username_field()
    if field is None or _is_unique(field):
        return []
    return [
        checks.Warning(
            f"The username, “{field.name}”, is not unique: two users of one name are one person "
            "to Twilio, with the same chats and calls.",
            hint=f"{PRIMARY_KEY}, or unique=True. See docs/identity.md.",
            obj=field,
            id="twilio_tokens.W051",
        )
    ]


@register(Tags.security, deploy=True)
def check_usernames_are_not_empty(**kwargs: Any) -> list[CheckMessage]:
    field = _username_field()
    if field is None or not (field.null or field.blank):
        return []
    return [
        checks.Warning(
            f"The username, “{field.name}”, may be empty. Such a user has no identity and gets no "
            "token (identity_not_allowed).",
            hint=f"{PRIMARY_KEY}, or a username for everybody. See docs/identity.md.",
            obj=field,
            id="twilio_tokens.W052",
        )
    ]


@register(Tags.security, deploy=True)
def check_usernames_stay(**kwargs: Any) -> list[CheckMessage]:
    """Whether users may change another kind of username, no check can know."""
    field = _username_field()
    if field is None or not isinstance(field, EmailField):
        return []
    return [
        checks.Warning(
            f"The username, “{field.name}”, is an e-mail address. People change theirs, which cuts "
            "them off from their chats, and an address that is given to somebody else gives that "
            "person the chats.",
            hint=f"{PRIMARY_KEY}. See docs/identity.md.",
            obj=field,
            id="twilio_tokens.W053",
        )
    ]


def _username_field() -> Any:  # noqa: ANN401 - whatever field the site's user model has
    """None where the identity does not come from it."""
    try:
        if settings.identity not in (username, encoded_username):
            return None
    except SettingError:
        return None  # another check says so
    model = get_user_model()
    return model._meta.get_field(model.USERNAME_FIELD)


def _is_unique(field: Any) -> bool:  # noqa: ANN401 - as above
    constraints = field.model._meta.total_unique_constraints
    return field.unique or any(each.fields == (field.name,) for each in constraints)
