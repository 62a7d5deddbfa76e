"""Keeps a posted secret out of Django's error pages and of its mails to ADMINS."""

from __future__ import annotations

from pprint import pformat
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter

#: Form fields that a secret may be typed into, by mistake too.
FIELDS = ("secret", "sid")


class PostedSecretFilter(SafeExceptionReporterFilter):
    """Set as a request's ``exception_reporter_filter``, it works with DEBUG on as well.

    Django's ``sensitive_post_parameters`` and ``sensitive_variables`` do so only with it off,
    and they cover only the functions that they decorate.
    """

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        if request is None:
            return {}
        cleansed = request.POST.copy()
        for field in FIELDS:
            if field in cleansed:
                cleansed[field] = self.cleansed_substitute
        return cleansed

    def get_traceback_frame_variables(self, request: Any, tb_frame: Any) -> Any:
        posted = [value.strip() for field in FIELDS for value in request.POST.getlist(field)]
        secrets = [value for value in posted if value]
        return [
            (name, self._cleansed(value, secrets))
            for name, value in super().get_traceback_frame_variables(request, tb_frame)
        ]

    def _cleansed(self, value: Any, secrets: list[str]) -> Any:
        try:
            text = pformat(value)
        except Exception:  # noqa: BLE001 - any object's repr may fail; the error page shows that itself
            return self.cleansed_substitute
        return self.cleansed_substitute if any(each in text for each in secrets) else value
