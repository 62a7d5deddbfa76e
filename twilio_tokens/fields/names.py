"""Fields for names and SIDs. Someone may type a secret into either by mistake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from twilio_tokens import sids
from twilio_tokens.characters import misleading, shown


class NameInput(forms.TextInput):
    """Does not redisplay a secret that was typed into it by mistake."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"class": "vTextField", **(attrs or {})})

    def format_value(self, value: object) -> str | None:
        text = super().format_value(value)
        return None if text is None or sids.holds_secret(text) else text


def validate_name(value: str) -> None:
    if sids.holds_secret(value):
        raise ValidationError(
            _(
                "This looks like a secret. Everyone who can open this page sees the name, so "
                "choose another one."
            ),
            code="secret",
        )
    illegal = misleading(value)
    if illegal:
        raise ValidationError(
            _("Control characters are not allowed: %(character)s."),
            code="invalid",
            params={"character": shown(illegal)},
        )


class NameField(models.CharField):  # type: ignore[type-arg]
    """Refuses text that looks like a secret, and misleading characters.

    Migrations see the field that it is based on.
    """

    default_validators = [validate_name]

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        return super().formfield(**{**kwargs, "widget": NameInput})


class SlugNameField(models.SlugField):  # type: ignore[type-arg]
    """A name that clients send, so a slug."""

    default_validators = [*models.SlugField.default_validators, validate_name]

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.SlugField", args, kwargs

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        return super().formfield(**{**kwargs, "widget": NameInput})


class SIDInput(forms.TextInput):
    """Redisplays only a SID or the start of one: anything else may be a secret."""

    def format_value(self, value: object) -> str | None:
        text = super().format_value(value)
        return text if text is not None and sids.is_shown(text.strip()) else None


class SIDField(models.CharField):  # type: ignore[type-arg]
    """A SID of one kind, stripped of surrounding white space."""

    def __init__(self, *args: Any, kind: sids.SIDKind = sids.ACCOUNT, **kwargs: Any) -> None:
        kwargs["max_length"] = sids.LENGTH
        super().__init__(*args, **kwargs)
        self.kind = kind
        # The kind's own message is more helpful than "at most 34 characters".
        self.validators = [kind.validate]

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_length"]
        return name, path.replace("fields.names.", "fields."), args, kwargs

    def to_python(self, value: object) -> object:
        value = super().to_python(value)
        return value.strip() if isinstance(value, str) else value

    def pre_save(self, model_instance: models.Model, add: bool) -> object:
        value = self.to_python(super().pre_save(model_instance, add))
        setattr(model_instance, self.attname, value)
        return value

    def formfield(self, **kwargs: Any) -> forms.Field | None:
        # With a maxlength, the browser would silently cut off a longer paste.
        kwargs["max_length"] = None
        kwargs["widget"] = SIDInput(
            attrs={"size": 40, "spellcheck": "false", "autocomplete": "off"}
        )
        return super().formfield(**kwargs)
