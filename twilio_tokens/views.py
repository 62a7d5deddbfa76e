"""The HTTP API: parses a request, calls ``issue_access_token``, and answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import classproperty
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework import exceptions as drf
from rest_framework import status
from rest_framework.metadata import SimpleMetadata
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.schemas.inspectors import DefaultSchema, ViewInspector
from rest_framework.schemas.openapi import AutoSchema
from rest_framework.serializers import BaseSerializer, Serializer
from rest_framework.settings import api_settings
from rest_framework.viewsets import ViewSet

from .conf import settings
from .error_answers import ANSWERED, api_exception, code_of, error_answer
from .error_reports import hide_tokens
from .exceptions import InvalidGrant, NotConfigured, ThrottleUnavailable, TwilioTokensError
from .grants import registered
from .identity import identity_for
from .issuing import IssuedAccessToken, issue_access_token
from .offers import Offer, offers
from .outcomes import Asking
from .parsers import TokenRequest, parser_classes
from .renderers import TokenJSONRenderer, renderer_classes, show_menus
from .serializers import offer_serializer, reader, request_serializer, token_answer
from .throttles import TokenRateThrottle, asks_for_a_token, issues_nothing


class TokenMetadata(SimpleMetadata):
    def get_serializer_info(self, serializer: BaseSerializer[Any]) -> dict[str, Any]:
        show_menus(serializer)
        return super().get_serializer_info(serializer)


class NamedSchema(DefaultSchema):
    """Names operations after products: REST framework would use the class, which they share."""

    def __get__(self, instance: TokenViewSet | None, owner: type[TokenViewSet]) -> ViewInspector:
        schema = super().__get__(instance, owner)
        if instance is not None and isinstance(schema, AutoSchema):
            grant = registered().get(instance.product or "")
            kind = "Offer" if instance.action == "list" else "Request"
            name = f"{grant.__name__ if grant else 'Access'}Token{kind}"
            schema.component_name = schema.operation_id_base = name
        return schema


class TokenViewSet(ViewSet):
    """Issues Twilio Access Tokens to the signed-in user.

    Customize it by subclassing; ``urls.token_urls(YourViewSet)`` returns its URLs.
    """

    permission_classes = [IsAuthenticated]
    throttle_classes = [TokenRateThrottle]

    # What the API reads and writes does not depend on the site's REST framework defaults.
    content_negotiation_class = DefaultContentNegotiation
    metadata_class = TokenMetadata
    schema = NamedSchema()
    versioning_class = None

    #: The product of this URL; None for the URL of all products.
    product: str | None = None

    @issues_nothing
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What the user can request. Issues nothing."""
        offers = self.offers()
        longest = settings.max_ttl
        ttls = {product: min(each.grant.lifetime(), longest) for product, each in offers.items()}
        told = {
            "identity": self._identity(),
            "ttl": {"max": longest, "default": ttls},
            **(offers if self.product is None else vars(offers[self.product])),
        }
        return Response(offer_serializer(self.product).to_representation(told))

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Issue a token."""
        serializer = reader(self.product)
        if any(serializer.is_known(name, in_html=True) for name in request.query_params):
            raise drf.ParseError(_("Send fields in the request body, not in the URL."))
        try:
            data: object = request.data
            if isinstance(data, Mapping):
                data = self.fields_from(data)
            grants, ttl = serializer.read(data)
            issued = issue_access_token(
                user=request.user, grants=grants, ttl=ttl, issued_by=self.issued_by(request)
            )
        except RecursionError:
            raise drf.ParseError(_("The request body is nested too deeply.")) from None
        except drf.ValidationError as error:
            self._asking.products = serializer.products_in(data)
            raise self._refusal(error.detail) from None
        except InvalidGrant as error:
            raise self._refusal(serializer.errors_of(error)) from None
        return Response(self.answer(issued), status=status.HTTP_201_CREATED)

    def fields_from(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """This API's own fields, from the body of a request. Override it for a front end that has
        others: what it returns is read as strictly, and ``None`` is refused."""
        return data

    def answer(self, issued: IssuedAccessToken) -> Mapping[str, Any]:
        """What is answered. Override it for a front end that reads something else."""
        return token_answer(issued)

    def issued_by(self, request: Request) -> AbstractBaseUser | None:
        """Who acts as the user, for the audit record. Override it if users can be impersonated."""
        return None

    def _refusal(self, detail: object) -> drf.ValidationError:
        """The errors, with the form that shows them next to what was filled in."""
        shown = request_serializer(
            self.product,
            data=self.request.data,
            refusal=detail,
            context={"offers": self.offers},
        )
        shown.is_valid()
        return drf.ValidationError(shown.errors)

    # Called by the browsable API, OPTIONS and schema generators.

    def get_serializer(self, *args: Any, **kwargs: Any) -> Serializer[Any]:
        if self.action == "list":
            return offer_serializer(self.product)
        return request_serializer(self.product, *args, **kwargs, context={"offers": self.offers})

    def get_view_name(self) -> str:
        if self.product is None:
            return _("Access Tokens")
        return _("%(product)s Access Token") % {"product": registered()[self.product].label}

    def get_view_description(self, html: bool = False) -> str:
        if self.product is not None:
            return _("Issues a Twilio Access Token for one product, with your identity.")
        text = _(
            "Issues a Twilio Access Token for one or several products, with your identity. GET "
            "lists what you can request, and issues nothing."
        )
        if not html:
            return text
        links = format_html_join(
            " · ",
            '<a href="{}">{}</a>',
            (
                (self.request.build_absolute_uri(f"{product}/"), grant.label)
                for product, grant in registered().items()
            ),
        )
        return format_html("<p>{}</p><p>{} {}</p>", text, _("For a single product:"), links)

    def offers(self) -> dict[str, Offer]:
        return self._offers

    @cached_property
    def _asking(self) -> Asking:
        return Asking(products=() if self.product is None else (self.product,))

    @cached_property
    def _offers(self) -> dict[str, Offer]:
        products = None if self.product is None else [self.product]
        return offers(self._user, products)

    @property
    def _user(self) -> AbstractBaseUser:
        return cast("AbstractBaseUser", self.request.user)  # checked by IsAuthenticated

    def _identity(self) -> str | None:
        try:
            return identity_for(self._user)
        except TwilioTokensError:  # each product's problem reports it
            return None

    # Every request and every response passes through these methods.

    @classmethod
    def as_view(cls, actions: Any = None, **initkwargs: Any) -> Any:  # noqa: ANN401 - theirs
        """Keeps tokens out of error reports, and their records out of transactions of requests."""
        return hide_tokens(super().as_view(actions, **initkwargs))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Reports the outcome once; ``issue_access_token`` reports its own outcomes."""
        if not asks_for_a_token(request, self):
            return super().dispatch(request, *args, **kwargs)
        with self._asking as asking:
            response = super().dispatch(request, *args, **kwargs)
            asking.answered(code_of(response))
        return response

    @classproperty
    def parser_classes(cls) -> Sequence[type[BaseParser]]:
        return parser_classes(tuple(api_settings.DEFAULT_PARSER_CLASSES))

    @classproperty
    def renderer_classes(cls) -> Sequence[type[BaseRenderer]]:
        return renderer_classes(tuple(api_settings.DEFAULT_RENDERER_CLASSES))

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> TokenRequest:
        made = super().initialize_request(request, *args, **kwargs)
        return TokenRequest(
            request,
            parsers=made.parsers,
            authenticators=made.authenticators,  # type: ignore[arg-type]
            negotiator=made.negotiator,
            parser_context=made.parser_context,
        )

    def get_format_suffix(self, **kwargs: Any) -> None:
        """A keyword of the site's URL pattern is not a format."""

    def perform_authentication(self, request: Request) -> None:
        try:
            super().perform_authentication(request)
            bool(request.user)  # some classes look the user up only now
        except get_user_model().DoesNotExist:
            request.user = AnonymousUser()
            raise drf.NotAuthenticated from None
        self._asking.user = request.user

    def check_throttles(self, request: Request) -> None:
        try:
            super().check_throttles(request)
        except ANSWERED:
            raise
        except Exception as error:  # what the cache of a site's own throttle raises
            raise ThrottleUnavailable(
                gettext_lazy("A throttle raised {error}."), error=type(error).__name__
            ) from error

    def handle_exception(self, exc: Exception) -> Response:
        if not isinstance(exc, ANSWERED):  # the database's, or a bug of the site's own code
            self._answer_without_a_page()
            exc = NotConfigured.due_to(exc)
        return super().handle_exception(api_exception(exc))

    def _answer_without_a_page(self) -> None:
        """A page would authenticate again, and use whatever else may have failed."""
        renderer = getattr(self.request, "accepted_renderer", None)
        if renderer is None or isinstance(renderer, BrowsableAPIRenderer):
            others = (r for r in self.get_renderers() if not isinstance(r, BrowsableAPIRenderer))
            renderer = next(others, TokenJSONRenderer())
            self.request.accepted_renderer = renderer
            self.request.accepted_media_type = renderer.media_type

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return error_answer

    def finalize_response(self, *args: Any, **kwargs: Any) -> Response:
        request, response, *_rest = args  # the site's URL may have keywords of the same names
        return super().finalize_response(request, response)

    @property
    def default_response_headers(self) -> dict[str, str]:
        # Django before 5.2.15 stores even no-store responses if it caches the whole site.
        vary = "Accept, Authorization, Cookie"
        return {
            **super().default_response_headers,
            # A page of another origin could run a bare token as a script, and so read it.
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Vary": vary,
            "Cache-Control": "no-store",
        }
