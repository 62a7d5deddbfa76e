"""Keeps secrets and tokens out of Django's error pages and emails to ADMINS.

``hide_posted_secrets`` and ``hide_tokens`` guard a view from its first line. A signal receiver
covers errors before that, and the two classes, which a site names in its settings, cover what
Django reports without the signal.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, ItemsView, Iterable, Mapping
from enum import Enum
from functools import cache, wraps
from types import FrameType, GeneratorType
from typing import Any, TypeVar
from urllib.parse import unquote

from django.contrib.auth.decorators import login_not_required
from django.core.signals import got_request_exception
from django.db import connections, transaction
from django.dispatch import receiver
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.urls import resolve
from django.views.debug import (
    ExceptionReporter,
    SafeExceptionReporterFilter,
    get_exception_reporter_class,
    get_exception_reporter_filter,
)

#: Form fields into which people type a secret or a token, even by mistake. Formsets prefix them.
_FIELD = re.compile(r"(?:.*-)?(?:secret|sid|token)")

#: On the admin pages of this app, a possible secret in any field.
_SECRET_LIKE = re.compile(r"[!-~]{16}")

#: Starts at the end of a token's header: its beginning could be anywhere in a long text.
_TOKEN = re.compile(r"[\w-]{8}\.eyJ[\w-]{8,}\.[\w-]{8}")

_WITHOUT_BODY = ("GET", "HEAD", "OPTIONS", "TRACE")

#: This many consecutive characters of a secret are hidden: a report may have cut off the rest.
PIECE = 12

#: Characters and values. Anything beyond is hidden unread: an error must not take minutes.
LONGEST_SECRET, LONGEST_TEXT, MOST_SECRETS = 256, 50_000, 50


_Answer = TypeVar("_Answer", bound=HttpResponseBase)
_Posted = TypeVar("_Posted", bound=Mapping[str, Any])


class Exposure(Enum):
    """What an error report of a view could reveal."""

    NOTHING_OF_OURS = "a page of the site"
    SECRETS = "a secret may have been posted"
    TOKENS = "any variable may hold a token, or the parts of one"


class SecretsReporterFilter(SafeExceptionReporterFilter):
    """For ``DEFAULT_EXCEPTION_REPORTER_FILTER``. It also works with DEBUG on.

    Django's ``sensitive_post_parameters`` and ``sensitive_variables`` work only with DEBUG off,
    and cover only the functions that they decorate.
    """

    #: Django, and other users of this filter, must hide SID fields too: they may hold a secret.
    hidden_settings = re.compile(
        rf"{SafeExceptionReporterFilter.hidden_settings.pattern}|^(?:.*-)?sid$", re.IGNORECASE
    )

    #: Set for a guarded view; otherwise the request's URL determines it.
    exposure: Exposure | None = None

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        if request is None:
            return {}
        exposure = self._exposure(request)
        posted = _readable(lambda: super(SecretsReporterFilter, self).get_post_parameters(request))
        return {
            name: self.cleansed_substitute if _is_hidden(name, value, exposure) else value
            for name, value in posted.items()
        }

    def get_safe_request_meta(self, request: HttpRequest) -> dict[str, Any]:
        return self._cleansed_items(request, super().get_safe_request_meta(request))

    def get_safe_cookies(self, request: HttpRequest) -> dict[str, Any]:
        return self._cleansed_items(request, super().get_safe_cookies(request))

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, object]:
        secrets = self.secrets_in(request)
        if secrets is None or self._exposure(request) is Exposure.TOKENS:
            return dict.fromkeys(tb_frame.f_locals, self.cleansed_substitute).items()
        variables = super().get_traceback_frame_variables(request, tb_frame)
        return {name: self.cleansed(value, secrets) for name, value in variables}.items()

    def secrets_in(self, request: HttpRequest | None) -> list[str] | None:
        """The submitted values that may be secrets; None if they cannot be determined."""
        if request is None:
            return []
        exposure = self._exposure(request)
        posted = _readable(lambda: request.POST)
        if exposure is Exposure.SECRETS and request.method not in _WITHOUT_BODY and not posted:
            return None
        fields = [*posted.lists(), *_readable(lambda: request.GET).lists()]
        secrets = {
            value.strip()[:LONGEST_SECRET]
            for name, values in fields
            for value in map(str, values)
            if value.strip() and _is_hidden(name, value, exposure)
        }
        return list(secrets) if len(secrets) <= MOST_SECRETS else None

    def cleansed(
        self, value: object, secrets: Iterable[str], as_text: Callable[[object], str] = repr
    ) -> object:
        try:
            text = as_text(value)
        except Exception:  # noqa: BLE001 - any object's repr may fail; the error page shows that itself
            return self.cleansed_substitute
        is_hidden = len(text) > LONGEST_TEXT or _TOKEN.search(text) or _shows(text, secrets)
        return self.cleansed_substitute if is_hidden else value

    def _cleansed_items(self, request: object, items: dict[str, Any]) -> dict[str, Any]:
        secrets = self.secrets_in(request if isinstance(request, HttpRequest) else None)
        if secrets is None:
            return dict.fromkeys(items, self.cleansed_substitute)
        return {name: self.cleansed(value, secrets) for name, value in items.items()}

    def _exposure(self, request: HttpRequest | None) -> Exposure:
        return self.exposure or _exposure_at(request)


class SecretsReporter(ExceptionReporter):
    """For ``DEFAULT_EXCEPTION_REPORTER``: also hides secrets in the text of exceptions."""

    def get_traceback_data(self) -> dict[str, Any]:
        data: dict[str, Any] = super().get_traceback_data()
        of_site = self.filter
        by = of_site if isinstance(of_site, SecretsReporterFilter) else SecretsReporterFilter()
        secrets = by.secrets_in(self.request)
        if secrets is None:
            texts = {"exception_value", "exception_notes", "unicode_hint", "request_insecure_uri"}
            data |= dict.fromkeys(texts & data.keys(), by.cleansed_substitute)
            data["request_GET_items"] = []
        return {name: _cleansed(value, by, secrets or []) for name, value in data.items()}


def _cleansed(value: object, by: SecretsReporterFilter, secrets: list[str]) -> object:
    if isinstance(value, dict):
        return {name: _cleansed(each, by, secrets) for name, each in value.items()}
    if isinstance(value, (list, tuple, ItemsView, GeneratorType)):
        return [_cleansed(each, by, secrets) for each in value]
    if isinstance(value, (str, BaseException)):
        return by.cleansed(value, secrets, as_text=str)
    return value


def hide_posted_secrets(view: Callable[..., _Answer]) -> Callable[..., _Answer]:
    """Guards a view that receives secrets. The view checks itself who the user is."""
    return _guarded(view, Exposure.SECRETS)


def hide_tokens(view: Callable[..., _Answer]) -> Callable[..., _Answer]:
    """Guards a view that shows or receives live tokens. The view checks itself who the user is."""
    return _guarded(view, Exposure.TOKENS)


def protect_report(request: HttpRequest, exposure: Exposure = Exposure.TOKENS) -> None:
    """From now on, error reports of this request show neither secrets nor tokens.

    What the site's own classes hide stays hidden.
    """
    site_filter: Any = type(get_exception_reporter_filter(request))
    request.exception_reporter_filter = _combined(SecretsReporterFilter, site_filter)()
    request.exception_reporter_filter.exposure = exposure  # type: ignore[attr-defined]
    site_reporter: Any = get_exception_reporter_class(request)
    request.exception_reporter_class = _combined(SecretsReporter, site_reporter)


@receiver(got_request_exception, dispatch_uid="twilio_tokens.error_reports")
def _protect_before_the_view(request: HttpRequest | None = None, **kwargs: Any) -> None:
    """Django sends this before it reports, for example if middleware or the database failed."""
    exposure = _exposure_at(request)
    if request is not None and exposure is not Exposure.NOTHING_OF_OURS:
        protect_report(request, exposure)


def _guarded(view: Callable[..., _Answer], exposure: Exposure) -> Callable[..., _Answer]:
    """The view opens its own transactions, as Django's admin does, and checks who the user is.

    So with ATOMIC_REQUESTS, a lost database connection is noticed inside the guard.
    """

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> _Answer:
        protect_report(request, exposure)
        return view(request, *args, **kwargs)

    wrapper.exposure = exposure  # type: ignore[attr-defined]
    return outside_transactions(login_not_required(wrapper))


def outside_transactions(view: Callable[..., _Answer]) -> Callable[..., _Answer]:
    """The view, without a transaction around it even with ATOMIC_REQUESTS."""
    for alias in connections:
        view = transaction.non_atomic_requests(using=alias)(view)
    return view


@cache
def _combined(ours: type[Any], theirs: type[Any]) -> type[Any]:
    return theirs if issubclass(theirs, ours) else type(ours.__name__, (ours, theirs), {})


def _exposure_at(request: HttpRequest | None) -> Exposure:
    """That of the view at the request's URL. A URL that cannot be resolved counts as ours."""
    if request is None:
        return Exposure.NOTHING_OF_OURS
    match = request.resolver_match
    if match is None:
        try:
            match = resolve(request.path_info, getattr(request, "urlconf", None))
        except Exception:  # noqa: BLE001 - the site's URLs may be what has failed
            return Exposure.SECRETS
    return getattr(match.func, "exposure", Exposure.NOTHING_OF_OURS)


def _readable(read: Callable[[], _Posted]) -> _Posted | QueryDict:
    """The submitted data; empty if reading it fails, which may be the error being reported."""
    try:
        return read()
    except Exception:  # noqa: BLE001 - whatever a request raises that is too large, truncated or malformed
        return QueryDict()


def _is_hidden(name: str, value: object, exposure: Exposure) -> bool:
    if exposure is Exposure.TOKENS or _FIELD.fullmatch(name):
        return True
    return exposure is Exposure.SECRETS and bool(_SECRET_LIKE.search(str(value)))


def _shows(text: str, secrets: Iterable[str]) -> bool:
    written = _ways_to_write(text)
    return any(
        piece in each
        for secret in secrets
        for form in _ways_to_write(secret)
        for piece in _pieces(form)
        for each in written
    )


def _pieces(secret: str) -> list[str]:
    return [secret[start : start + PIECE] for start in range(max(1, len(secret) - PIECE + 1))]


def _ways_to_write(text: str) -> set[str]:
    """Unchanged, as ``repr()`` writes it, and without the escapes of forms and HTML.

    Always without backslashes, which ``repr()`` adds depending on the surrounding text.
    """
    forms = (text, repr(text)[1:-1], unquote(text), html.unescape(text))
    return {each.replace("\\", "") for each in forms}
