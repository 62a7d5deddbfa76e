"""The console's answer when the database fails, instead of Django's bare 500."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import DataError, Error, IntegrityError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

from twilio_tokens.error_reports import outside_transactions

logger = logging.getLogger(__name__)


def tells_of_failures(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Make a view answer 503 with an explanation when the database cannot be read or written.

    With DEBUG on, Django's own page says more. Values that the database refuses are a bug, in this
    app or in the site, and are reported as such.
    """

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except (DataError, IntegrityError):
            raise
        except Error as error:
            if settings.DEBUG:
                raise
            reported = {"request": request, "status_code": 503}
            logger.exception("The database failed: %s", request.path, extra=reported)
            # A plain page: a theme might ask the database who is signed in.
            page = render_to_string(
                "admin/twilio_tokens/database_failed.html", {"error": type(error).__name__}
            )
            return HttpResponse(page, status=503, headers={"Cache-Control": "no-store"})

    return outside_transactions(wrapper)
