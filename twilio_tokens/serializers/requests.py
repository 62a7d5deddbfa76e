"""From a request body to grants.

The fields of a product follow from its grant class. Here they are only read, from JSON or from
an HTML form, and nothing unknown passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import islice
from types import SimpleNamespace
from typing import Any

from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.fields import empty
from rest_framework.settings import api_settings
from rest_framework.utils import html
from rest_framework.utils.serializer_helpers import ReturnDict

from twilio_tokens.exceptions import InvalidGrant
from twilio_tokens.grants import Grant, fields_of, registered
from twilio_tokens.offers import Offer

from .fields import AnyField, TTLField, declared_field, menu

#: Sent along by every HTML form of a Django site.
CSRF_FIELD = "csrfmiddlewaretoken"

#: What belongs to no field. REST framework's own name; a site may have chosen another for its API.
NON_FIELD_ERRORS = "non_field_errors"

#: Messages of an error answer. A body may hold thousands of mistakes.
MOST_ERRORS = 10

#: Keys of an error answer: an unknown field of this name is told of among the general errors.
RESERVED = {"code", "detail", NON_FIELD_ERRORS}


class StrictSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Refuses what it does not know: a misspelt field must not widen a token."""

    def to_internal_value(self, data: object) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            message = self.error_messages["invalid"].format(datatype=type(data).__name__)
            raise ValidationError({NON_FIELD_ERRORS: [ErrorDetail(message, "invalid")]})
        unknown = self._unknown_errors(data)
        try:
            values: dict[str, Any] = super().to_internal_value(data)
        except ValidationError as error:
            raise ValidationError({**error.detail, **unknown}) from None  # type: ignore[dict-item]
        if unknown:
            raise ValidationError(unknown)
        return values

    def is_known(self, name: str, *, in_html: bool) -> bool:
        return name in self.fields

    def get_initial(self) -> object:
        """What a form shows: at first nothing, so that the raw text can be posted as it is.

        A refused form is shown as it was filled in; refused JSON may hold what no page can.
        """
        refused = getattr(self, "initial_data", None)
        return super().get_initial() if html.is_html_input(refused) else {}

    def show_menus(self, offer: Offer) -> None:
        """Show what the user may choose from, in a form or as ``OPTIONS`` tells it."""
        for name, field in list(self.fields.items()):
            shown = menu(field, offer.resources.get(name, ()))
            if shown is not field:
                self.fields[name] = shown

    def _unknown_errors(self, data: Mapping[str, Any]) -> dict[str, list[ErrorDetail]]:
        in_html = html.is_html_input(data)
        errors: dict[str, list[ErrorDetail]] = {}
        unknown = (name for name in data if not self.is_known(name, in_html=in_html))
        for name in islice(unknown, MOST_ERRORS + 1):
            # A name may hold what no answer can: lone surrogates, or a whole page.
            shown = name.encode("utf-8", "backslashreplace").decode()[:100]
            if shown in RESERVED or shown != name:
                message = gettext("Unknown field: %(name)s.") % {"name": shown}
                where = NON_FIELD_ERRORS
            else:
                message, where = gettext("Unknown field."), name
            errors.setdefault(where, []).append(ErrorDetail(message, "unknown_field"))
        return errors


class GrantSerializer(StrictSerializer):
    """The fields of one product among several."""

    def __init__(self, grant: type[Grant], **kwargs: Any) -> None:
        style = {"template": "twilio_tokens/product_fieldset.html"}
        super().__init__(label=grant.label, required=False, style=style, **kwargs)
        self.grant = grant
        # By this name schemas refer to it. A class of its own has none of the grants.
        self.Meta = SimpleNamespace(ref_name=f"{grant.__name__}Grant")

    def get_fields(self) -> dict[str, AnyField]:
        return {each.name: declared_field(each) for each in fields_of(self.grant)}

    def get_value(self, dictionary: Mapping[str, object]) -> object:
        """In the HTML form of several products, one is wanted if ticked or filled in; what has
        unknown fields is looked at, to be refused."""
        if not isinstance(dictionary, MultiValueDict):
            return dictionary.get(str(self.field_name), empty)
        nested = html.parse_html_dict(dictionary, prefix=str(self.field_name))
        is_unknown = nested.keys() - self.fields.keys()
        tick = dictionary.get(self.field_name) or ""
        if tick and tick not in serializers.BooleanField.TRUE_VALUES:
            return tick  # such as JSON, whose room must not be ignored: refused
        wanted = tick or any(nested.values()) or is_unknown
        return nested if wanted else empty


class TokenRequestSerializer(StrictSerializer):
    """A request for a token."""

    # One with a refusal is only shown, with what was filled in and these errors: the rules that
    # a request breaks may be those of reading it or those of issuing.
    def __init__(self, refusal: object = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.refusal = refusal

    def run_validation(self, data: object = empty) -> dict[str, Any]:
        if self.refusal is not None:
            raise ValidationError(self.refusal)  # type: ignore[arg-type]
        values: dict[str, Any] = super().run_validation(data)
        return values

    def read(self, data: object) -> tuple[list[Grant], int | None]:
        """What is asked for, and for how many seconds; or ``ValidationError``."""
        values = self.run_validation(data)
        ttl: int | None = values.pop("ttl", None)
        return self.to_grants(values), ttl

    def to_grants(self, values: Mapping[str, Any]) -> list[Grant]:
        raise NotImplementedError

    def products_in(self, data: object) -> list[str]:
        """Those asked for by a body that may be refused."""
        raise NotImplementedError

    def errors_of(self, error: InvalidGrant) -> dict[str, Any]:
        """The error of a grant, at the field where it stands in a request."""
        return {error.field or NON_FIELD_ERRORS: [ErrorDetail(error.message, error.code)]}

    @property
    def errors(self) -> ReturnDict[str, Any]:
        errors = super().errors
        if api_settings.NON_FIELD_ERRORS_KEY in errors:  # of the body "null"
            errors[NON_FIELD_ERRORS] = errors.pop(api_settings.NON_FIELD_ERRORS_KEY)
        return errors

    def is_known(self, name: str, *, in_html: bool) -> bool:
        return super().is_known(name, in_html=in_html) or (in_html and name == CSRF_FIELD)

    def offer_menus(self, offers: Mapping[str, Offer]) -> None:
        raise NotImplementedError


class ProductTokenRequestSerializer(TokenRequestSerializer):
    """A request for a token of one product."""

    def __init__(self, grant: type[Grant], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.grant = grant
        self.Meta = SimpleNamespace(ref_name=f"{grant.__name__}TokenRequest")

    def get_fields(self) -> dict[str, AnyField]:
        fields = {each.name: declared_field(each) for each in fields_of(self.grant)}
        return {**fields, "ttl": TTLField()}

    def to_grants(self, values: Mapping[str, Any]) -> list[Grant]:
        return [self.grant(**values)]

    def products_in(self, data: object) -> list[str]:
        return [self.grant.product]

    def offer_menus(self, offers: Mapping[str, Offer]) -> None:
        self.show_menus(offers[self.grant.product])


class AccessTokenRequestSerializer(TokenRequestSerializer):
    """A request for one token of one product or several."""

    def get_fields(self) -> dict[str, AnyField]:
        products = {name: GrantSerializer(grant) for name, grant in registered().items()}
        return {**products, "ttl": TTLField()}

    def is_known(self, name: str, *, in_html: bool) -> bool:
        product, _dot, field = name.partition(".")
        in_product = in_html and field != "" and product in registered()
        return in_product or super().is_known(name, in_html=in_html)

    def get_initial(self) -> object:
        if hasattr(self, "initial_data"):
            return super().get_initial()
        return {next(iter(registered())): {}}

    def to_grants(self, values: Mapping[str, Any]) -> list[Grant]:
        return [registered()[product](**asked_for) for product, asked_for in values.items()]

    def products_in(self, data: object) -> list[str]:
        if not isinstance(data, Mapping):
            return []
        fields = ((name, self.fields[name]) for name in registered())
        return [name for name, field in fields if field.get_value(data) is not empty]

    def errors_of(self, error: InvalidGrant) -> dict[str, Any]:
        errors = super().errors_of(error)
        return errors if error.product is None else {error.product: errors}

    def offer_menus(self, offers: Mapping[str, Offer]) -> None:
        for field in self.fields.values():
            if isinstance(field, GrantSerializer):
                field.show_menus(offers[field.grant.product])


def request_serializer(product: str | None, **kwargs: Any) -> TokenRequestSerializer:
    """Of a product's page, or for None of the page of all products."""
    if product is None:
        return AccessTokenRequestSerializer(**kwargs)
    return ProductTokenRequestSerializer(registered()[product], **kwargs)


@cache
def reader(product: str | None) -> TokenRequestSerializer:
    """One serializer for all requests, only for its ``read()``.

    Making the fields anew is the dearest part of reading a request, and only what is shown
    to a user depends on the request.
    """
    return request_serializer(product)
