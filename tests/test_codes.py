from __future__ import annotations

from typing import Any

from rest_framework.exceptions import APIException

from twilio_tokens.codes import CODES, OTHER, known, known_products
from twilio_tokens.exceptions import TwilioTokensError


def classes(base: type[Any]) -> list[type[Any]]:
    return [base, *(each for child in base.__subclasses__() for each in classes(child))]


def test_the_codes_of_all_errors_are_known() -> None:
    ours = {each.code for each in classes(TwilioTokensError)}
    rest_framework = {
        each.default_code
        for each in classes(APIException)
        if each.__module__ == APIException.__module__
    }
    of_no_request = {"invalid_token", "listing_failed"}
    assert (ours | rest_framework) - of_no_request <= CODES


def test_all_others_share_one_name() -> None:
    assert [known(code) for code in ("throttled", "expired", OTHER, "")] == [
        "throttled",
        *["other"] * 3,
    ]
    assert {known(code) for code in CODES} == CODES


def test_products_that_are_not_registered_are_one() -> None:
    assert known_products(["video", "nonsense", "rubbish", "chat"]) == {"video", "chat", OTHER}
