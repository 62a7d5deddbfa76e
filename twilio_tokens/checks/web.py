"""Who else may reach the API, and how it is reached."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register


@register(Tags.security)
def check_cors(**kwargs: Any) -> list[CheckMessage]:
    if getattr(django_settings, "CORS_ALLOW_ALL_ORIGINS", False):
        return [
            checks.Warning(
                "CORS_ALLOW_ALL_ORIGINS lets the pages of any site ask for Access Tokens in the "
                "name of your users.",
                hint="List your own front ends in CORS_ALLOWED_ORIGINS instead.",
                id="twilio_tokens.W004",
            )
        ]
    return []


@register(Tags.compatibility)
def check_rest_framework(**kwargs: Any) -> list[CheckMessage]:
    if "rest_framework" not in django_settings.INSTALLED_APPS:
        return [
            checks.Warning(
                "The browsable API needs the templates of Django REST framework.",
                hint='Add "rest_framework" to INSTALLED_APPS.',
                id="twilio_tokens.W005",
            )
        ]
    return []
