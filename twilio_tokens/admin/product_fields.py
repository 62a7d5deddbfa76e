"""A product's fields in a form of the console."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from twilio_tokens.characters import visible
from twilio_tokens.grants import FieldKind, Grant, GrantField
from twilio_tokens.models import Resource


def form_field(grant: type[Grant], declared: GrantField) -> forms.Field:
    kind = declared.kind
    options: dict[str, Any] = {
        "label": declared.label,
        "help_text": declared.help_text,
        "required": False,
    }
    if kind == FieldKind.NAME:
        return forms.ChoiceField(choices=partial(_names, grant.resources[declared.name]), **options)
    if kind == FieldKind.CHOICE:
        choices = [("", "---------"), *((choice, choice) for choice in declared.choices)]
        return forms.ChoiceField(choices=choices, **options)
    if kind == FieldKind.BOOLEAN:
        yes_or_no: list[Any] = [("", "---------"), ("yes", _("Yes")), ("no", _("No"))]
        return forms.TypedChoiceField(
            choices=yes_or_no, coerce=lambda value: value == "yes", empty_value=None, **options
        )
    if kind == FieldKind.INTEGER:
        return forms.IntegerField(**options)
    if kind == FieldKind.TEXT:
        text = forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"})
        return forms.CharField(strip=False, widget=text, **options)
    return ObjectField(
        widget=forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField", "spellcheck": "false"}),
        **options,
    )


class ObjectField(forms.CharField):
    """JSON text. Django's JSONField shows an empty value as "null" and fails on deep nesting."""

    def to_python(self, value: object) -> object:  # type: ignore[override]
        text = super().to_python(value)
        if not text:
            return None
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise ValidationError(_("Enter valid JSON."), code="invalid") from None


def _names(model: type[Resource]) -> list[tuple[str, str]]:
    names = model._default_manager.order_by("name").values_list("name", flat=True)
    return [("", "---------"), *((name, visible(name)) for name in names)]
