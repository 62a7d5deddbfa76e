"""The verifier of tokens, to the second, and where several products are wrong at once."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine

from tests.test_testing_access_tokens import CHAT, SECRET, TASKS, identified, refused, token
from twilio_tokens.testing import assert_access_token

NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ({"iat": NOW, "nbf": NOW, "exp": NOW + 1}, None),
        ({"iat": NOW - 9, "exp": NOW}, "20104: the token expired 0 seconds ago."),
        ({"iat": NOW - 9, "exp": NOW - 7}, "20104: the token expired 7 seconds ago."),
        (
            {"iat": NOW + 5, "exp": NOW + 9},
            "20105: the token is not valid yet: iat is 5 seconds ahead.",
        ),
        (
            {"iat": NOW - 1, "exp": NOW + 86_400},
            "20157: the token lives for 86401 seconds; 86400 are allowed.",
        ),
    ],
)
def test_times_are_judged_to_the_second(times: dict[str, Any], message: str | None) -> None:
    with time_machine.travel(NOW, tick=False):
        if message is None:
            assert_access_token(token(**times), SECRET)
        else:
            assert refused(token(**times)) == f"Twilio error {message}"


def test_each_product_that_needs_an_identity_says_so() -> None:
    without = identified("", task_router=TASKS, video={}, chat=CHAT)
    assert refused(without).splitlines() == [
        "Twilio error 53200: video needs an identity, not ''.",
        "Twilio error 51007: chat needs an identity, not ''.",
    ]


@pytest.mark.parametrize(
    ("grants", "path"),
    [
        ({"data_sync": {}}, "data_sync.service_sid"),
        ({"task_router": {**TASKS, "worker_sid": None}}, "task_router.worker_sid"),
    ],
)
def test_a_grant_without_a_sid_that_it_needs_is_refused(grants: Any, path: str) -> None:
    assert refused(identified("anna", **grants)).startswith(f"Twilio error 20106: {path} None is")
