from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from rest_framework.test import APIClient

from tests.issued import decoded
from tests.rows import sid
from twilio_tokens.models import Account, IssuedToken, SyncService

URL = "/twilio/tokens/sync/"


@pytest.fixture
def service(account: Account) -> SyncService:
    return SyncService.objects.create(
        account=account, name="documents", sid=sid("IS", "5"), is_default=True
    )


@pytest.mark.usefixtures("api_key", "service")
@pytest.mark.parametrize("body", [{}, {"service": "documents"}])
def test_a_token_opens_a_sync_service(api: APIClient, secret: str, body: dict[str, str]) -> None:
    payload = {"service_sid": sid("IS", "5")}
    response = api.post(URL, body, format="json")
    claims = decoded(response.data["token"], secret)
    assert claims["grants"] == {"identity": "anna", "data_sync": payload}
    assert claims["exp"] - claims["iat"] == 3_600
    assert response.data["grants"] == {"data_sync": payload}
    assert IssuedToken.objects.get().grants == {"sync": payload}


@pytest.mark.usefixtures("api_key", "chat_service")
def test_sync_and_chat_have_services_of_their_own(
    api: APIClient, secret: str, service: SyncService
) -> None:
    body = {"chat": {}, "sync": {}}
    response = api.post("/twilio/tokens/", body, format="json")
    assert decoded(response.data["token"], secret)["grants"] == {
        "identity": "anna",
        "chat": {"service_sid": sid("IS")},
        "data_sync": {"service_sid": sid("IS", "5")},
    }
    refused: Any = api.post(URL, {"service": "support"}, format="json")
    assert (refused.status_code, refused.data["code"]) == (400, "does_not_exist")
    service.groups.add(Group.objects.create(name="staff"))
    assert api.post(URL, {}, format="json").data["code"] == "does_not_exist"
    assert api.get(URL).data["services"] == []
