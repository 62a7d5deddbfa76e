"""Maps users to their identities at Twilio, and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import (
    MultipleObjectsReturned,
    ObjectDoesNotExist,
    ValidationError,
)
from django.db import DataError, router
from django.utils.translation import gettext as _

from .characters import misleading, shown, without_invisible
from .conf import answer_of, settings
from .exceptions import IdentityNotAllowed, PermissionDenied
from .grants import Grant
from .models import IssuedToken
from .saving import savepoint

#: No database can store these characters, and some fail to look them up.
_IN_NO_NAME = re.compile(r"[\x00\ud800-\udfff]")


def identity_for(user: AbstractBaseUser, grants: Sequence[Grant | type[Grant]] = ()) -> str:
    """The user's identity, valid for each of the grants. Raises ``IdentityNotAllowed``."""
    identity = answer_of("IDENTITY", settings.identity, user)
    if not isinstance(identity, str) or not without_invisible(identity):
        raise IdentityNotAllowed(
            _(
                "This user has no identity, which is required for %(products)s. The setting "
                "TWILIO_TOKENS_IDENTITY chooses where identities come from."
            )
            % {"products": _names(grants)}
        )
    illegal = misleading(identity)
    if illegal:
        raise IdentityNotAllowed(
            _(
                "This user's identity is not allowed for %(products)s: it contains the control "
                "character %(character)s."
            )
            % {"products": _names(grants), "character": shown(illegal)}
        )
    for each in grants:
        each.identity_rule.check(identity, each.label)
    return identity


def _names(grants: Sequence[Grant | type[Grant]]) -> str:
    return ", ".join(str(each.label) for each in grants) or _("Access Tokens")


def users_named(username: str) -> list[Any]:
    """The users with that username, whichever field of a custom user model that is.

    There can be several if the site ignores case and no username matches exactly.
    """
    if _IN_NO_NAME.search(username):
        return []
    model: Any = get_user_model()
    using = router.db_for_write(model)  # a replica may not know a new user yet
    users = model._default_manager.db_manager(using)
    try:
        # PostgreSQL aborts the whole transaction for a value that the column cannot hold.
        with savepoint(using):
            try:
                return [users.get_by_natural_key(username)]
            except MultipleObjectsReturned:
                field = model.USERNAME_FIELD
                exact = list(users.filter(**{field: username}))
                return exact or list(users.filter(**{f"{field}__iexact": username}))
    except (ObjectDoesNotExist, ValidationError, ValueError, OverflowError, DataError):
        return []


def user_for(identity: str) -> Any | None:  # noqa: ANN401 - the site's user model
    """The active user of this identity, also as Twilio writes it in a call: ``client:anna``.

    None if there is no such user, or more than one. With your own identity function, it is the
    user to whom the last token with this identity was issued, so the audit must be on.
    """
    name = identity.removeprefix("client:")
    if _IN_NO_NAME.search(name):
        return None
    found = [user for user in _candidates(name) if user.is_active and _is_called(user, name)]
    return found[0] if len(found) == 1 else None


def _candidates(name: str) -> Sequence[Any]:
    function = settings.identity
    if function is username:
        return users_named(name)
    if function not in (encoded_username, primary_key):
        records = IssuedToken.objects.filter(identity=name, user__isnull=False)
        return [record.user for record in records.select_related("user")[:1]]
    try:
        decoded = decode_identity(name)
    except ValueError:
        return []
    return users_named(decoded) if function is encoded_username else _users_of_key(decoded)


def _users_of_key(key: str) -> list[Any]:
    model: Any = get_user_model()
    using = router.db_for_write(model)
    try:
        with savepoint(using):
            return list(model._default_manager.using(using).filter(pk=key))
    except (ValidationError, ValueError, OverflowError, DataError):
        return []


def _is_called(user: AbstractBaseUser, name: str) -> bool:
    """Some databases ignore case, and records tell of the past."""
    try:
        return identity_for(user) == name
    except (IdentityNotAllowed, PermissionDenied):
        return False


def username(user: AbstractBaseUser) -> str:
    name = user.get_username()
    return "" if name is None else str(name)


def encoded_username(user: AbstractBaseUser) -> str:
    """The username in characters that every product accepts: ``anna@x`` becomes ``anna_40x``.

    The letters A–Z and a–z and digits are kept. Every other byte of the UTF-8 text becomes ``_``
    and two hex digits. Different usernames stay different; ``decode_identity`` returns them.
    """
    return _encode(username(user))


def primary_key(user: AbstractBaseUser) -> str:
    """The user's primary key in characters that every product accepts: ``7``, or a UUID in hex.

    It stays the same when the username changes, and never passes to another user.
    ``decode_identity`` returns it as text.
    """
    value = user._meta.pk.to_python(user.pk)
    return "" if value is None else _encode(value.hex if isinstance(value, UUID) else str(value))


def decode_identity(identity: str) -> str:
    """The text that ``encoded_username`` or ``primary_key`` encoded as ``identity``.

    Raises ``ValueError`` for any identity that they do not produce.
    """
    data = re.sub(
        rb"_([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), identity.encode()
    )
    decoded = data.decode("utf-8", "surrogatepass")
    if _encode(decoded) != identity:
        raise ValueError("not an encoded identity")
    return decoded


def _encode(text: str) -> str:
    return "".join(
        chr(byte)
        if bytes([byte]).isalnum()
        else f"_{byte:02x}"  # isalnum() of bytes knows only ASCII
        for byte in text.encode("utf-8", "surrogatepass")
    )
