from __future__ import annotations

from typing import Any

from django import template
from django.template import RequestContext

from twilio_tokens.admin.overview import dashboard, overview

register = template.Library()


@register.inclusion_tag("admin/twilio_tokens/overview.html", takes_context=True)
def twilio_tokens_overview(context: RequestContext) -> dict[str, Any]:
    """For the user and the admin site of the page."""
    request = context.request  # available even without the context processor of that name
    user, site = request.user, request.current_app
    return {"lines": overview(user, site), "dashboard_url": dashboard(user, site)}
