"""The faults that no test can notice, each with the reason why.

By module, what the fault is in, and the change, as ``make mutants`` prints them.
"""

from __future__ import annotations

EQUIVALENTS: dict[str, dict[tuple[str, str], str]] = {
    "token_text": {
        (
            "_bytes_of",
            'return urlsafe_b64decode(part + "=" * (-len(part) % 4)) → '
            'return urlsafe_b64decode(part + "=" * (len(part) % 4))',
        ): "It pads with more than is needed, and what is more is ignored.",
    },
}
