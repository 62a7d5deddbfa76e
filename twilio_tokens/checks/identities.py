"""Checks that an identity stays with one person. See docs/identity.md."""

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
    """Setting it, even to the default, silences this."""
    if django_settings.is_overridden("TWILIO_TOKENS_IDENTITY"):  # type: ignore[misc]
        return []
    return [
        checks.Info(
            "The username is the user's identity at Twilio. A user who is renamed loses access to "
            "their chats, and a user who takes over another user's old username gets that user's "
            "chats.",
            hint=f"With {PRIMARY_KEY}, an identity stays with one person. If usernames never "
            'change hands on your site, set it to "twilio_tokens.identity.username". See '
            "docs/identity.md.",
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
            f"The username, “{field.name}”, is not unique: to Twilio, two users with the same "
            "name are one person, with the same chats and calls.",
            hint=f"Set {PRIMARY_KEY}, or make the field unique. See docs/identity.md.",
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
            f"The username, “{field.name}”, may be empty. A user without a username has no "
            "identity and gets no token (identity_not_allowed).",
            hint=f"Set {PRIMARY_KEY}, or give every user a username. See docs/identity.md.",
            obj=field,
            id="twilio_tokens.W052",
        )
    ]


@register(Tags.security, deploy=True)
def check_usernames_stay(**kwargs: Any) -> list[CheckMessage]:
    """For other kinds of usernames, a check cannot know whether users may change them."""
    field = _username_field()
    if field is None or not isinstance(field, EmailField):
        return []
    return [
        checks.Warning(
            f"The username, “{field.name}”, is an email address. People who change theirs lose "
            "access to their chats, and if an address passes to another person, so do the chats.",
            hint=f"Set {PRIMARY_KEY}. See docs/identity.md.",
            obj=field,
            id="twilio_tokens.W053",
        )
    ]


def _username_field() -> Any:  # noqa: ANN401 - any field of a custom user model
    """None if the identity does not come from it."""
    try:
        if settings.identity not in (username, encoded_username):
            return None
    except SettingError:
        return None  # another check reports it
    model = get_user_model()
    return model._meta.get_field(model.USERNAME_FIELD)


def _is_unique(field: Any) -> bool:  # noqa: ANN401 - as above
    constraints = field.model._meta.total_unique_constraints
    return field.unique or any(each.fields == (field.name,) for each in constraints)
