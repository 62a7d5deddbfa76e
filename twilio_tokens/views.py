"""The HTTP API: parse, call ``issue_access_token``, answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Any, cast

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import Error as DatabaseError
from django.http import Http404
from django.utils.functional import classproperty
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from rest_framework import exceptions as drf
from rest_framework import status
from rest_framework.metadata import SimpleMetadata
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.utils.serializer_helpers import ReturnDict
from rest_framework.views import exception_handler
from rest_framework.viewsets import ViewSet

from .conf import settings
from .error_reports import hide_tokens
from .exceptions import (
    InvalidGrant,
    NotAuthenticated,
    NotConfigured,
    PermissionDenied,
    TwilioTokensError,
    Unavailable,
)
from .grants import Grant, registered
from .identity import identity_for
from .issuing import issue_access_token, not_configured
from .offers import Offer, offers
from .parsers import TokenRequest, parser_classes
from .serializers import (
    MOST_ERRORS,
    NON_FIELD_ERRORS,
    TokenSerializer,
    offer_answer,
    reader,
    token_answer,
    token_serializer,
)
from .throttles import TokenRateThrottle, issues_nothing


class TokenViewSet(ViewSet):
    """Issues Twilio Access Tokens to the signed-in user.

    Customise it by subclassing; ``urls.token_urls(YourViewSet)`` gives its URLs.
    """

    permission_classes = [IsAuthenticated]
    throttle_classes = [TokenRateThrottle]

    # What is read and written does not depend on the defaults of the site's own API.
    content_negotiation_class = DefaultContentNegotiation
    metadata_class = SimpleMetadata
    versioning_class = None

    #: The product of the page; None for the page of all products.
    product: str | None = None

    @issues_nothing
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What the user may ask for. Issues nothing."""
        offers = self.offers()
        longest = settings.max_ttl
        answer: dict[str, Any] = {
            "identity": self._identity(),
            "ttl": {
                "max": longest,
                "default": {
                    product: min(offer.grant.lifetime(), longest)
                    for product, offer in offers.items()
                },
            },
        }
        if self.product is None:
            return Response(answer | {name: offer_answer(offer) for name, offer in offers.items()})
        return Response(answer | offer_answer(offers[self.product]))

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
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
        return offers(self._user, products)

    @property
    def _user(self) -> AbstractBaseUser:
        return cast("AbstractBaseUser", self.request.user)  # IsAuthenticated has looked

    def _identity(self) -> str | None:
        try:
            return identity_for(self._user)
        except TwilioTokensError:  # each product's problem says it
            return None

    def _read(self, request: Request) -> tuple[Sequence[Grant], int | None]:
        serializer = reader(self.product)
        if any(serializer.is_known(name, in_html=True) for name in request.query_params):
            raise drf.ParseError(_("Fields belong in the request body, not in its address."))
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

    @classmethod
    def as_view(cls, actions: Any = None, **initkwargs: Any) -> Any:
        """No error report shows the token, not even of an answer that fails to be rendered.
        And no transaction of the request takes back the record of a token that was issued."""
        return hide_tokens(super().as_view(actions, **initkwargs))

    @classproperty
    def parser_classes(cls) -> Sequence[type[BaseParser]]:
        return parser_classes(tuple(api_settings.DEFAULT_PARSER_CLASSES))

    @classproperty
    def renderer_classes(cls) -> Sequence[type[BaseRenderer]]:
        return renderer_classes(tuple(api_settings.DEFAULT_RENDERER_CLASSES))

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> TokenRequest:
        made = super().initialize_request(request, *args, **kwargs)
        return TokenRequest(
            request,
            parsers=made.parsers,
            authenticators=made.authenticators,  # type: ignore[arg-type]
            negotiator=made.negotiator,
            parser_context=made.parser_context,
        )

    def get_format_suffix(self, **kwargs: Any) -> None:
        """A keyword of the site's URL is none."""

    def perform_authentication(self, request: Request) -> None:
        try:
            super().perform_authentication(request)
        except (drf.APIException, Http404, DjangoPermissionDenied, DatabaseError):
            raise
        except Exception as error:  # whatever the site's classes, or what they ask, raise
            self._answer_without_a_page()
            raise NotConfigured(f"Authentication raised {type(error).__name__}.") from error

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, DatabaseError):
            self._answer_without_a_page()
        return super().handle_exception(_api_exception(exc))

    def _answer_without_a_page(self) -> None:
        """A page would ask again who asks, and what else may have failed."""
        self.request.accepted_renderer = renderer = TokenJSONRenderer()
        self.request.accepted_media_type = renderer.media_type

    def get_exception_handler(self) -> Any:
        return _error_response

    def finalize_response(self, *args: Any, **kwargs: Any) -> Any:
        request, response, *_rest = args  # keywords of the site's URL may have these names, too
        return super().finalize_response(request, response)

    @property
    def default_response_headers(self) -> dict[str, str]:
        # Where Django before 5.2.15 caches a whole site, it stores what says no-store, too.
        vary = "Accept, Authorization, Cookie"
        return {**super().default_response_headers, "Vary": vary, "Cache-Control": "no-store"}


class TokenJSONRenderer(JSONRenderer):
    compact = True
    ensure_ascii = False
    strict = True


@lru_cache(maxsize=8)  # asked for several times a request
def renderer_classes(of_the_site: tuple[Any, ...]) -> Sequence[type[BaseRenderer]]:
    """JSON always, and the browsable API where the site's own views have it."""
    is_browsable = any(issubclass(each, BrowsableAPIRenderer) for each in of_the_site)
    return (TokenJSONRenderer, BrowsableAPIRenderer) if is_browsable else (TokenJSONRenderer,)


def _api_exception(error: Exception) -> Exception:
    """The same error as one that DRF can answer with, if it is one of ours."""
    if isinstance(error, DatabaseError):  # the user could not be looked up, for one
        error = not_configured(error)
    if not isinstance(error, TwilioTokensError):
        return error
    if isinstance(error, NotAuthenticated):
        return drf.NotAuthenticated(error.message)
    answer = drf.APIException(error.message, error.code)
    answer.status_code = status.HTTP_400_BAD_REQUEST
    if isinstance(error, Unavailable):
        error.log()
        answer.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    elif isinstance(error, PermissionDenied):
        answer.status_code = status.HTTP_403_FORBIDDEN
    return answer


def _error_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's own answer, plus the stable code. A site's own handler would change the shape."""
    response = exception_handler(error, context)
    if response is None:
        return None
    # The errors of a site's own authentication may have any form, and be raised again.
    answer = response.data
    answer = answer.copy() if isinstance(answer, dict) else {NON_FIELD_ERRORS: answer}
    codes = [detail.code for detail in _details(answer)]
    if len(codes) > MOST_ERRORS and isinstance(answer, ReturnDict):
        answer = _first_errors(answer)
    several: str = getattr(error, "default_code", drf.ValidationError.default_code)
    answer["code"] = codes[0] if len(set(codes)) == 1 else several
    response.data = answer
    return response


def _details(answer: Any) -> Iterator[drf.ErrorDetail]:
    """Every message of an error answer, however deep."""
    if isinstance(answer, drf.ErrorDetail):
        yield answer
    elif isinstance(answer, (dict, list)):
        for part in answer.values() if isinstance(answer, dict) else answer:
            yield from _details(part)


def _first_errors(answer: Any) -> Any:
    """As many as help whoever mends the request."""
    places = iter(range(MOST_ERRORS))

    def kept(part: Any) -> Any:
        if isinstance(part, drf.ErrorDetail):
            return part if next(places, None) is not None else None
        if isinstance(part, dict):
            return {name: rest for name, each in part.items() if (rest := kept(each))}
        return [rest for each in part if (rest := kept(each))]

    first = kept(answer)
    first.setdefault(NON_FIELD_ERRORS, []).append(_("And more."))
    return ReturnDict(first, serializer=answer.serializer)
