"""Which identities a product accepts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from twilio_tokens.characters import shown
from twilio_tokens.exceptions import IdentityNotAllowed

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise


@dataclass(frozen=True)
class IdentityRule:
    """``max_length`` is in characters. With ``counts_wide``, a non-ASCII character counts as two.

    ``error_if_illegal`` and ``error_if_missing`` are the error codes that Twilio reports for such
    an identity, or None.
    """

    max_length: int = 256
    counts_wide: bool = False
    only_word_characters: bool = False
    error_if_illegal: int | None = None
    error_if_missing: int | None = None

    def check(self, identity: str, product: _StrOrPromise) -> None:
        """Raise ``IdentityNotAllowed``; ``product`` is the name that people see."""
        if self.only_word_characters:
            illegal = re.search(r"[^A-Za-z0-9_]", identity)
            if illegal:
                raise IdentityNotAllowed(
                    _(
                        "This user's identity is not allowed for %(product)s: it may contain only "
                        "the letters A–Z and a–z, digits and _, but it contains %(character)s. The "
                        "setting TWILIO_TOKENS_IDENTITY can choose another form of identity."
                    )
                    % {"product": product, "character": shown(illegal[0])}
                )
        length = len(identity)
        if self.counts_wide and not identity.isascii():
            length += sum(not char.isascii() for char in identity)
        if length > self.max_length:
            message = (
                _(
                    "This user's identity is too long for %(product)s: it has %(length)d "
                    "characters, counting each non-ASCII character as two, but the limit is "
                    "%(max)d. The first character beyond the limit is %(character)s."
                )
                if self.counts_wide
                else _(
                    "This user's identity is too long for %(product)s: it has %(length)d "
                    "characters, but the limit is %(max)d. The first character beyond the limit "
                    "is %(character)s."
                )
            )
            values = {
                "product": product,
                "length": length,
                "max": self.max_length,
                "character": shown(self._first_beyond(identity)),
            }
            raise IdentityNotAllowed(message % values)

    def _first_beyond(self, identity: str) -> str:
        lengths = accumulate(
            2 if self.counts_wide and not char.isascii() else 1 for char in identity
        )
        return next(identity[at] for at, length in enumerate(lengths) if length > self.max_length)
