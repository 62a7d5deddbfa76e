"""Turns a request body into grants.

The grant class of a product declares its fields. This module only reads them, from JSON or from
an HTML form, and refuses unknown ones.
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

#: Every HTML form of a Django site sends it.
CSRF_FIELD = "csrfmiddlewaretoken"

#: For errors without a field. This is REST framework's default; a site may have changed its own.
NON_FIELD_ERRORS = "non_field_errors"

#: Messages in an error response. A body may contain thousands of mistakes.
MOST_ERRORS = 10

#: Keys of an error response: an unknown field with such a name is listed under NON_FIELD_ERRORS.
RESERVED = {"code", "detail", NON_FIELD_ERRORS}


class StrictSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Refuses unknown fields: a misspelt field must not make a token grant more."""

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
        """What a form shows: nothing at first, so that the raw data can be posted unchanged.

        A refused form is shown as it was filled in. Refused JSON may contain what a page cannot.
        """
        refused = getattr(self, "initial_data", None)
        return super().get_initial() if html.is_html_input(refused) else {}

    def show_menus(self, offer: Offer) -> None:
        """Show what the user can choose from, in a form or in ``OPTIONS``."""
        for name, field in list(self.fields.items()):
            shown = menu(field, offer.resources.get(name, ()))
            if shown is not field:
                self.fields[name] = shown

    def _unknown_errors(self, data: Mapping[str, Any]) -> dict[str, list[ErrorDetail]]:
        in_html = html.is_html_input(data)
        errors: dict[str, list[ErrorDetail]] = {}
        unknown = (name for name in data if not self.is_known(name, in_html=in_html))
        for name in islice(unknown, MOST_ERRORS + 1):
            # A name may contain what a response cannot: lone surrogates, or far too much text.
            shown = name.encode("utf-8", "backslashreplace").decode()[:100]
            if shown in RESERVED or shown != name:
                message = gettext("Unknown field: %(name)s.") % {"name": shown}
                where = NON_FIELD_ERRORS
            else:
                message, where = gettext("Unknown field."), name
            errors.setdefault(where, []).append(ErrorDetail(message, "unknown_field"))
        return errors


class GrantSerializer(StrictSerializer):
    """The fields of one product, in a request for several."""

    def __init__(self, grant: type[Grant], **kwargs: Any) -> None:
        style = {"template": "twilio_tokens/product_fieldset.html"}
        super().__init__(label=grant.label, required=False, style=style, **kwargs)
        self.grant = grant
        # Schemas refer to it by this name, because all grants share this class.
        self.Meta = SimpleNamespace(ref_name=f"{grant.__name__}Grant")

    def get_fields(self) -> dict[str, AnyField]:
        return {each.name: declared_field(each) for each in fields_of(self.grant)}

    def get_value(self, dictionary: Mapping[str, object]) -> object:
        """In an HTML form for several products, one is requested if its box is ticked or one of its
        fields has a value. Unknown fields count too, so that they are refused."""
        if not isinstance(dictionary, MultiValueDict):
            return dictionary.get(str(self.field_name), empty)
        nested = html.parse_html_dict(dictionary, prefix=str(self.field_name))
        is_unknown = nested.keys() - self.fields.keys()
        tick = dictionary.get(self.field_name) or ""
        if tick and tick not in serializers.BooleanField.TRUE_VALUES:
            return tick  # such as JSON: refused, because its room must not be ignored
        wanted = tick or any(nested.values()) or is_unknown
        return nested if wanted else empty


class TokenRequestSerializer(StrictSerializer):
    """A request for a token."""

    # With a refusal it only shows what was filled in, and these errors. They come either from
    # reading the request or from issuing the token.
    def __init__(self, refusal: object = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.refusal = refusal

    def run_validation(self, data: object = empty) -> dict[str, Any]:
        if self.refusal is not None:
            raise ValidationError(self.refusal)  # type: ignore[arg-type]
        values: dict[str, Any] = super().run_validation(data)
        return values

    def read(self, data: object) -> tuple[list[Grant], int | None]:
        """The requested grants and lifetime in seconds. Raises ``ValidationError``."""
        values = self.run_validation(data)
        ttl: int | None = values.pop("ttl", None)
        return self.to_grants(values), ttl

    def to_grants(self, values: Mapping[str, Any]) -> list[Grant]:
        raise NotImplementedError

    def products_in(self, data: object) -> list[str]:
        """The products that a body requests, even if it is refused."""
        raise NotImplementedError

    def errors_of(self, error: InvalidGrant) -> dict[str, Any]:
        """The error of a grant, under the field of the request that it concerns."""
        return {error.field or NON_FIELD_ERRORS: [ErrorDetail(error.message, error.code)]}

    @property
    def errors(self) -> ReturnDict[str, Any]:
        errors = super().errors
        if api_settings.NON_FIELD_ERRORS_KEY in errors:  # for the body "null"
            errors[NON_FIELD_ERRORS] = errors.pop(api_settings.NON_FIELD_ERRORS_KEY)
        return errors

    def is_known(self, name: str, *, in_html: bool) -> bool:
        return super().is_known(name, in_html=in_html) or (in_html and name == CSRF_FIELD)

    def offer_menus(self, offers: Mapping[str, Offer]) -> None:
        raise NotImplementedError


class ProductTokenRequestSerializer(TokenRequestSerializer):
    """A request for a token for one product."""

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
    """A request for one token for one or several products."""

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
    """The serializer of a product's URL, or with None of the URL for all products."""
    if product is None:
        return AccessTokenRequestSerializer(**kwargs)
    return ProductTokenRequestSerializer(registered()[product], **kwargs)


@cache
def reader(product: str | None) -> TokenRequestSerializer:
    """A serializer shared by all requests. Use only its ``read()``.

    Building the fields is the most expensive part of reading a request, and only what is shown
    to a user depends on the request.
    """
    return request_serializer(product)
