"""Keeps a posted secret out of Django's error pages and of its mails to ADMINS."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
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
            text = _unquoted(repr(value))
        except Exception:  # noqa: BLE001 - any object's repr may fail; the error page shows that itself
            return self.cleansed_substitute
        is_shown = any(_unquoted(repr(each)[1:-1]) in text for each in secrets)
        return self.cleansed_substitute if is_shown else value


class TokenFilter(PostedSecretFilter):
    """For pages that show live tokens. Any variable may hold a token, or the parts of one."""

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        return dict.fromkeys(request.POST if request else (), self.cleansed_substitute)

    def get_traceback_frame_variables(self, request: Any, tb_frame: Any) -> Any:
        return [(name, self.cleansed_substitute) for name in tb_frame.f_locals]


def hide_posted_secrets(
    view: Callable[..., Any], reporter_filter: type[PostedSecretFilter] = PostedSecretFilter
) -> Callable[..., Any]:
    """Decorates a view, outermost: a failing database is met while the session is read."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        request.exception_reporter_filter = reporter_filter()
        return view(request, *args, **kwargs)

    return wrapper


def hide_tokens(view: Callable[..., Any]) -> Callable[..., Any]:
    return hide_posted_secrets(view, TokenFilter)


def _unquoted(text: str) -> str:
    """Without the backslashes that ``repr()`` adds, or not, depending on what stands around."""
    return text.replace("\\", "")
