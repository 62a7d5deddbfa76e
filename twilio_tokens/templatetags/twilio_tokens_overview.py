from __future__ import annotations

from typing import Any

from django import template

from twilio_tokens.overview import overview

register = template.Library()


@register.inclusion_tag("admin/twilio_tokens/overview.html")
def twilio_tokens_overview(user: Any) -> dict[str, Any]:
    return {"lines": overview(user)}
