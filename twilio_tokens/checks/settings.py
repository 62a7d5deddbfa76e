"""Checks of the ``TWILIO_TOKENS_*`` settings. Their messages are in English, as Django's are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.utils.translation import override

from twilio_tokens.conf import NAMES, settings
from twilio_tokens.crypto import load_key_ring
from twilio_tokens.exceptions import EncryptionKeyError, SettingError
from twilio_tokens.grants import registered


@register(Tags.security)
def check_key_ring(**kwargs: Any) -> list[CheckMessage]:
    try:
        load_key_ring()
    except EncryptionKeyError as error:
        if error.is_missing:
            return [
                checks.Warning(
                    "TWILIO_TOKENS_ENCRYPTION_KEYS is not set: no API key can be stored, and no "
                    "Access Token can be issued.",
                    hint="Generate a key with “manage.py twilio_generate_key”, and set "
                    'TWILIO_TOKENS_ENCRYPTION_KEYS = ["<the key>"], read from the environment.',
                    id="twilio_tokens.W001",
                )
            ]
        with override("en"):
            problems = [str(each) for each in error.problems.values()]
        return [
            checks.Error(
                problem,
                hint="List the newest key first, and keep every key that a stored secret needs.",
                id="twilio_tokens.E001",
            )
            for problem in problems
        ]
    return []


def _unusable(check_id: str, hint: str, *reads: Callable[[], Any]) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    for read in reads:
        try:
            read()
        except SettingError as error:
            messages.append(
                checks.Error(error.log_reason, hint=hint, id=f"twilio_tokens.{check_id}")
            )
    return messages


@register(Tags.security)
def check_ttls(**kwargs: Any) -> list[CheckMessage]:
    messages = _unusable(
        "E002",
        'For example: {"voice": 600}. Products that you omit keep their defaults.',
        lambda: settings.ttls,
        lambda: settings.max_ttl,
    )
    if not messages:
        messages = [
            checks.Warning(
                f"TWILIO_TOKENS_TTL names {product!r}, which is not a registered product.",
                hint=f"The products are {', '.join(registered())}.",
                id="twilio_tokens.W002",
            )
            for product in settings.ttls.keys() - registered().keys()
        ]
    return messages


@register(Tags.security)
def check_callables(**kwargs: Any) -> list[CheckMessage]:
    return _unusable(
        "E003",
        "Set it to a function, or to its dotted path as a string.",
        lambda: settings.identity,
        lambda: settings.account,
        lambda: settings.worker,
        lambda: settings.room_policy,
        lambda: settings.params,
        lambda: settings.http_client,
    )


@register(Tags.security)
def check_other_settings(**kwargs: Any) -> list[CheckMessage]:
    return _unusable(
        "E004",
        "See docs/reference/settings.md.",
        lambda: settings.room_required,
        lambda: settings.audit,
        lambda: settings.log_identity,
        lambda: settings.throttle_rate,
        lambda: settings.credential_cache_seconds,
    )


@register(Tags.security)
def check_setting_names(**kwargs: Any) -> list[CheckMessage]:
    """A misspelt ``TWILIO_TOKENS_ROOM_POLICY`` would open every room."""
    return [
        checks.Warning(
            f"{name} is not a setting of django-twilio-tokens and has no effect.",
            hint=f"The settings are {', '.join(NAMES)}.",
            id="twilio_tokens.W003",
        )
        for name in dir(django_settings)
        if name.startswith("TWILIO_TOKENS_") and name not in NAMES
    ]
