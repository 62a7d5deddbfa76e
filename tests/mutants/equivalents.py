"""The faults that no test can notice, each with the reason why.

By module, what the fault is in, and the change, as ``make mutants`` prints them.
"""

from __future__ import annotations

A_SECOND = "It waits a second more or less for Twilio, and still less than servers wait for it."

WIDTH = "A field is a character wider or narrower to the eye."

EQUIVALENTS: dict[str, dict[tuple[str, str], str]] = {
    "fields/names": {
        (
            "SIDField.formfield",
            'attrs={"size": 40, "spellcheck": "false", "autocomplete": "off"} → '
            'attrs={"size": 39, "spellcheck": "false", "autocomplete": "off"}',
        ): WIDTH,
        (
            "SIDField.formfield",
            'attrs={"size": 40, "spellcheck": "false", "autocomplete": "off"} → '
            'attrs={"size": 41, "spellcheck": "false", "autocomplete": "off"}',
        ): WIDTH,
    },
    "fields/sealed": {
        (
            "SealedInput.__init__",
            '{"size": 40, "autocomplete": "new-password", "spellcheck": "false", **(attrs or {})} → '
            '{"size": 39, "autocomplete": "new-password", "spellcheck": "false", **(attrs or {})}',
        ): WIDTH,
        (
            "SealedInput.__init__",
            '{"size": 40, "autocomplete": "new-password", "spellcheck": "false", **(attrs or {})} → '
            '{"size": 41, "autocomplete": "new-password", "spellcheck": "false", **(attrs or {})}',
        ): WIDTH,
        (
            "SealedField._refuse_upsert_of_another_row",
            "if bound & updated and not (self.row in found_by and bound <= updated | found_by): → "
            "if bound & updated and not (self.row in found_by and bound < updated | found_by):",
        ): "What is found by the row's id has that field too, so the sets are never equal.",
        (
            "_sealing",
            "sealing.seals = True # type: ignore[attr-defined] → "
            "sealing.seals = False # type: ignore[attr-defined]",
        ): "Only that the attribute is there is asked.",
    },
    "verification": {
        ("", "CHECK_SECONDS = 10 → CHECK_SECONDS = 11"): A_SECOND,
        ("", "CHECK_SECONDS = 10 → CHECK_SECONDS = 9"): A_SECOND,
        ("", "LISTING_SECONDS = 24 → LISTING_SECONDS = 23"): A_SECOND,
        ("", "LISTING_SECONDS = 24 → LISTING_SECONDS = 25"): A_SECOND,
    },
}
