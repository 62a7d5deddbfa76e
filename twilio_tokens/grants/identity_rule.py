"""Which identities a product takes."""

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
    """``max_length`` in characters; where ``counts_wide``, one outside ASCII counts as two.

    ``error_if_illegal`` and ``error_if_missing`` are the errors that such an identity meets at
    Twilio; None where it meets none.
    """

    max_length: int = 256
    counts_wide: bool = False
    only_word_characters: bool = False
    error_if_illegal: int | None = None
    error_if_missing: int | None = None

    def check(self, identity: str, product: _StrOrPromise) -> None:
        """Raise ``IdentityNotAllowed``; ``product`` is its name for people."""
        if self.only_word_characters:
            illegal = re.search(r"[^A-Za-z0-9_]", identity)
            if illegal:
                raise IdentityNotAllowed(
                    _(
                        "This user's identity is not allowed for %(product)s: it may contain only "
                        "the letters A–Z and a–z, digits and _, but has %(character)s. The setting "
                        "TWILIO_TOKENS_IDENTITY chooses another form of identity."
                    )
                    % {"product": product, "character": shown(illegal[0])}
                )
        length = len(identity)
        if self.counts_wide and not identity.isascii():
            length += sum(not char.isascii() for char in identity)
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
                    "product": product,
                    "rule": rule,
                    "length": length,
                    "character": shown(self._first_beyond(identity)),
                }
            )

    def _first_beyond(self, identity: str) -> str:
        lengths = accumulate(
            2 if self.counts_wide and not char.isascii() else 1 for char in identity
        )
        return next(identity[at] for at, length in enumerate(lengths) if length > self.max_length)
