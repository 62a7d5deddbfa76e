"""The fields of a request: they read values from JSON or from an HTML form.

The grant decides which values are valid.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from django.core.validators import MaxLengthValidator
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.fields import empty

from twilio_tokens.characters import visible
from twilio_tokens.conf import settings
from twilio_tokens.exceptions import SettingError
from twilio_tokens.grants import FieldKind, GrantField


class OptionalField(serializers.Field):  # type: ignore[type-arg]
    """A field that may be absent. A blank input of an HTML form counts as absent."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)

    def get_value(self, dictionary: Mapping[str, object]) -> object:
        if not isinstance(dictionary, MultiValueDict):
            return dictionary.get(str(self.field_name), empty)
        values = dictionary.getlist(str(self.field_name))
        if len(values) > 1:
            return values  # which no field accepts; the last one alone may be blank, and grant more
        return values[0] if values and values[0] != "" else empty


class StringField(OptionalField):
    """Accepts only a JSON string, and keeps it unchanged."""

    default_error_messages = {"invalid": _("Not a valid string.")}

    def to_internal_value(self, data: object) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class TextField(StringField, serializers.CharField):
    """``pattern`` is only for API schemas; the grant decides whether a text is valid."""

    def __init__(self, *, pattern: str | None = None, **kwargs: Any) -> None:
        self.pattern = pattern
        super().__init__(trim_whitespace=False, allow_blank=pattern is None, **kwargs)
        self.validators = [each for each in self.validators if isinstance(each, MaxLengthValidator)]


class NameField(TextField):
    """The name of a resource."""


class WordField(StringField, serializers.ChoiceField):
    """One of a few words, which the grant checks."""


class BooleanField(OptionalField, serializers.BooleanField):
    """If it is absent, it is not False: it has no value."""


class IntegerField(OptionalField, serializers.IntegerField):
    pass


class _JSONText(str):
    """The text that an HTML form sends for an object."""


class ObjectField(OptionalField, serializers.DictField):
    """A JSON object of strings; an HTML form sends it as text."""

    # DRF's JSONField shows "null" in an empty form, and quotes a text when it shows it again.
    child = serializers.CharField()
    default_error_messages = {"invalid": _("Value must be valid JSON.")}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(style={"base_template": "textarea.html"}, **kwargs)

    def get_value(self, dictionary: Mapping[str, object]) -> object:
        value = super().get_value(dictionary)
        is_text = isinstance(value, str) and isinstance(dictionary, MultiValueDict)
        return _JSONText(value) if is_text else value

    def to_internal_value(self, data: object) -> object:
        if not isinstance(data, _JSONText):
            return data
        try:
            value: object = json.loads(data)
        except ValueError:
            self.fail("invalid")
        if value is None:
            self.fail("null")
        return value


class TTLField(IntegerField):
    """Seconds. The limits are for ``OPTIONS``, forms and schemas; ``issuing`` enforces them."""

    def __init__(self) -> None:
        super().__init__(
            label=_("TTL"),
            help_text=_("Lifetime in seconds. If omitted, the default of the product is used."),
        )

    def bind(self, field_name: str, parent: serializers.BaseSerializer[Any]) -> None:
        super().bind(field_name, parent)
        # The page that reports an invalid setting has a form too.
        with suppress(SettingError):
            self.min_value, self.max_value = 1, settings.max_ttl


AnyField = serializers.Field[Any, Any, Any, Any]

_FIELDS: dict[FieldKind, type[AnyField]] = {
    FieldKind.NAME: NameField,
    FieldKind.CHOICE: WordField,
    FieldKind.BOOLEAN: BooleanField,
    FieldKind.INTEGER: IntegerField,
    FieldKind.TEXT: TextField,
    FieldKind.OBJECT: ObjectField,
}


def declared_field(field: GrantField) -> AnyField:
    options: dict[str, Any] = {"label": field.label, "help_text": field.help_text}
    if field.max_length is not None:
        options["max_length"] = field.max_length
    if field.kind is FieldKind.CHOICE:
        options["choices"] = field.choices
    if field.kind is FieldKind.TEXT:
        options["pattern"] = field.pattern
    return _FIELDS[field.kind](**options)


def menu(field: AnyField, names: Iterable[str]) -> AnyField:
    """``field`` as a form shows it: a menu if there is something to choose from.

    Choosing nothing is possible too, so a boolean has three choices.
    """
    choices: Iterable[object]
    if isinstance(field, NameField):
        choices = [(name, visible(name)) for name in names]
    elif isinstance(field, WordField):
        choices = field.choices
    elif isinstance(field, BooleanField):
        choices = [(True, _("Yes")), (False, _("No"))]
    else:
        return field
    return serializers.ChoiceField(
        choices=list(choices),
        label=field.label,
        help_text=field.help_text,
        required=False,
        allow_blank=True,
    )
