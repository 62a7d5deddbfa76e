"""The fields of a grant, and what a token contains for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from twilio_tokens.sids import SIDKind

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

    from .base import Grant


class FieldKind(Enum):
    """What a field of a grant holds."""

    NAME = "the name of a resource"
    CHOICE = "one of a few words"
    TEXT = "text"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    OBJECT = "object"


@dataclass(frozen=True)
class GrantField:
    """A field of a grant, for the forms and API schemas that show it."""

    name: str
    kind: FieldKind
    label: _StrOrPromise
    help_text: _StrOrPromise
    max_length: int | None
    choices: Sequence[str]
    pattern: str | None


@dataclass(frozen=True)
class PayloadField:
    """A value in the product's part of a token: a SID, or one of a few words.

    ``path`` is its path in the payload, with dots between the keys.
    """

    path: str
    kind: SIDKind | Sequence[str]
    is_needed: bool = True

    def problem(self, payload: Mapping[str, Any]) -> str | None:
        """Why Twilio would reject the value, or None."""
        value: Any = payload
        for key in self.path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None and not self.is_needed:
            return None
        if not isinstance(self.kind, SIDKind):
            choices = ", ".join(self.kind)
            message = _("Expected one of %(choices)s.") % {"choices": choices}
            return None if value in self.kind else str(message)
        return self.kind.problem(value)


@dataclass(frozen=True)
class Example:
    """For API schemas: the fields of a request, and what its token has under ``twilio_key``."""

    request: Mapping[str, Any]
    payload: Mapping[str, Any]


_KINDS = {bool | None: FieldKind.BOOLEAN, int | None: FieldKind.INTEGER, str | None: FieldKind.TEXT}


@cache
def fields_of(grant: type[Grant]) -> tuple[GrantField, ...]:
    """In the order of declaration."""
    hints = get_type_hints(grant)

    def kind(each: dataclasses.Field[Any]) -> FieldKind:
        if each.name in grant.resources:
            return FieldKind.NAME
        if "choices" in each.metadata:
            return FieldKind.CHOICE
        return _KINDS.get(hints[each.name], FieldKind.OBJECT)

    return tuple(
        GrantField(
            name=each.name,
            kind=kind(each),
            label=each.metadata.get("label", capfirst(each.name.replace("_", " "))),
            help_text=each.metadata.get("help_text", ""),
            max_length=each.metadata.get("max_length"),
            choices=each.metadata.get("choices", ()),
            pattern=each.metadata.get("pattern"),
        )
        for each in dataclasses.fields(grant)
    )
