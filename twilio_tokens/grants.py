"""What a token may grant: one frozen dataclass per product, and the registry of products.

A product is added by a class like the three here and one call of ``register``; the HTTP
fields, ``OPTIONS``, the browsable API's form and the audit follow from its declaration::

    @register
    @dataclass(frozen=True)
    class Sync(Grant):
        product = "sync"
        resources = {"service": SyncService}  # a subclass of models.RestrictedResource
        needed = "service"

        service: str | None = None

        def to_twilio(self, resources):
            return SyncGrant(service_sid=resources["service"].sid)
"""

from __future__ import annotations

import dataclasses
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_type_hints

from django.utils.translation import gettext_lazy as _
from twilio.jwt.access_token import AccessTokenGrant
from twilio.jwt.access_token.grants import ChatGrant, VideoGrant, VoiceGrant

from .conf import answer_of, settings
from .exceptions import InvalidGrant, PermissionDenied
from .models import ChatService, PushCredential, Resource, RestrictedResource, TwiMLApp

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: Characters. Twilio publishes no number for the length of a room name.
ROOM_MAX_LENGTH = 128

#: Bytes of JSON, as they stand in the token.
PARAMS_MAX_BYTES = 1_024

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Grant(ABC):
    """What the caller asks for. Resources are named, never given by SID.

    Its fields have the types ``str``, ``bool``, ``int`` or ``dict[str, str]``, or None, with a
    default each. A field's ``metadata`` may hold ``help_text`` and ``max_length`` for forms.
    """

    #: The name in URLs and request bodies.
    product: ClassVar[str]
    #: Seconds, unless ``TWILIO_TOKENS_TTL`` says otherwise.
    default_ttl: ClassVar[int] = 3_600
    #: Fields that name a resource, and its model.
    resources: ClassVar[Mapping[str, type[Resource]]] = MappingProxyType({})
    #: The field whose resource chooses the account; the account's default where none is named.
    needed: ClassVar[str | None] = None

    def clean(self) -> None:
        """Raise ``InvalidGrant`` for a value that no user may be granted."""
        for name in self.resources:
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise self.invalid(name, _("Not a valid string."))

    def authorize(self, user: Any, resources: Mapping[str, Resource | None]) -> None:
        """Raise ``PermissionDenied`` for what this user may not be granted."""

    @abstractmethod
    def to_twilio(self, resources: Mapping[str, Any]) -> AccessTokenGrant:
        """The grant as Twilio's library writes it into the token.

        ``resources`` has a record, or None, for each field of ``self.resources``.
        """

    def to_audit(self, resources: Mapping[str, Any]) -> dict[str, Any]:
        """What the audit record keeps, as JSON. Leave out here what it must not know."""
        payload: dict[str, Any] = self.to_twilio(resources).to_payload()
        return payload

    def invalid(self, name: str, message: _StrOrPromise, code: str = "invalid") -> InvalidGrant:
        return InvalidGrant(message, code=code, field=name, product=self.product)


#: What stands beside the products in requests and answers.
_RESERVED = {"code", "detail", "identity", "ttl"}


class FieldKind(Enum):
    """What a field of a grant holds, for the forms that ask for it."""

    NAME = "the name of a resource"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    TEXT = "text"
    OBJECT = "object"


_KINDS = {bool | None: FieldKind.BOOLEAN, int | None: FieldKind.INTEGER, str | None: FieldKind.TEXT}


@cache
def field_kinds(grant: type[Grant]) -> dict[str, FieldKind]:
    """Field to kind, in the order of declaration."""
    hints = get_type_hints(grant)
    return {
        each.name: FieldKind.NAME
        if each.name in grant.resources
        else _KINDS.get(hints[each.name], FieldKind.OBJECT)
        for each in dataclasses.fields(grant)
    }


_GrantClass = TypeVar("_GrantClass", bound=type[Grant])
_registry: dict[str, type[Grant]] = {}


def register(grant: _GrantClass) -> _GrantClass:
    """Make a product available over HTTP and in ``issue_access_token``. Use it as a decorator."""
    product = getattr(grant, "product", None)
    if not isinstance(product, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", product):
        raise ValueError(f"{grant.__name__}.product should be a lower-case name.")
    if product in _RESERVED or _registry.get(product, grant) is not grant:
        raise ValueError(f"The product name {product!r} is taken.")
    # Its base is a dataclass, so is_dataclass() would not miss the decorator.
    if "__dataclass_fields__" not in vars(grant):
        raise TypeError(f"{grant.__name__} should be a frozen dataclass.")
    if not grant.resources.keys() <= {each.name for each in dataclasses.fields(grant)}:
        raise TypeError(f"{grant.__name__}.resources should name fields of the dataclass.")
    if grant.needed and not issubclass(grant.resources[grant.needed], RestrictedResource):
        raise TypeError(f"{grant.__name__}.needed should name a RestrictedResource.")
    _registry[product] = grant
    return grant


def registered() -> Mapping[str, type[Grant]]:
    """Product to grant class, in the order of registration."""
    return MappingProxyType(_registry)


@register
@dataclass(frozen=True)
class Video(Grant):
    product = "video"
    default_ttl = 86_400

    room: str | None = field(
        default=None,
        metadata={
            "max_length": ROOM_MAX_LENGTH,
            "help_text": _("The room's unique name or SID. Left out, the token opens every room."),
        },
    )

    def clean(self) -> None:
        super().clean()
        if self.room is None:
            if settings.room_required:
                raise self.invalid("room", _("This site requires a room."), "required")
        elif not isinstance(self.room, str):
            raise self.invalid("room", _("Not a valid string."))
        elif not self.room.strip():
            raise self.invalid("room", _("This field may not be blank."), "blank")
        elif len(self.room) > ROOM_MAX_LENGTH:
            raise self.invalid(
                "room",
                _("Ensure this field has no more than %(max)d characters.")
                % {"max": ROOM_MAX_LENGTH},
                "max_length",
            )
        else:
            _refuse_unstorable(self, "room", self.room)
            if _CONTROL.search(self.room):
                raise self.invalid("room", _("Control characters are not allowed."))

    def authorize(self, user: Any, resources: Mapping[str, Resource | None]) -> None:
        policy = settings.room_policy
        # Only True is a yes: what an async function returns is true as well.
        if policy is None:
            return
        if answer_of("ROOM_POLICY", policy, user, self.room) is not True:
            raise PermissionDenied(_("You may not enter this room."))

    def to_twilio(self, resources: Mapping[str, Any]) -> AccessTokenGrant:
        return VideoGrant(room=self.room)


@register
@dataclass(frozen=True)
class Chat(Grant):
    product = "chat"
    resources = MappingProxyType({"service": ChatService, "push_credential": PushCredential})
    needed = "service"

    service: str | None = field(
        default=None, metadata={"help_text": _("Left out, the default service.")}
    )
    push_credential: str | None = field(
        default=None, metadata={"help_text": _("For mobile apps that are notified.")}
    )

    def to_twilio(self, resources: Mapping[str, Any]) -> AccessTokenGrant:
        return ChatGrant(
            service_sid=resources["service"].sid,
            push_credential_sid=_sid(resources["push_credential"]),
        )


@register
@dataclass(frozen=True)
class Voice(Grant):
    product = "voice"
    resources = MappingProxyType({"app": TwiMLApp, "push_credential": PushCredential})
    needed = "app"

    app: str | None = field(default=None, metadata={"help_text": _("Left out, the default app.")})
    incoming: bool | None = field(
        default=None,
        metadata={"help_text": _("Whether the user may be called. Left out, what the app allows.")},
    )
    push_credential: str | None = field(
        default=None, metadata={"help_text": _("For mobile apps that are called.")}
    )
    params: dict[str, str] | None = field(
        default=None,
        metadata={
            "help_text": _("Passed on to the TwiML app: an object of strings, at most 1,024 bytes.")
        },
    )

    def clean(self) -> None:
        super().clean()
        if self.incoming is not None and not isinstance(self.incoming, bool):
            raise self.invalid("incoming", _("Must be a valid boolean."))
        if self.params is None:
            return
        if not isinstance(self.params, dict) or not all(
            isinstance(text, str) for item in self.params.items() for text in item
        ):
            raise self.invalid("params", _("Expected an object whose values are strings."))
        for item in self.params.items():
            for text in item:
                _refuse_unstorable(self, "params", text)
        if len(json.dumps(self.params, separators=(",", ":"))) > PARAMS_MAX_BYTES:
            raise self.invalid(
                "params",
                _("Ensure this object has no more than %(max)d bytes as JSON.")
                % {"max": PARAMS_MAX_BYTES},
                "max_length",
            )

    def authorize(self, user: Any, resources: Mapping[str, Any]) -> None:
        if self.incoming and not resources["app"].allow_incoming:
            raise PermissionDenied(_("This app does not allow incoming calls."))

    def to_twilio(self, resources: Mapping[str, Any]) -> AccessTokenGrant:
        app = resources["app"]
        return VoiceGrant(
            incoming_allow=app.allow_incoming if self.incoming is None else self.incoming,
            outgoing_application_sid=app.sid,
            outgoing_application_params=self.params,
            push_credential_sid=_sid(resources["push_credential"]),
        )


def _sid(resource: Any) -> str | None:
    return None if resource is None else resource.sid


def _refuse_unstorable(grant: Grant, name: str, text: str) -> None:
    """PostgreSQL stores no NUL, and no encoding has lone surrogates."""
    if "\x00" in text:
        raise grant.invalid(
            name, _("Null characters are not allowed."), "null_characters_not_allowed"
        )
    if _SURROGATE.search(text):
        raise grant.invalid(
            name, _("Surrogate characters are not allowed."), "surrogate_characters_not_allowed"
        )
