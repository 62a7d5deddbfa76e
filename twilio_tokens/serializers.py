"""From a request body to grants, and from an issued token to the answer.

The fields of a product follow from its grant class. Which values are legal is the grant's
matter; here they are only read, from JSON or from an HTML form, and nothing unknown passes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.fields import empty, iter_options
from rest_framework.settings import api_settings
from rest_framework.utils import html

from .conf import settings
from .exceptions import SettingError
from .grants import FieldKind, Grant, GrantField, fields_of, registered
from .issuing import IssuedAccessToken
from .offers import Offer

#: Sent along by every HTML form of a Django site.
CSRF_FIELD = "csrfmiddlewaretoken"

#: What belongs to no field. REST framework's own name; a site may have chosen another for its API.
NON_FIELD_ERRORS = "non_field_errors"

#: Messages of an error answer. A body may hold thousands of mistakes.
MOST_ERRORS = 10

#: Keys of an error answer: an unknown field of this name is told of among the general errors.
RESERVED = {"code", "detail", NON_FIELD_ERRORS}


class OptionalField(serializers.Field):  # type: ignore[type-arg]
    """A field that may be absent, as a blank input of an HTML form is."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def get_value(self, dictionary: Any) -> Any:
        if not html.is_html_input(dictionary):
            return dictionary.get(self.field_name, empty)
        values = dictionary.getlist(self.field_name)
        if len(values) > 1:
            return values  # which no field takes; the last alone may be blank, and grant more
        return values[0] if values and values[0] != "" else empty


class TextField(OptionalField, serializers.CharField):
    """A JSON string, kept as it is. ``max_length`` is for ``OPTIONS``: the grant checks it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, allow_blank=True, **kwargs)
        self.validators = []

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class NameField(OptionalField, serializers.ChoiceField):
    """The name of a resource. The choices are for forms and ``OPTIONS``: issuing decides."""

    default_error_messages = {"invalid": _("Not a valid string.")}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=(), allow_blank=True, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data

    def _get_choices(self) -> dict[str, str]:
        offer = self.context["offers"]()[self.parent.grant.product]  # type: ignore[attr-defined]
        return {name: name for name in offer.resources[self.field_name]}

    def _set_choices(self, choices: Any) -> None:
        """They depend on the user, so they are looked up when they are shown."""

    choices = property(_get_choices, _set_choices)

    def iter_options(self) -> Any:
        return iter_options(self.choices)


class WordField(OptionalField, serializers.ChoiceField):
    """One of a few words. The grant checks which."""

    default_error_messages = {"invalid": _("Not a valid string.")}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_blank=True, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class IncomingField(OptionalField, serializers.ChoiceField):
    """A boolean whose absence means something else than no: in HTML a three-way choice."""

    default_error_messages = serializers.BooleanField.default_error_messages

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=[(True, _("Yes")), (False, _("No"))], allow_blank=True, **kwargs)

    def to_internal_value(self, data: Any) -> bool:
        return bool(serializers.BooleanField().to_internal_value(data))


class _JSONText(str):
    """What an HTML form sends for an object."""


class ObjectField(OptionalField):
    """A JSON object; in an HTML form its text."""

    # DRF's JSONField fills an empty form with "null", and quotes a text that it shows again.
    default_error_messages = {"invalid": _("Value must be valid JSON.")}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(style={"base_template": "textarea.html"}, **kwargs)

    def get_value(self, dictionary: Any) -> Any:
        value = super().get_value(dictionary)
        is_text = isinstance(value, str) and html.is_html_input(dictionary)
        return _JSONText(value) if is_text else value

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, _JSONText):
            return data
        try:
            value = json.loads(data)
        except ValueError:
            self.fail("invalid")
        if value is None:
            self.fail("null")
        return value


class IntegerField(OptionalField, serializers.IntegerField):
    pass


class TTLField(IntegerField):
    """Seconds. The limits are for ``OPTIONS`` and the form: issuing decides."""

    def bind(self, field_name: str, parent: Any) -> None:
        super().bind(field_name, parent)
        # The page that tells of a wrong setting has a form too.
        with suppress(SettingError):
            self.min_value, self.max_value = 1, settings.max_ttl


class StrictSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """Refuses what it does not know: a misspelt field must not widen a token."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            message = self.error_messages["invalid"].format(datatype=type(data).__name__)
            raise ValidationError({NON_FIELD_ERRORS: [ErrorDetail(message, "invalid")]})
        unknown = self._unknown_errors(data)
        try:
            value = super().to_internal_value(data)
        except ValidationError as error:
            raise ValidationError({**error.detail, **unknown}) from None  # type: ignore[dict-item]
        if unknown:
            raise ValidationError(unknown)
        return value

    @property
    def errors(self) -> Any:
        errors = super().errors
        if api_settings.NON_FIELD_ERRORS_KEY in errors:  # of the body "null"
            errors[NON_FIELD_ERRORS] = errors.pop(api_settings.NON_FIELD_ERRORS_KEY)
        return errors

    def is_known(self, name: str, *, in_html: bool) -> bool:
        is_csrf_field = in_html and self.root is self and name == CSRF_FIELD
        return name in self.fields or is_csrf_field

    def get_initial(self) -> Any:
        """What a form shows: at first nothing, so that the raw text can be posted as it is.

        A refused form is shown as it was filled in; refused JSON may hold what no page can.
        """
        refused = getattr(self, "initial_data", None)
        return super().get_initial() if html.is_html_input(refused) else {}

    def _unknown_errors(self, data: Mapping[str, Any]) -> dict[str, Any]:
        in_html = html.is_html_input(data)
        errors: dict[str, Any] = {}
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
    """The fields of one product."""

    grant: type[Grant]

    def get_value(self, dictionary: Any) -> Any:
        """In the HTML form of several products, one is wanted if ticked or filled in; what has
        unknown fields is looked at, to be refused."""
        if not html.is_html_input(dictionary):
            return dictionary.get(self.field_name, empty)
        nested = html.parse_html_dict(dictionary, prefix=str(self.field_name))
        is_unknown = nested.keys() - self.fields.keys()
        tick = dictionary.get(self.field_name) or ""
        if tick and tick not in serializers.BooleanField.TRUE_VALUES:
            return tick  # such as JSON, whose room must not be ignored: refused
        wanted = tick or any(nested.values()) or is_unknown
        return nested if wanted else empty

    @classmethod
    def to_grant(cls, values: Mapping[str, Any]) -> Grant:
        return cls.grant(**{name: value for name, value in values.items() if name != "ttl"})


class ProductTokenSerializer(GrantSerializer):
    """``{<field of the product>?, ttl?}``"""

    def to_grants(self, values: Mapping[str, Any]) -> list[Grant]:
        return [self.to_grant(values)]


class CombinedTokenSerializer(StrictSerializer):
    """``{<product>: {…}, ttl?}``, one product or several."""

    def get_fields(self) -> dict[str, Any]:
        products = {
            product: grant_serializer(grant)(
                required=False,
                style={"template": "twilio_tokens/product_fieldset.html"},
            )
            for product, grant in registered().items()
        }
        return {**products, "ttl": _ttl_field()}

    def is_known(self, name: str, *, in_html: bool) -> bool:
        product, _dot, field = name.partition(".")
        in_product = in_html and field != "" and product in registered()
        return in_product or super().is_known(name, in_html=in_html)

    def get_initial(self) -> Any:
        if hasattr(self, "initial_data"):
            return super().get_initial()
        return {next(iter(registered())): {}}

    def to_grants(self, values: Mapping[str, Any]) -> list[Grant]:
        return [
            grant_serializer(registered()[product]).to_grant(asked_for)
            for product, asked_for in values.items()
            if product != "ttl"
        ]


#: After validation ``to_grants()`` says what the values ask for; their ``ttl`` stands beside it.
TokenSerializer = ProductTokenSerializer | CombinedTokenSerializer


@cache
def grant_serializer(grant: type[Grant]) -> type[GrantSerializer]:
    """The serializer of one product among several, where ``ttl`` stands beside them."""
    return type(f"{grant.__name__}Serializer", (GrantSerializer,), _declared(grant))


@cache
def product_token_serializer(grant: type[Grant]) -> type[ProductTokenSerializer]:
    """The serializer of a product's own page."""
    declared = {**_declared(grant), "ttl": _ttl_field()}
    return type(f"{grant.__name__}TokenSerializer", (ProductTokenSerializer,), declared)


@cache
def reader(product: str | None) -> TokenSerializer:
    """One serializer for all requests, only for its ``to_internal_value``.

    Making the fields anew is the dearest part of reading a request, and only what is shown
    to a user depends on the request.
    """
    return token_serializer(product)()


def token_serializer(
    product: str | None,
) -> type[ProductTokenSerializer] | type[CombinedTokenSerializer]:
    """The serializer of a product's page, or for None of the page of all products."""
    if product is None:
        return CombinedTokenSerializer
    return product_token_serializer(registered()[product])


FIELDS: dict[FieldKind, type[serializers.Field[Any, Any, Any, Any]]] = {
    FieldKind.NAME: NameField,
    FieldKind.CHOICE: WordField,
    FieldKind.BOOLEAN: IncomingField,
    FieldKind.INTEGER: IntegerField,
    FieldKind.TEXT: TextField,
    FieldKind.OBJECT: ObjectField,
}


def _declared(grant: type[Grant]) -> dict[str, Any]:
    return {"grant": grant, **{each.name: _declared_field(each) for each in fields_of(grant)}}


def _declared_field(field: GrantField) -> serializers.Field[Any, Any, Any, Any]:
    options: dict[str, Any] = {"label": field.label, "help_text": field.help_text}
    if field.max_length is not None:
        options["max_length"] = field.max_length
    if field.kind is FieldKind.CHOICE:
        options["choices"] = field.choices
    return FIELDS[field.kind](**options)


def _ttl_field() -> TTLField:
    return TTLField(
        label=_("TTL"),
        help_text=_("Lifetime in seconds. Left out, the site's default for the product."),
    )


def token_answer(issued: IssuedAccessToken) -> dict[str, Any]:
    return {
        "token": issued.token,
        "jti": issued.jti,
        "identity": issued.identity,
        "account_sid": issued.account_sid,
        "grants": issued.grants,
        "issued_at": _iso(issued.issued_at),
        "expires_at": _iso(issued.expires_at),
        "expires_in": int((issued.expires_at - issued.issued_at).total_seconds()),
        "refresh_at": _iso(issued.refresh_at),
    }


def offer_answer(offer: Offer) -> dict[str, Any]:
    answer: dict[str, Any] = {f"{name}s": names for name, names in offer.resources.items()}
    answer |= offer.grant.offer()
    answer["default"] = offer.default
    if offer.problem is not None:
        answer["problem"] = {"code": offer.problem.code, "detail": offer.problem.message}
    return answer


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
