"""The HTTP API: parse, call ``issue_access_token``, answer."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured, SuspiciousOperation
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from rest_framework import exceptions as drf
from rest_framework import status
from rest_framework.parsers import BaseParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.serializer_helpers import ReturnDict
from rest_framework.views import exception_handler
from rest_framework.viewsets import ViewSet

from .conf import settings
from .exceptions import (
    IdentityNotAllowed,
    InvalidGrant,
    NotAuthenticated,
    NotConfigured,
    PermissionDenied,
    TwilioTokensError,
    Unavailable,
)
from .grants import Grant, registered
from .identity import identity_for
from .issuing import issue_access_token
from .offers import Offer, offers
from .serializers import (
    NON_FIELD_ERRORS,
    TokenSerializer,
    offer_answer,
    reader,
    token_answer,
    token_serializer,
)
from .throttles import TokenRateThrottle

logger = logging.getLogger(__name__)


class TokenViewSet(ViewSet):
    """Issues Twilio Access Tokens to the signed-in user.

    Customise it by subclassing; ``urls.token_urls(YourViewSet)`` gives its URLs.
    """

    permission_classes = [IsAuthenticated]
    throttle_classes = [TokenRateThrottle]

    #: The product of the page; None for the page of all products.
    product: str | None = None

    def list(self, request: Request) -> Response:
        """What the user may ask for. Issues nothing."""
        offers = self.offers()
        defaults, longest = settings.ttls, settings.max_ttl
        answer: dict[str, Any] = {
            "identity": self._identity(),
            "ttl": {
                "max": longest,
                "default": {
                    product: min(defaults.get(product, offer.grant.default_ttl), longest)
                    for product, offer in offers.items()
                },
            },
        }
        if self.product is None:
            return Response(answer | {name: offer_answer(offer) for name, offer in offers.items()})
        return Response(answer | offer_answer(offers[self.product]))

    def create(self, request: Request) -> Response:
        """Issue a token."""
        grants, ttl = self._read(request)
        try:
            issued = issue_access_token(user=request.user, grants=grants, ttl=ttl)
        except InvalidGrant as error:
            raise self._field_error(error) from None
        return Response(token_answer(issued), status=status.HTTP_201_CREATED)

    # What the browsable API and OPTIONS ask of a view.

    def get_serializer(self, *args: Any, **kwargs: Any) -> TokenSerializer:
        kwargs["context"] = {"request": self.request, "view": self, "offers": self.offers}
        return token_serializer(self.product)(*args, **kwargs)

    def get_view_name(self) -> str:
        if self.product is None:
            return _("Access tokens")
        return _("%(product)s access token") % {"product": self.product.capitalize()}

    def get_view_description(self, html: bool = False) -> str:
        if self.product is not None:
            return _("Issues a Twilio Access Token for one product, with your own identity.")
        text = _(
            "Issues one Twilio Access Token for one product or several, with your own identity. "
            "GET tells what you may ask for, and issues nothing."
        )
        if not html:
            return text
        links = format_html_join(
            " · ",
            '<a href="{}">{}</a>',
            (
                (self.request.build_absolute_uri(f"{product}/"), product.capitalize())
                for product in registered()
            ),
        )
        return format_html("<p>{}</p><p>{} {}</p>", text, _("One product each:"), links)

    def offers(self) -> dict[str, Offer]:
        return self._offers

    @cached_property
    def _offers(self) -> dict[str, Offer]:
        products = None if self.product is None else [self.product]
        return offers(self.request.user, products)

    def _identity(self) -> str | None:
        try:
            return identity_for(self.request.user, [])
        except IdentityNotAllowed:
            return None

    def _read(self, request: Request) -> tuple[Sequence[Grant], int | None]:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if "HTTP_TRANSFER_ENCODING" in request.META or not length.isdecimal():
            # DRF would take the body for an empty one, and so ask for a token of every room.
            raise drf.ParseError(_("The request should state the length of its body."))
        serializer = reader(self.product)
        try:
            values = serializer.to_internal_value(request.data)
        except RecursionError:
            raise drf.ParseError(_("The request body is nested too deeply.")) from None
        except drf.ValidationError:
            # Once more, with the form that shows the errors beside what was filled in.
            shown = self.get_serializer(data=request.data)
            shown.is_valid()
            raise drf.ValidationError(shown.errors) from None
        return serializer.to_grants(values), values.get("ttl")

    def _field_error(self, error: InvalidGrant) -> drf.APIException:
        """The error beside its field, in the form as it was filled in."""
        serializer = self.get_serializer(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        message = [drf.ErrorDetail(error.message, error.code)]
        detail: dict[str, Any] = {error.field or NON_FIELD_ERRORS: message}
        if self.product is None and error.product is not None:
            detail = {error.product: detail}
        serializer._errors = detail  # type: ignore[union-attr]
        return drf.ValidationError(ReturnDict(detail, serializer=serializer))

    # Every request and every answer passes here.

    def get_parsers(self) -> Any:
        return [_CarefulParser(parser) for parser in super().get_parsers()]

    def handle_exception(self, exc: Exception) -> Response:
        return super().handle_exception(_api_exception(exc))

    def get_exception_handler(self) -> Any:
        return _error_response

    def finalize_response(self, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(*args, **kwargs)
        response["Cache-Control"] = "no-store"
        return response


class _CarefulParser(BaseParser):
    """One of the site's parsers, raising ``ParseError`` where it would fail in another way.

    Only then does DRF not parse the same body again while it renders the error.
    """

    def __init__(self, parser: BaseParser) -> None:
        self.parser = parser
        self.media_type = parser.media_type

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        request = parser_context["request"]
        if request.content_params.get("charset", "utf-8").lower() not in ("utf-8", "us-ascii"):
            raise drf.ParseError(_("The request body should be in UTF-8."))
        longest = django_settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if longest is not None and int(request.META.get("CONTENT_LENGTH") or 0) > longest:
            raise drf.ParseError(_("The request body is too large."))
        try:
            return self.parser.parse(stream, media_type, parser_context)
        except RecursionError:
            raise drf.ParseError(_("The request body is nested too deeply.")) from None
        except SuspiciousOperation:
            raise drf.ParseError(_("The request body has too many fields.")) from None


def _api_exception(error: Exception) -> Exception:
    """The same error as one that DRF can answer with, if it is one of ours."""
    if isinstance(error, ImproperlyConfigured):
        logger.error("A token request failed: %s", error)
        error = NotConfigured(str(error))
    if not isinstance(error, TwilioTokensError):
        return error
    if isinstance(error, NotAuthenticated):
        return drf.NotAuthenticated(error.message)
    answer = drf.APIException(error.message, error.code)
    answer.status_code = status.HTTP_400_BAD_REQUEST
    if isinstance(error, Unavailable):
        answer.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    elif isinstance(error, PermissionDenied):
        answer.status_code = status.HTTP_403_FORBIDDEN
    return answer


def _error_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's own answer, plus the stable code. A site's own handler would change the shape."""
    response = exception_handler(error, context)
    if response is not None:
        codes = set(_codes(response.data))
        response.data["code"] = codes.pop() if len(codes) == 1 else drf.ValidationError.default_code
    return response


def _codes(detail: Any) -> Iterator[str]:
    """The code of every message in an error answer, however deep."""
    if isinstance(detail, drf.ErrorDetail):
        yield str(detail.code)
    else:
        for part in detail.values() if isinstance(detail, dict) else detail:
            yield from _codes(part)
