"""Tokens from GraphQL, as ``docs/how-to/issue-tokens-from-graphql.md`` issues them."""

from __future__ import annotations

from typing import Any

from django.core.cache import cache
from django.test import Client

from tests.how_to.sites import on_site
from tests.issued import decoded
from twilio_tokens.models import APIKey

PAGE = "docs/how-to/issue-tokens-from-graphql.md"
TOKEN = "mutation Token($room: String!) { videoToken(room: $room) { token identity refreshAt } }"


@on_site(PAGE, needs=("strawberry_django",))
def test_graphql_issues_tokens_and_refuses_with_a_code(
    signed_in: Client, api_key: APIKey, secret: str, settings: Any
) -> None:
    def ask(room: str, client: Client = signed_in) -> Any:
        body = {"query": TOKEN, "variables": {"room": room}}
        response = client.post("/graphql/", body, content_type="application/json")
        assert response.status_code == 200, response.content
        assert "no-store" in response["Cache-Control"]
        return response.json()

    token = ask("DailyStandup")["data"]["videoToken"]["token"]
    grants = decoded(token, secret)["grants"]
    assert grants == {"identity": "anna", "video": {"room": "DailyStandup"}}

    def code(*asked: Any) -> str:
        [error] = ask(*asked)["errors"]
        return error["extensions"]["code"]

    assert code(" ") == "blank"
    settings.TWILIO_TOKENS_ROOM_POLICY = lambda user, room: False
    assert code("A") == "permission_denied"
    settings.TWILIO_TOKENS_THROTTLE_RATE = "3/hour"
    assert code("A") == "throttled"
    settings.TWILIO_TOKENS_THROTTLE_RATE = settings.TWILIO_TOKENS_ROOM_POLICY = None
    cache.clear()
    settings.TWILIO_TOKENS_THROTTLE_RATE = "1/hour"
    twice = {
        "query": 'mutation { a: videoToken(room: "A") { token } videoToken(room: "A") { token } }'
    }
    answer = signed_in.post("/graphql/", twice, content_type="application/json").json()
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["throttled"]
    settings.TWILIO_TOKENS_THROTTLE_RATE = None
    APIKey.objects.update(is_active=False)
    assert code("A") == "not_configured"
    assert code("A", Client()) == "not_authenticated"
    del signed_in.defaults["HTTP_X_CSRFTOKEN"]
    assert signed_in.post("/graphql/", {}, content_type="application/json").status_code == 403
