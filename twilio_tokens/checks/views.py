"""The site's token views, its own subclasses among them: they are asked, not read."""

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
    """A token view at one address, as one method meets it."""

    address: str
    method: str
    callback: Any

    @property
    def name(self) -> str:
        return f"{self.callback.cls.__module__}.{self.callback.cls.__qualname__}"

    def asks(self, question: Callable[[TokenViewSet], _Answer]) -> _Answer | None:
        """The view's answer to somebody who is not signed in; None where it raises."""
        try:
            return question(self._view())
        except Exception:  # noqa: BLE001 - it refuses, or wants more of a request
            return None

    def _view(self) -> TokenViewSet:
        request = HttpRequest()
        request.method = self.method
        request.path = request.path_info = self.address
        view: TokenViewSet = self.callback.cls(**self.callback.initkwargs)
        view.action_map = self.callback.actions
        view.args, view.kwargs = (), {}
        view.request = view.initialize_request(request)
        view.request.authenticators = ()  # no session is looked for
        return view


def endpoints() -> Iterator[Endpoint]:
    """Of ``ROOT_URLCONF``. A site may have others, which only its requests know."""
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
    view.check_permissions(view.request)  # raises where it does not
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
            hint="They get no token, whatever the view allows (not_authenticated). But they learn "
            "the names of services and apps, and all of them share one limit of requests. Let "
            "permission_classes have IsAuthenticated, alone or joined to others by &.",
            id="twilio_tokens.W041",
        )
        for name, methods in _by_name(each for each in endpoints() if each.asks(lets_in))
    ]


@register(Tags.security, deploy=True)
def check_limits(**kwargs: Any) -> list[CheckMessage]:
    """``TWILIO_TOKENS_THROTTLE_RATE = None`` says that there is to be none."""
    if not is_limited():
        return []
    return [
        checks.Warning(
            f"{name} has no throttle: a user may request any number of tokens ({methods}).",
            hint="Keep TokenRateThrottle among its throttle_classes, or set "
            "TWILIO_TOKENS_THROTTLE_RATE = None if there is to be no limit.",
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
            f"{name} has no authentication class: nobody can be signed in ({methods}).",
            hint="Remove its authentication_classes to have those of your REST framework settings, "
            "and let DEFAULT_AUTHENTICATION_CLASSES name one.",
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
        return False  # another check says so


def _by_name(found: Iterable[Endpoint]) -> list[tuple[str, str]]:
    """Each view once, with the methods that it was found by."""
    methods: dict[str, dict[str, None]] = {}
    for each in found:
        methods.setdefault(each.name, {})[each.method] = None
    return [(name, ", ".join(each)) for name, each in methods.items()]
