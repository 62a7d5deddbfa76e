from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient
from rest_framework.throttling import SimpleRateThrottle

from twilio_tokens.models import APIKey, IssuedToken

VIDEO, CHAT, ALL = "/twilio/tokens/video/", "/twilio/tokens/chat/", "/twilio/tokens/"


@pytest.fixture
def api(api: APIClient, api_key: APIKey, settings: Any) -> APIClient:
    """May ask for two tokens a minute."""
    settings.TWILIO_TOKENS_THROTTLE_RATE = "2/min"
    return api


def statuses(api: APIClient, *paths: str, **body: Any) -> list[int]:
    return [api.post(path, body, format="json").status_code for path in paths]


def test_all_products_share_one_bucket_and_what_is_refused_counts(api: APIClient) -> None:
    assert statuses(api, VIDEO, CHAT, ALL) == [201, 503, 429]


def test_bad_input_counts(api: APIClient) -> None:
    assert statuses(api, VIDEO, CHAT, VIDEO, rooom="x") == [400, 400, 429]


def test_only_asking_for_a_token_counts(api: APIClient) -> None:
    for _ in range(5):
        assert api.get(VIDEO).status_code == 200
        assert api.options(VIDEO).status_code == 200
    assert statuses(api, VIDEO, VIDEO, VIDEO) == [201, 201, 429]
    assert api.get(VIDEO).status_code == 200


def test_each_user_has_an_own_bucket(api: APIClient) -> None:
    assert statuses(api, VIDEO, VIDEO, VIDEO) == [201, 201, 429]
    other = APIClient()
    other.force_login(User.objects.create_user("bob"))
    assert statuses(other, VIDEO) == [201]


def test_who_is_not_signed_in_counts_for_nobody(api: APIClient) -> None:
    assert statuses(APIClient(), VIDEO, VIDEO, VIDEO) == [401, 401, 401]
    assert statuses(api, VIDEO) == [201]


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_the_answer_tells_when_to_come_again(api: APIClient, accept: str) -> None:
    statuses(api, VIDEO, VIDEO)
    response = api.post(VIDEO, {}, format="json", headers={"accept": accept})
    assert response.status_code == 429
    assert response.data["code"] == "throttled"
    assert 0 < int(response["Retry-After"]) <= 60
    assert response["Cache-Control"] == "no-store"
    assert IssuedToken.objects.count() == 2


def test_it_does_so_also_where_the_rate_was_lowered_meanwhile(
    api: APIClient, settings: Any
) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = "10/min"
    assert statuses(api, *[VIDEO] * 5) == [201] * 5
    settings.TWILIO_TOKENS_THROTTLE_RATE = "2/min"
    response = api.post(VIDEO)
    assert response.status_code == 429
    assert int(response["Retry-After"]) == 60


def test_the_bucket_empties(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.0
    monkeypatch.setattr(SimpleRateThrottle, "timer", lambda self: now)
    assert statuses(api, VIDEO, VIDEO, VIDEO) == [201, 201, 429]
    now += 61
    assert statuses(api, VIDEO) == [201]


def test_none_is_no_limit(api: APIClient, settings: Any) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = None
    assert statuses(api, *[VIDEO] * 100) == [201] * 100


def test_sixty_a_minute_is_the_default(api_key: APIKey, user: User) -> None:
    api = APIClient()
    api.force_login(user)
    assert statuses(api, *[VIDEO] * 61) == [201] * 60 + [429]


def test_it_takes_the_place_of_the_sites_throttle(api: APIClient, settings: Any) -> None:
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {
        "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
        "DEFAULT_THROTTLE_RATES": {"user": "1/day"},
    }
    assert statuses(api, VIDEO, VIDEO, VIDEO) == [201, 201, 429]
