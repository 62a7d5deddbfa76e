"""Checks of who can reach the API, and how."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

from .views import endpoints

STRANGER = "stranger.example"

#: Domains under which anyone can publish a page.
FOR_ANYBODY = (
    *("github.io", "gitlab.io", "herokuapp.com", "netlify.app", "ngrok.io", "ngrok-free.app"),
    *("onrender.com", "pages.dev", "vercel.app", "web.app", "workers.dev"),
)


_TIMES = r"(?:[*+?]|\{[\d,]*\})*"


@register(Tags.security)
def check_cors(**kwargs: Any) -> list[CheckMessage]:
    """Sends the origins of strangers through django-cors-headers."""
    for answer, origin in _answers_to_strangers():
        cookies = answer.get("Access-Control-Allow-Credentials") == "true"
        return [
            checks.Warning(
                f"Pages of other sites, such as {origin}, can request Access Tokens"
                + (" on behalf of your users." if cookies else ", though without cookies."),
                hint="List your own front ends in CORS_ALLOWED_ORIGINS, and do not set "
                "CORS_ALLOW_ALL_ORIGINS. In CORS_ALLOWED_ORIGIN_REGEXES, put a backslash before "
                "each dot and $ at the end, and match no domain where others publish pages.",
                id="twilio_tokens.W004",
            )
        ]
    return []


def _answers_to_strangers() -> Iterator[tuple[HttpResponse, str]]:
    addresses = {endpoint.address: None for endpoint in endpoints()} or ("/twilio/tokens/",)
    for middleware in _cors_middleware():
        for origin in _strangers():
            for address in addresses:
                request = HttpRequest()
                request.method = "POST"
                request.path = request.path_info = address
                request.META["HTTP_ORIGIN"] = origin
                answer = HttpResponse()
                with suppress(Exception):  # a receiver of the site needs more of a request
                    answer = middleware(request)
                if "Access-Control-Allow-Origin" in answer:
                    yield answer, origin


def _cors_middleware() -> Iterator[Any]:
    for path in django_settings.MIDDLEWARE:
        middleware = import_string(path)
        bases = getattr(middleware, "__mro__", ())
        if any(base.__module__ == "corsheaders.middleware" for base in bases):
            yield middleware(lambda request: HttpResponse())


def _strangers() -> Iterator[str]:
    yield from (f"{scheme}://{STRANGER}" for scheme in ("https", "http"))
    yield "null"
    yield from (f"https://stranger.{domain}" for domain in FOR_ANYBODY)
    for name in ("CORS_ALLOWED_ORIGIN_REGEXES", "CORS_ORIGIN_REGEX_WHITELIST"):
        for pattern in getattr(django_settings, name, ()):
            yield from _mistakable(_example(getattr(pattern, "pattern", pattern)))


def _example(pattern: str) -> str:
    """An origin that the author of a pattern probably had in mind."""
    for written, meant in (
        (r"\\[AbBzZ]|\(\?[a-zA-Z]+\)|\(\?(P<\w+>|:)", ""),
        (rf"(\\d|\[0-9\]){_TIMES}", "1"),
        (rf"(\\[wWDS]|\[[^]]*\]){_TIMES}|(?<!\\)\.[*+?{{]+[\d,}}]*", "app"),
        (r"\(?([^()|]*)\|[^()]*\)?", r"\1"),
        (r"[][^$()*+?{}]", ""),
        (r"\\", ""),
    ):
        pattern = re.sub(written, meant, pattern)
    return pattern


def _mistakable(origin: str) -> Iterator[str]:
    """Origins that differ only in the end, the start or a dot."""
    match = re.match(r"(\w+://)([^:/]+)(.*)", origin)
    if match:
        scheme, host, port = match.groups()
        labels = host.split(".")
        yield f"{scheme}{host}.{STRANGER}"
        yield f"{scheme}stranger-{'.'.join(labels[-2:])}{port}"
        if len(labels) > 2:
            domain = f"{labels[-3]}x{labels[-2]}"
            yield f"{scheme}{'.'.join([*labels[:-3], domain, labels[-1]])}{port}"


@register(Tags.security, deploy=True)
def check_https(**kwargs: Any) -> list[CheckMessage]:
    """Reported once, and only if no setting suggests HTTPS.

    Django has a check for each of these settings, which a site behind a proxy silences. One of
    them is enough here: a site on plain HTTP sets none, because signing in would not work.
    """
    hints = (
        *("SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS", "SECURE_PROXY_SSL_HEADER"),
        *("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE"),
    )
    if any(getattr(django_settings, name) for name in hints):
        return []
    return [
        checks.Warning(
            "No setting says that the site is served only over HTTPS. Over HTTP, anyone on the "
            "network path can read Access Tokens and your users' passwords and sessions.",
            hint="Set SECURE_SSL_REDIRECT, or SECURE_PROXY_SSL_HEADER behind a proxy that "
            "redirects, and SESSION_COOKIE_SECURE.",
            id="twilio_tokens.W040",
        )
    ]


@register(Tags.compatibility)
def check_rest_framework(**kwargs: Any) -> list[CheckMessage]:
    if "rest_framework" not in django_settings.INSTALLED_APPS:
        return [
            checks.Warning(
                "The browsable API needs the templates of Django REST framework.",
                hint='Add "rest_framework" to INSTALLED_APPS.',
                id="twilio_tokens.W005",
            )
        ]
    return []
