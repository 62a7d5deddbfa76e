"""What a grant declares, and the registry of products.

Everything about a product is in its own module, as a class like those next to this file. A site
adds its own product in the same way::

    @register
    @dataclass(frozen=True)
    class Live(Grant):
        product = "live"
        resources = {"stage": Stage}  # a subclass of models.RestrictedResource
        needed = "stage"

        stage: str | None = None

        def to_twilio(self, user, resources):
            return PlaybackGrant({"stage": resources["stage"].sid})

The API, the console, the commands and the audit follow from that declaration.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext_lazy as _

from twilio_tokens.conf import settings
from twilio_tokens.exceptions import InvalidGrant
from twilio_tokens.models import Resource, RestrictedResource

from .fields import Example, FieldKind, GrantField, PayloadField, fields_of
from .identity_rule import IdentityRule

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise
    from twilio.jwt.access_token import AccessTokenGrant
else:
    _StrOrPromise = str  # for get_type_hints(), which reads all annotations of a class

_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Note:
    """A sentence about what a product's SDK does with a token; ``%(at)s`` stands for ``at``."""

    text: _StrOrPromise
    at: datetime | None = None


@dataclass(frozen=True)
class Default:
    """The default among the account's rows with the values of ``among``.

    ``asked_for_by`` is the field that an error is shown next to.
    """

    asked_for_by: str
    among: Mapping[str, str | bool] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Grant(ABC):
    """What the caller requests. Resources are given by name, never by SID.

    Each field has one of the types ``str``, ``bool``, ``int`` or ``dict[str, str]``, or None, and
    a default. Its ``metadata`` may hold ``label``, ``help_text``, ``max_length``, ``choices`` and,
    for API schemas only, ``pattern``. On the command line, only the first field can be given.
    """

    #: The name in URLs, request bodies and settings.
    product: ClassVar[str]
    #: The name that people see.
    label: ClassVar[_StrOrPromise]
    #: The key of Twilio's grant in the token; by default the product's name.
    twilio_key: ClassVar[str]
    #: Seconds; ``TWILIO_TOKENS_TTL`` overrides it.
    default_ttl: ClassVar[int] = 3_600
    #: Fields that name a resource, and its model.
    resources: ClassVar[Mapping[str, type[Resource]]] = MappingProxyType({})
    #: The field whose resource chooses the account. If omitted, the account's default is used.
    needed: ClassVar[str | None] = None
    identity_rule: ClassVar[IdentityRule] = IdentityRule()
    #: The keys of what ``offer()`` returns.
    offered: ClassVar[Mapping[str, FieldKind]] = MappingProxyType({})
    example: ClassVar[Example] = Example({}, {})
    #: What a token has under ``twilio_key``, as far as it can be checked without Twilio.
    payload_fields: ClassVar[Sequence[PayloadField]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        declared = vars(cls)
        product = declared.get("product")
        if isinstance(product, str):
            cls.label = declared.get("label", product.replace("_", " ").capitalize())
            cls.twilio_key = getattr(cls, "twilio_key", product)

    @classmethod
    def lifetime(cls) -> int:
        """The default lifetime on this site, in seconds."""
        return settings.ttls.get(cls.product, cls.default_ttl)

    @classmethod
    def offer(cls) -> dict[str, Any]:
        """What ``GET`` says about the product besides the names, as JSON."""
        return {}

    @classmethod
    def missing(cls) -> _StrOrPromise | None:
        """What the site must still configure before anyone can be granted this product."""
        return None

    @classmethod
    def sdk_notes(
        cls, payload: Mapping[str, Any], *, identity: str, issued_at: datetime, expires_at: datetime
    ) -> Iterator[Note]:
        """What the product's SDK does with a token that has this ``payload``."""
        yield Note(_("Replace the token before %(at)s."), expires_at)

    def clean(self) -> None:
        """Raise ``InvalidGrant`` for a value that no user may be granted."""
        for each in fields_of(type(self)):
            value = getattr(self, each.name)
            if value is not None:
                self._check(each, value)

    def default_for(self, name: str) -> Default | None:
        """Which default to use if the field names no resource, or None."""
        return Default(asked_for_by=name) if name == self.needed else None

    def authorize(self, user: AbstractBaseUser, resources: Mapping[str, Any]) -> datetime | None:
        """Raise ``PermissionDenied`` for what this user may not be granted.

        May return the time at which the permission ends, with a time zone; the token expires then
        at the latest. ``resources`` has a record or None for each field of ``self.resources``.
        """
        return None

    @abstractmethod
    def to_twilio(self, user: AbstractBaseUser, resources: Mapping[str, Any]) -> AccessTokenGrant:
        """The grant as Twilio's library writes it into the token of this user."""

    def to_audit(self, payload: dict[str, Any]) -> dict[str, Any]:
        """What the audit record keeps of the token's payload, as JSON."""
        return payload

    def invalid(self, name: str, message: _StrOrPromise, code: str = "invalid") -> InvalidGrant:
        return InvalidGrant(message, code=code, field=name, product=self.product)

    def refuse_unstorable(self, name: str, text: str) -> None:
        """PostgreSQL cannot store NUL, and no encoding has lone surrogates."""
        if "\x00" in text:
            raise self.invalid(
                name, _("Null characters are not allowed."), "null_characters_not_allowed"
            )
        if not text.isascii() and _SURROGATE.search(text):
            raise self.invalid(
                name, _("Surrogate characters are not allowed."), "surrogate_characters_not_allowed"
            )

    def _check(self, field: GrantField, value: object) -> None:
        if field.kind is FieldKind.BOOLEAN:
            if not isinstance(value, bool):
                raise self.invalid(field.name, _("Must be a valid boolean."))
        elif field.kind is FieldKind.INTEGER:
            if type(value) is not int:
                raise self.invalid(field.name, _("A valid integer is required."))
        elif field.kind is not FieldKind.OBJECT:
            if not isinstance(value, str):
                raise self.invalid(field.name, _("Not a valid string."))
            self._check_text(field, value)

    def _check_text(self, field: GrantField, text: str) -> None:
        if field.max_length is not None and len(text) > field.max_length:
            raise self.invalid(
                field.name,
                _("Ensure this field has no more than %(max)d characters.")
                % {"max": field.max_length},
                "max_length",
            )
        if field.kind is FieldKind.TEXT:
            self.refuse_unstorable(field.name, text)
        if field.kind is FieldKind.CHOICE and text not in field.choices:
            raise self.invalid(
                field.name,
                _("Expected one of %(choices)s.") % {"choices": ", ".join(field.choices)},
                "invalid_choice",
            )


#: The other keys in requests and answers.
_RESERVED = {"code", "detail", "identity", "ttl"}

_GrantClass = TypeVar("_GrantClass", bound=type[Grant])
_registry: dict[str, type[Grant]] = {}


def register(grant: _GrantClass) -> _GrantClass:
    """Make a product available everywhere. Use it as a decorator."""
    product = getattr(grant, "product", None)
    if not isinstance(product, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", product):
        raise ValueError(f"{grant.__name__}.product should be a lower-case name.")
    if product in _RESERVED or _registry.get(product, grant) is not grant:
        raise ValueError(f"The product name {product!r} is taken.")
    # The base is a dataclass too, so is_dataclass() would not notice a missing decorator.
    if "__dataclass_fields__" not in vars(grant):
        raise TypeError(f"{grant.__name__} should be a frozen dataclass.")
    if not grant.resources.keys() <= {each.name for each in dataclasses.fields(grant)}:
        raise TypeError(f"{grant.__name__}.resources should name fields of the dataclass.")
    if grant.needed and not issubclass(grant.resources[grant.needed], RestrictedResource):
        raise TypeError(f"{grant.__name__}.needed should name a RestrictedResource.")
    if len(inspect.signature(grant.to_twilio).parameters) != 3:
        raise TypeError(f"{grant.__name__}.to_twilio should take self, user and resources.")
    _registry[product] = grant
    return grant


def registered() -> Mapping[str, type[Grant]]:
    """Product to grant class, in the order of registration."""
    return MappingProxyType(_registry)


def products_in(grants: Mapping[str, Any]) -> Iterator[tuple[type[Grant], Any]]:
    """The product and the payload of each grant in a token, if the product is known."""
    by_key = {grant.twilio_key: grant for grant in reversed(_registry.values())}
    return ((by_key[key], payload) for key, payload in grants.items() if key in by_key)
