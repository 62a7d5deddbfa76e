"""Checks of the site's token views, including its own subclasses.

The views are called, because their attributes do not say what their methods decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.http import HttpRequest
from django.urls import URLResolver, get_resolver

from twilio_tokens.conf import settings
from twilio_tokens.exceptions import SettingError
from twilio_tokens.views import TokenViewSet

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Endpoint:
    """A token view at one URL, for one HTTP method."""

    address: str
    method: str
    callback: Any

    @property
    def name(self) -> str:
        return f"{self.callback.cls.__module__}.{self.callback.cls.__qualname__}"

    def asks(self, question: Callable[[TokenViewSet], _Answer]) -> _Answer | None:
        """The view's answer to someone who is not signed in, or None if it raises an exception."""
        try:
            return question(self._view())
        except Exception:  # noqa: BLE001 - it refuses, or needs more of a request
            return None

    def _view(self) -> TokenViewSet:
        request = HttpRequest()
        request.method = self.method
        request.path = request.path_info = self.address
        view: TokenViewSet = self.callback.cls(**self.callback.initkwargs)
        view.action_map = self.callback.actions
        view.args, view.kwargs = (), {}
        view.request = view.initialize_request(request)
        view.request.authenticators = ()  # no session is looked up
        return view


def endpoints() -> Iterator[Endpoint]:
    """Those of ``ROOT_URLCONF``. A site may have other URLconfs, which only its requests name."""
    if getattr(django_settings, "ROOT_URLCONF", None):
        for address, callback in _token_views(get_resolver(), ""):
            for method in callback.actions:
                yield Endpoint(address, method.upper(), callback)


def _token_views(resolver: URLResolver, above: str) -> Iterator[tuple[str, Any]]:
    for each in resolver.url_patterns:
        route = f"{above}{each.pattern}"
        if isinstance(each, URLResolver):
            yield from _token_views(each, route)
        elif issubclass(getattr(each.callback, "cls", None) or object, TokenViewSet):
            yield "/" + re.sub(r"<[^>]*>", "1", route).strip("^$"), each.callback


def lets_in(view: TokenViewSet) -> bool:
    view.check_permissions(view.request)  # raises an exception if it does not
    return True


def issues(view: TokenViewSet) -> bool:
    return not getattr(getattr(view, view.action), "issues_nothing", False)


def limits(view: TokenViewSet) -> list[Any]:
    throttles = view.get_throttles()
    return [each for each in throttles if getattr(each, "rate", "its own") is not None]


@register(Tags.security, deploy=True)
def check_who_is_let_in(**kwargs: Any) -> list[CheckMessage]:
    return [
        checks.Warning(
            f"{name} lets in people who are not signed in ({methods}).",
            hint="They never get a token (not_authenticated), but they learn the names of your "
            "services and apps, and they all share one request limit. Add IsAuthenticated to "
            "permission_classes, alone or combined with others by &.",
            id="twilio_tokens.W041",
        )
        for name, methods in _by_name(each for each in endpoints() if each.asks(lets_in))
    ]


@register(Tags.security, deploy=True)
def check_limits(**kwargs: Any) -> list[CheckMessage]:
    """``TWILIO_TOKENS_THROTTLE_RATE = None`` states that no limit is wanted."""
    if not is_limited():
        return []
    return [
        checks.Warning(
            f"{name} has no throttle: a user may request any number of tokens ({methods}).",
            hint="Add TokenRateThrottle to its throttle_classes, or set "
            "TWILIO_TOKENS_THROTTLE_RATE = None if you want no limit.",
            id="twilio_tokens.W042",
        )
        for name, methods in _by_name(
            each for each in endpoints() if each.asks(issues) and each.asks(limits) == []
        )
    ]


@register(Tags.security, deploy=True)
def check_authentication(**kwargs: Any) -> list[CheckMessage]:
    return [
        checks.Warning(
            f"{name} has no authentication class, so nobody can sign in ({methods}).",
            hint="Remove its authentication_classes to use those of your REST framework settings, "
            "and make sure that DEFAULT_AUTHENTICATION_CLASSES names one.",
            id="twilio_tokens.W043",
        )
        for name, methods in _by_name(
            each for each in endpoints() if each.asks(TokenViewSet.get_authenticators) == []
        )
    ]


def is_limited() -> bool:
    try:
        return settings.throttle_rate is not None
    except SettingError:
        return False  # another check reports it


def _by_name(found: Iterable[Endpoint]) -> list[tuple[str, str]]:
    """Each view once, with the methods for which it was found."""
    methods: dict[str, dict[str, None]] = {}
    for each in found:
        methods.setdefault(each.name, {})[each.method] = None
    return [(name, ", ".join(each)) for name, each in methods.items()]
