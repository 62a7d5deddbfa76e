"""What the system checks say of the site's own views, of other origins, and of plain HTTP."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import pytest
from django.core.checks import CheckMessage, Tags, Warning, run_checks
from django.http import HttpRequest
from django.urls import include, path, re_path
from rest_framework.authentication import SessionAuthentication
from rest_framework.decorators import action
from rest_framework.permissions import (
    AllowAny,
    BasePermission,
    IsAdminUser,
    IsAuthenticated,
    IsAuthenticatedOrReadOnly,
)
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.test import APIClient
from rest_framework.throttling import UserRateThrottle

from twilio_tokens.models import ChatService
from twilio_tokens.throttles import TokenRateThrottle
from twilio_tokens.urls import token_urls
from twilio_tokens.views import TokenViewSet


@pytest.fixture(autouse=True)
def _no_key_to_look_into(settings: Any) -> None:
    """That takes half a second."""
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = None


def mount(settings: Any, viewset: type[TokenViewSet] = TokenViewSet, **attributes: Any) -> None:
    """The only token views of the site: those of a subclass with the attributes."""
    own = type("OwnViewSet", (viewset,), attributes) if attributes else viewset
    settings.ROOT_URLCONF = urls(path("calls/", include((token_urls(own), "twilio_tokens"))))


def urls(*patterns: Any) -> ModuleType:
    module = ModuleType("urls_of_a_test")
    module.__dict__["urlpatterns"] = [*patterns]
    return module


def told(tag: str = Tags.security) -> list[CheckMessage]:
    """Without those that are about the settings of the tests."""
    found = run_checks(tags=[tag], include_deployment_checks=True)
    return [each for each in found if re.fullmatch(r"twilio_tokens\.W(004|04[1-9])", each.id)]


class InOffice(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return bool(request.META["HTTP_X_OFFICE"])  # which made-up requests lack


class IsTenant(BasePermission):
    def has_permission(self, request: Any, view: Any) -> bool:
        return view.kwargs["tenant"] == "ours"


def only_to_issue(self: TokenViewSet) -> list[BasePermission]:
    return [IsAuthenticated()] if self.action == "create" else []


def except_for_video(self: TokenViewSet) -> list[BasePermission]:
    return [] if self.product == "video" else [IsAuthenticated()]


def raises(*args: Any) -> None:
    raise RuntimeError


@pytest.mark.parametrize(
    ("attributes", "methods"),
    [
        ({"permission_classes": []}, "GET, POST"),
        ({"permission_classes": [AllowAny]}, "GET, POST"),
        ({"permission_classes": [IsAuthenticatedOrReadOnly]}, "GET"),
        ({"permission_classes": [IsAdminUser | AllowAny]}, "GET, POST"),
        ({"permission_classes": [~IsAuthenticated]}, "GET, POST"),
        ({"get_permissions": only_to_issue}, "GET"),
        ({"get_permissions": except_for_video}, "GET, POST"),
        ({"check_permissions": lambda self, request: None}, "GET, POST"),
    ],
)
def test_a_view_that_lets_in_anybody_is_told(
    attributes: dict[str, Any], methods: str, settings: Any
) -> None:
    mount(settings, **attributes)
    [message] = told()
    assert (message.id, type(message)) == ("twilio_tokens.W041", Warning)
    name = f"{__name__}.OwnViewSet"
    assert message.msg == f"{name} lets in people who are not signed in ({methods})."
    assert "They never get a token" in message.hint


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"permission_classes": [IsAdminUser]},
        {"permission_classes": [IsAuthenticated & AllowAny]},
        {"permission_classes": [IsAuthenticated, AllowAny]},
        {"check_permissions": raises},
        {"initialize_request": raises},
        {"permission_classes": [InOffice]},
        {"permission_classes": [IsTenant]},
        {"permission_classes": [IsAuthenticated | IsTenant]},
    ],
)
def test_a_view_that_lets_in_nobody_or_cannot_be_asked_is_not_told(
    attributes: dict[str, Any], settings: Any
) -> None:
    mount(settings, **attributes)
    assert told() == []


@pytest.mark.django_db
def test_what_the_hint_says_is_so(chat_service: ChatService, settings: Any) -> None:
    mount(settings, permission_classes=[AllowAny])
    api = APIClient()
    refused = api.post("/calls/tokens/chat/", {"service": chat_service.name}, format="json")
    assert (refused.status_code, refused.json()["code"]) == (401, "not_authenticated")
    assert api.get("/calls/tokens/chat/").json()["services"] == [chat_service.name]


class OwnViewSet(TokenViewSet):
    permission_classes = [AllowAny]

    @action(detail=False, methods=["post"])
    def issue(self, request: Any) -> Response:
        return Response()


def test_a_view_is_found_wherever_it_is_mounted(settings: Any) -> None:
    router = SimpleRouter()
    router.register("tokens", OwnViewSet, basename="tokens")
    nested = include([path("<slug:tenant>/", include(router.urls))])
    settings.ROOT_URLCONF = urls(re_path(r"^(?P<version>v\d)/", nested))
    [message] = told()
    assert "OwnViewSet lets in people who are not signed in (GET, POST)" in message.msg


def test_a_site_without_token_views_or_without_urls_hears_nothing_of_views(settings: Any) -> None:
    settings.ROOT_URLCONF = urls()
    assert told() == []
    settings.ROOT_URLCONF = None
    assert told() == []


def list_too(self: TokenViewSet, request: Any) -> Response:
    return Response()


@pytest.mark.parametrize(
    ("attributes", "rate", "methods"),
    [
        ({"throttle_classes": []}, "60/min", "POST"),
        ({"throttle_classes": [], "list": list_too}, "60/min", "GET, POST"),
        ({"get_throttles": lambda self: []}, "60/min", "POST"),
        # REST framework's, of which the settings have no rate.
        ({"throttle_classes": [UserRateThrottle]}, "60/min", "POST"),
        ({"throttle_classes": []}, None, None),
        ({"throttle_classes": []}, "often", None),
        ({"throttle_classes": [UserRateThrottle, TokenRateThrottle]}, "60/min", None),
        ({"get_throttles": raises}, "60/min", None),
    ],
)
def test_a_view_without_a_limit_is_told(
    attributes: dict[str, Any], rate: str | None, methods: str | None, settings: Any
) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = rate
    mount(settings, **attributes)
    told_of = [(each.id, type(each), each.msg.rpartition("(")[2]) for each in told()]
    assert told_of == ([("twilio_tokens.W042", Warning, f"{methods}).")] if methods else [])


@pytest.mark.parametrize(
    ("classes", "ids"), [([], ["twilio_tokens.W043"]), ([SessionAuthentication], [])]
)
def test_a_view_that_authenticates_nobody_is_told(
    classes: list[Any], ids: list[str], settings: Any
) -> None:
    mount(settings, authentication_classes=classes)
    assert [message.id for message in told()] == ids


# Caches

BACKENDS = "django.core.cache.backends"


def of_caches() -> list[tuple[str, str]]:
    found = run_checks(tags=[Tags.caches], include_deployment_checks=True)
    ours = [each for each in found if each.id.startswith("twilio_tokens.")]
    return [(each.id.rpartition(".")[2], re.findall("“(.+?)”", each.msg)[0]) for each in ours]


class OwnThrottle(TokenRateThrottle):
    cache_alias = "tokens"


@pytest.mark.parametrize(
    ("throttles", "ids"),
    [
        ([TokenRateThrottle], [("W032", "default")]),
        ([TokenRateThrottle, OwnThrottle], [("W032", "default"), ("W030", "tokens")]),
        ([OwnThrottle], [("W030", "tokens")]),
        ([UserRateThrottle], [("W032", "default")]),
    ],
)
def test_each_cache_that_counts_is_looked_at(
    throttles: list[Any], ids: list[tuple[str, str]], settings: Any
) -> None:
    settings.CACHES = {
        "default": {"BACKEND": f"{BACKENDS}.locmem.LocMemCache"},
        "tokens": {"BACKEND": f"{BACKENDS}.dummy.DummyCache"},
    }
    mount(settings, throttle_classes=throttles)
    assert sorted(of_caches()) == sorted(ids)


def test_a_throttle_with_a_cache_that_is_not_there_is_djangos_to_tell(settings: Any) -> None:
    mount(settings, throttle_classes=[OwnThrottle])
    assert of_caches() == []


# Other origins


@pytest.fixture
def cors(settings: Any) -> Any:
    settings.MIDDLEWARE = ["corsheaders.middleware.CorsMiddleware", *settings.MIDDLEWARE]
    return settings


class OtherMiddleware:
    def __init__(self, get_response: Any) -> None:
        raise AssertionError("The check has no business with this middleware.")


def test_no_middleware_but_that_of_cors_headers_is_run(settings: Any) -> None:
    settings.MIDDLEWARE = [f"{__name__}.OtherMiddleware"]
    assert told() == []


@pytest.mark.parametrize(
    ("patterns", "stranger"),
    [
        ([".*"], "https://stranger.example"),
        (["^https://.*$"], "https://stranger.example"),
        ([re.compile("^http://")], "http://stranger.example"),
        (["null"], "null"),
        ([r"^https://.*\.vercel\.app$"], "https://stranger.vercel.app"),
        ([r"^https://app\.example\.com"], "https://app.example.com.stranger.example"),
        ([r"https://(\w+\.)?example\.com"], "https://app.example.com.stranger.example"),
        ([r"^https://(www|app)\.example\.com(:\d+)?"], "https://www.example.com.stranger.example"),
        ([r"^https://.*example\.com$"], "https://stranger-appexample.com"),
        ([r"^https?://[\w.-]+example\.com$"], "https://stranger-appexample.com"),
        ([r"^https://app.example.com$"], "https://appxexample.com"),
        ([r"^https://a\.example\.com$", "^https://b.example.org$"], "https://bxexample.org"),
        ([r"^https://\w+.example.com:\d{4}$"], None),  # the made-up port has one digit
        ([r"^https://eu\.app.example\.com$"], "https://eu.appxexample.com"),
    ],
)
def test_a_pattern_that_matches_strangers_is_told(
    patterns: list[Any], stranger: str | None, cors: Any
) -> None:
    cors.CORS_ALLOWED_ORIGIN_REGEXES = patterns
    cors.CORS_ALLOW_CREDENTIALS = True
    said = [message.msg for message in told()]
    expected = (
        f"Pages of other sites, such as {stranger}, can request Access Tokens on behalf of "
        "your users."
    )
    assert said == ([expected] if stranger else [])


@pytest.mark.parametrize(
    "pattern",
    [
        r"^https://app\.example\.com$",
        r"^https://example\.com$",
        r"^https://\w+\.example\.com$",
        r"^https://[a-z0-9-]+\.example\.co\.uk$",
        r"^https://(\w+\.)?example\.com(:\d+)?$",
        r"^https://(?:www|app)\.example\.com\Z",
        r"(?i)^https://.+\.example\.com$",
        r"^http://localhost:\d+$",
        r"^https://shop-[\w-]+\.vercel\.app$",
        r"^app://phone$",
        "nonsense",
    ],
)
def test_a_pattern_that_matches_the_sites_own_is_not_told(pattern: str, cors: Any) -> None:
    cors.CORS_ALLOWED_ORIGIN_REGEXES = [pattern]
    cors.CORS_ALLOWED_ORIGINS = ["https://example.com"]
    cors.CORS_ALLOW_CREDENTIALS = True
    assert told() == []


@pytest.mark.parametrize(
    "values",
    [
        {"CORS_ALLOW_ALL_ORIGINS": True},
        {"CORS_ORIGIN_ALLOW_ALL": True},
        {"CORS_ALLOWED_ORIGINS": ["null"]},
        {"CORS_ORIGIN_REGEX_WHITELIST": ["^https://app.example.com$"]},
    ],
)
def test_origins_that_are_open_in_another_way_are_told_with_and_without_cookies(
    values: dict[str, Any], cors: Any
) -> None:
    for name, value in values.items():
        setattr(cors, name, value)
    [message] = told()
    assert (message.id, type(message)) == ("twilio_tokens.W004", Warning)
    assert "though without cookies" in message.msg
    assert "CORS_ALLOWED_ORIGINS, and do not set CORS_ALLOW_ALL_ORIGINS" in message.hint
    cors.CORS_ALLOW_CREDENTIALS = True
    [message] = told()
    assert "on behalf of your users" in message.msg


def test_only_the_addresses_of_the_token_views_count(cors: Any) -> None:
    cors.CORS_ALLOW_ALL_ORIGINS = True
    cors.CORS_URLS_REGEX = "^/calls/tokens/video/"
    assert told() == []  # they are at /twilio/
    mount(cors)
    assert [message.id for message in told()] == ["twilio_tokens.W004"]


def test_a_site_with_its_urls_elsewhere_is_asked_at_the_usual_address(cors: Any) -> None:
    cors.ROOT_URLCONF = urls()
    cors.CORS_ALLOW_ALL_ORIGINS = True
    assert [message.id for message in told()] == ["twilio_tokens.W004"]


def test_a_receiver_that_wants_more_of_a_request_is_no_failure(cors: Any) -> None:
    from corsheaders.signals import check_request_enabled  # noqa: PLC0415 - an extra

    def receiver(sender: Any, request: HttpRequest, **kwargs: Any) -> bool:
        return request.user.is_staff

    cors.CORS_URLS_REGEX = "^/none/"
    check_request_enabled.connect(receiver)
    try:
        assert told() == []
    finally:
        check_request_enabled.disconnect(receiver)


def test_without_the_middleware_its_settings_open_nothing(settings: Any) -> None:
    settings.CORS_ALLOW_ALL_ORIGINS = True
    assert told() == []


# Plain HTTP


def of_http() -> list[str]:
    found = run_checks(tags=[Tags.security], include_deployment_checks=True)
    return [each.id for each in found if each.id == "twilio_tokens.W040"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECURE_SSL_REDIRECT", True),
        ("SECURE_HSTS_SECONDS", 3600),
        ("SECURE_PROXY_SSL_HEADER", ("HTTP_X_FORWARDED_PROTO", "https")),
        ("SESSION_COOKIE_SECURE", True),
        ("CSRF_COOKIE_SECURE", True),
    ],
)
def test_plain_http_is_told_where_nothing_says_https(name: str, value: Any, settings: Any) -> None:
    assert of_http() == ["twilio_tokens.W040"]
    setattr(settings, name, value)
    assert of_http() == []
