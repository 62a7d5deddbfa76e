"""A site's own handler of REST framework's errors."""

from typing import Any

from rest_framework.response import Response
from rest_framework.views import exception_handler


def wrapped(error: Exception, context: dict[str, Any]) -> Response | None:
    response = exception_handler(error, context)
    return response and Response({"ok": False, "error": str(error)}, response.status_code)
