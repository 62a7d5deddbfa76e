"""The serializers of the HTTP API: one for each request and response body."""

from .answers import (
    AccessTokenDeniedSerializer,
    AccessTokenErrorsSerializer,
    AccessTokenOfferSerializer,
    AccessTokenSerializer,
    AccessTokenThrottledSerializer,
    AccessTokenUnavailableSerializer,
    ProductTokenErrorsSerializer,
    ProductTokenOfferSerializer,
    errors_serializer,
    offer_serializer,
    token_answer,
)
from .requests import (
    MOST_ERRORS,
    NON_FIELD_ERRORS,
    AccessTokenRequestSerializer,
    GrantSerializer,
    ProductTokenRequestSerializer,
    TokenRequestSerializer,
    reader,
    request_serializer,
)

__all__ = [
    "MOST_ERRORS",
    "NON_FIELD_ERRORS",
    "AccessTokenDeniedSerializer",
    "AccessTokenErrorsSerializer",
    "AccessTokenOfferSerializer",
    "AccessTokenRequestSerializer",
    "AccessTokenSerializer",
    "AccessTokenThrottledSerializer",
    "AccessTokenUnavailableSerializer",
    "GrantSerializer",
    "ProductTokenErrorsSerializer",
    "ProductTokenOfferSerializer",
    "ProductTokenRequestSerializer",
    "TokenRequestSerializer",
    "errors_serializer",
    "offer_serializer",
    "reader",
    "request_serializer",
    "token_answer",
]
