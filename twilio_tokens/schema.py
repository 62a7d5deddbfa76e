"""Describes the HTTP API for drf-spectacular; loaded only if that is installed.

The serializers describe most of it; this module adds the possible responses and examples. It
makes no database queries, and its output does not depend on the user.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from drf_spectacular.extensions import (
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
    OpenApiViewExtension,
)
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    Direction,
    OpenApiExample,
    OpenApiParameter,
    OpenApiRequest,
    OpenApiResponse,
    extend_schema,
    extend_schema_serializer,
    extend_schema_view,
)
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from .exceptions import NotConfigured
from .grants import FieldKind, Grant, registered
from .issuing import IssuedAccessToken
from .serializers import (
    AccessTokenDeniedSerializer,
    AccessTokenOfferSerializer,
    AccessTokenSerializer,
    AccessTokenThrottledSerializer,
    AccessTokenUnavailableSerializer,
    ProductTokenOfferSerializer,
    errors_serializer,
    offer_serializer,
    request_serializer,
    token_answer,
)

TTL = 3_600


class TokenViewExtension(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    target_class = "twilio_tokens.views.TokenViewSet"
    match_subclasses = True

    def view_replacement(self) -> type[APIView]:
        product = self.target_callback.initkwargs.get("product")
        described = {"list": _offer_operation(product), "create": _issue_operation(product)}
        # Descriptions that a site gives to methods of its own subclass take precedence.
        own = {name for name in described if hasattr(getattr(self.target, name), "kwargs")}

        class Described(self.target):  # type: ignore[misc,name-defined]
            pass

        return extend_schema_view(**{n: described[n] for n in described.keys() - own})(Described)


class RequestExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    target_class = "twilio_tokens.serializers.requests.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        return {**_mapped(self, auto_schema, direction), "additionalProperties": False}


class TextExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "twilio_tokens.serializers.fields.TextField"
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        mapped: dict[str, Any] = auto_schema._map_serializer_field(  # type: ignore[no-untyped-call]
            self.target, direction, bypass_extensions=True
        )
        return mapped if self.target.pattern is None else {**mapped, "pattern": self.target.pattern}


class GrantErrorsExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    """If the value of a product is not an object, it has a list of messages instead."""

    target_class = "twilio_tokens.serializers.answers.GrantErrorsSerializer"

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        messages = {"type": "array", "items": {"type": "string"}}
        return {"oneOf": [_mapped(self, auto_schema, direction), messages]}


def _mapped(
    extension: OpenApiSerializerExtension, auto_schema: AutoSchema, direction: Direction
) -> dict[str, Any]:
    """The starting point that drf-spectacular's documentation recommends."""
    mapped: dict[str, Any] = auto_schema._map_serializer(  # type: ignore[no-untyped-call]
        extension.target, direction, bypass_extensions=True
    )
    return mapped


extend_schema_serializer(many=False)(AccessTokenOfferSerializer)
extend_schema_serializer(many=False)(ProductTokenOfferSerializer)


def _offer_operation(product: str | None) -> Callable[[Any], Any]:
    return extend_schema(
        summary=_title("List what you can request", product),
        responses={
            200: _answer(
                offer_serializer(product),
                "What the user can request. Nothing is issued.",
                _offer(product),
            ),
            **_denials(),
            503: _unavailable(),
        },
    )


def _issue_operation(product: str | None) -> Callable[[Any], Any]:
    asked_for = _asked_for(product)
    return extend_schema(
        summary=_title("Issue an Access Token", product),
        request={
            "application/json": OpenApiRequest(
                request_serializer(product), examples=[OpenApiExample("Request", asked_for)]
            )
        },
        parameters=[
            OpenApiParameter(
                "Retry-After",
                OpenApiTypes.INT,
                OpenApiParameter.HEADER,
                description="Seconds to wait before the next request.",
                response=[429],
            )
        ],
        responses={
            201: _answer(AccessTokenSerializer(), "The token.", _issued(product)),
            400: _answer(errors_serializer(product), "The request is invalid.", _refused()),
            **_denials(),
            429: _answer(
                AccessTokenThrottledSerializer(),
                "Too many requests.",
                {"detail": "Request was throttled.", "code": "throttled"},
            ),
            503: _unavailable(),
        },
    )


def _title(text: str, product: str | None) -> str:
    return text if product is None else f"{text}: {registered()[product].label}"


def _answer(serializer: Serializer[Any], description: str, example: object) -> OpenApiResponse:
    return OpenApiResponse(serializer, description, [OpenApiExample("Answer", example)])


def _denials() -> dict[int, OpenApiResponse]:
    """Users who are not signed in get either, depending on the site's authentication."""
    return {
        each.status_code: _answer(
            AccessTokenDeniedSerializer(),
            description,
            {"detail": str(each.default_detail), "code": each.default_code},
        )
        for each, description in (
            (NotAuthenticated, "The user is not signed in."),
            (PermissionDenied, "The user is not allowed to do this, or is not signed in."),
        )
    }


def _unavailable() -> OpenApiResponse:
    error = NotConfigured("")
    example = {"detail": error.message, "code": error.code}
    return _answer(
        AccessTokenUnavailableSerializer(), "The site cannot issue tokens at the moment.", example
    )


def _refused() -> dict[str, object]:
    return {"ttl": ["A valid integer is required."], "code": "invalid"}


# Examples


def _grants(product: str | None) -> list[type[Grant]]:
    """For a request for several products, two are enough."""
    return list(registered().values())[:2] if product is None else [registered()[product]]


def _asked_for(product: str | None) -> dict[str, object]:
    fields = {grant.product: dict(grant.example.request) for grant in _grants(product)}
    return {**(fields if product is None else fields[product]), "ttl": TTL}


def _issued(product: str | None) -> dict[str, object]:
    issued_at = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)
    return token_answer(
        IssuedAccessToken(
            token="eyJ…",  # noqa: S106
            jti="0f8fad5bd9cb469fa16570867728950e",
            identity="anna",
            account_sid="AC…",
            grants={grant.twilio_key: dict(grant.example.payload) for grant in _grants(product)},
            issued_at=issued_at,
            expires_at=issued_at + timedelta(seconds=TTL),
        )
    )


def _offer(product: str | None) -> dict[str, object]:
    grants = list(registered().values()) if product is None else _grants(product)
    offers = {
        grant.product: {
            **{f"{name}s": _names(grant, name) for name in grant.resources},
            **{name: _OFFERED[kind] for name, kind in grant.offered.items()},
            "default": next(iter(_names(grant, grant.needed)), None),
        }
        for grant in grants
    }
    default = {grant.product: grant.default_ttl for grant in grants}
    told = {"identity": "anna", "ttl": {"max": 86_400, "default": default}}
    return {**told, **(offers if product is None else offers[product])}


def _names(grant: type[Grant], field: str | None) -> list[object]:
    return [value for name, value in grant.example.request.items() if name == field]


_OFFERED = {FieldKind.BOOLEAN: False, FieldKind.INTEGER: 1, FieldKind.TEXT: "text"}
