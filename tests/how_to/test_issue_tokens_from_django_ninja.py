"""Tokens from Django Ninja, as ``docs/how-to/issue-tokens-from-django-ninja.md`` issues them."""

from __future__ import annotations

from typing import Any

from django.test import Client

from tests.how_to.sites import on_site
from tests.issued import decoded
from twilio_tokens.models import APIKey, ChatService, IssuedToken

PAGE = "docs/how-to/issue-tokens-from-django-ninja.md"
VIDEO, CHAT = "/api/tokens/video?room=DailyStandup", "/api/tokens/chat"


def refused(response: Any) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


@on_site(PAGE, needs=("ninja",))
def test_ninja_issues_tokens_and_refuses_with_a_status_and_a_code(
    signed_in: Client, api_key: APIKey, chat_service: ChatService, secret: str, settings: Any
) -> None:
    response = signed_in.post(VIDEO)
    assert response.status_code == 200, response.content
    assert "no-store" in response["Cache-Control"]
    grants = decoded(response.json()["token"], secret)["grants"]
    assert grants == {"identity": "anna", "video": {"room": "DailyStandup"}}
    assert IssuedToken.objects.get().identity == "anna"

    token = signed_in.post(CHAT).json()["token"]
    assert decoded(token, secret)["grants"]["chat"] == {"service_sid": chat_service.sid}

    assert refused(signed_in.post("/api/tokens/video?room=%20")) == (400, "blank")
    settings.TWILIO_TOKENS_ROOM_POLICY = lambda user, room: False
    assert refused(signed_in.post(VIDEO)) == (403, "permission_denied")
    settings.TWILIO_TOKENS_THROTTLE_RATE = "4/hour"
    assert [signed_in.post(path).status_code for path in (VIDEO, CHAT)] == [429, 429]
    settings.TWILIO_TOKENS_THROTTLE_RATE = None
    APIKey.objects.update(is_active=False)
    assert refused(signed_in.post(CHAT)) == (503, "not_configured")
    for path in (VIDEO, CHAT):
        assert Client().post(path).status_code == 401
        del signed_in.defaults["HTTP_X_CSRFTOKEN"]
        assert signed_in.post(path).status_code == 403
        signed_in.defaults["HTTP_X_CSRFTOKEN"] = signed_in.cookies["csrftoken"].value
