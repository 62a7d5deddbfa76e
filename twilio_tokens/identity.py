"""Who a user is to Twilio, and which identities each product takes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import (
    MultipleObjectsReturned,
    ObjectDoesNotExist,
    ValidationError,
)
from django.db import DataError, router, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .conf import answer_of, settings
from .exceptions import IdentityNotAllowed

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

#: Control characters, and lone surrogates, which no encoding has.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(frozen=True)
class IdentityRule:
    """``max_length`` in characters; where ``counts_wide``, one outside ASCII counts as two."""

    label: _StrOrPromise
    max_length: int
    counts_wide: bool = False
    only_word_characters: bool = False

    def check(self, identity: str) -> None:
        if self.only_word_characters:
            illegal = re.search(r"[^A-Za-z0-9_]", identity)
            if illegal:
                raise IdentityNotAllowed(
                    _(
                        "This user's identity is not allowed for %(product)s: it may contain only "
                        "the letters A–Z and a–z, digits and _, but has %(character)s. The setting "
                        "TWILIO_TOKENS_IDENTITY chooses another form of identity."
                    )
                    % {"product": self.label, "character": _shown(illegal[0])}
                )
        wide = re.findall(r"[^\x00-\x7f]", identity) if self.counts_wide else []
        length = len(identity) + len(wide)
        if length > self.max_length:
            rule = (
                _("it may have at most %(max)d characters, counting two for each outside ASCII")
                if self.counts_wide
                else _("it may have at most %(max)d characters")
            ) % {"max": self.max_length}
            raise IdentityNotAllowed(
                _(
                    "This user's identity is not allowed for %(product)s: %(rule)s, but has "
                    "%(length)d; the first too many is %(character)s."
                )
                % {
                    "product": self.label,
                    "rule": rule,
                    "length": length,
                    "character": _shown(_first_beyond(identity, self)),
                }
            )


#: Product to rule; add the product of a grant of your own here. Sources: errors 53200 (Video)
#: and 54351 (Sync), the Conversations limits, and the Voice SDK's page on Access Tokens.
RULES = {
    "video": IdentityRule(gettext_lazy("Video"), 128, counts_wide=True),
    "chat": IdentityRule(gettext_lazy("Chat"), 256),
    "voice": IdentityRule(gettext_lazy("Voice"), 121, only_word_characters=True),
    "sync": IdentityRule(gettext_lazy("Sync"), 256),
}
_ANY_PRODUCT = IdentityRule(gettext_lazy("Access Tokens"), 256)


def identity_for(user: Any, products: Iterable[str]) -> str:
    """The user's identity, legal for each of the products. Raises ``IdentityNotAllowed``."""
    identity = answer_of("IDENTITY", settings.identity, user)
    if not isinstance(identity, str) or not identity.strip():
        raise IdentityNotAllowed(
            _(
                "This user has no identity: it is empty, and %(products)s need one. The setting "
                "TWILIO_TOKENS_IDENTITY chooses where it comes from."
            )
            % {"products": ", ".join(str(_rule(product).label) for product in products)}
        )
    illegal = _UNPRINTABLE.search(identity)
    if illegal:
        raise IdentityNotAllowed(
            _(
                "This user's identity is not allowed for %(products)s: it may not contain control "
                "characters, but has %(character)s."
            )
            % {
                "products": ", ".join(str(_rule(product).label) for product in products),
                "character": _shown(illegal[0]),
            }
        )
    for product in products:
        _rule(product).check(identity)
    return identity


def users_named(username: str) -> list[Any]:
    """Those of that username, whatever field of a site's own user model that is.

    More than one where a site ignores case and no user's name is written exactly so.
    """
    if re.search(r"[\x00\ud800-\udfff]", username):
        return []  # no database stores it, and some fail to look it up
    model: Any = get_user_model()
    using = router.db_for_write(model)  # a replica may not know a new user yet
    users = model._default_manager.db_manager(using)
    try:
        # PostgreSQL gives up the whole transaction for a value that its column cannot hold.
        with transaction.atomic(using=using):
            try:
                return [users.get_by_natural_key(username)]
            except MultipleObjectsReturned:
                field = model.USERNAME_FIELD
                exact = list(users.filter(**{field: username}))
                return exact or list(users.filter(**{f"{field}__iexact": username}))
    except (ObjectDoesNotExist, ValidationError, ValueError, OverflowError, DataError):
        return []


def username(user: Any) -> str:
    name = user.get_username()
    return "" if name is None else str(name)


def encoded_username(user: Any) -> str:
    """The username in characters that every product takes: ``anna@x`` becomes ``anna_40x``.

    Letters A–Z and a–z and digits stay; every other byte of its UTF-8 is ``_`` and two hex
    digits. Different usernames stay different, and ``decode_identity`` gives them back.
    """
    return _encode(username(user))


def decode_identity(identity: str) -> str:
    """The username that ``encoded_username`` made into ``identity``.

    Raises ``ValueError`` for anything that ``encoded_username`` does not make.
    """
    data = re.sub(
        rb"_([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), identity.encode()
    )
    decoded = data.decode("utf-8", "surrogatepass")
    if _encode(decoded) != identity:
        raise ValueError("not an encoded username")
    return decoded


def _encode(text: str) -> str:
    return "".join(
        chr(byte) if byte < 128 and chr(byte).isalnum() else f"_{byte:02x}"
        for byte in text.encode("utf-8", "surrogatepass")
    )


def _rule(product: str) -> IdentityRule:
    return RULES.get(product, _ANY_PRODUCT)


def _first_beyond(identity: str, rule: IdentityRule) -> str:
    lengths = accumulate(2 if rule.counts_wide and ord(char) > 127 else 1 for char in identity)
    return next(identity[at] for at, length in enumerate(lengths) if length > rule.max_length)


def _shown(char: str) -> str:
    code = f"U+{ord(char):04X}"
    return f"“{char}” ({code})" if char.isprintable() else code
