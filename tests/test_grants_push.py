"""Push credentials by platform: what a phone knows of itself."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from rest_framework.test import APIClient

from tests.issued import decoded
from tests.rows import sid
from twilio_tokens.models import Account, APIKey, ChatService, PushCredential, TwiMLApp

DEFAULTS = {("apn", False): "1", ("apn", True): "2", ("fcm", False): "3"}


@pytest.fixture
def _defaults(account: Account) -> None:
    """Of each platform one default, and one that is none."""
    for (platform, sandbox), digit in DEFAULTS.items():
        for is_default in (True, False):
            PushCredential.objects.create(
                account=account,
                name=f"{platform}-{sandbox}-{is_default}",
                sid=sid("CR", digit if is_default else "f"),
                platform=platform,
                sandbox=sandbox,
                is_default=is_default,
            )


def post(api: APIClient, product: str, **body: Any) -> Any:
    return api.post(f"/twilio/tokens/{product}/", body, format="json")


@pytest.mark.usefixtures("_defaults", "api_key", "chat_service", "twiml_app")
@pytest.mark.parametrize("product", ["chat", "voice"])
@pytest.mark.parametrize(
    ("body", "digit"),
    [
        ({"platform": "ios"}, "1"),
        ({"platform": "apn"}, "1"),
        ({"platform": "ios", "sandbox": False}, "1"),
        ({"platform": "ios", "sandbox": True}, "2"),
        ({"platform": "apn", "sandbox": True}, "2"),
        ({"platform": "android"}, "3"),
        ({"platform": "fcm", "sandbox": False}, "3"),
        ({"push_credential": "fcm-False-False"}, "f"),
    ],
)
def test_the_platform_chooses_its_default(
    api: APIClient, secret: str, product: str, body: dict[str, Any], digit: str
) -> None:
    response = post(api, product, **body)
    assert response.status_code == 201, response.data
    grants = decoded(response.data["token"], secret)["grants"]
    assert grants[product]["push_credential_sid"] == sid("CR", digit)


@pytest.mark.usefixtures("_defaults", "api_key", "chat_service", "twiml_app")
@pytest.mark.parametrize("product", ["chat", "voice"])
@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"platform": "windows"}, "platform", "invalid_choice"),
        ({"platform": "IOS"}, "platform", "invalid_choice"),
        ({"platform": ""}, "platform", "invalid_choice"),
        ({"platform": 1}, "platform", "invalid"),
        ({"platform": None}, "platform", "null"),
        ({"platform": ["ios"]}, "platform", "invalid"),
        ({"platform": "ios", "sandbox": "perhaps"}, "sandbox", "invalid"),
        ({"platform": "ios", "push_credential": "apn-False-True"}, "platform", "invalid"),
        ({"sandbox": True}, "sandbox", "invalid"),
        ({"sandbox": False}, "sandbox", "invalid"),
        # Only Apple has a sandbox.
        ({"platform": "android", "sandbox": True}, "platform", "does_not_exist"),
    ],
)
def test_anything_else_is_refused_at_its_field(
    api: APIClient, product: str, body: dict[str, Any], field: str, code: str
) -> None:
    response = post(api, product, **body)
    assert (response.status_code, response.data["code"]) == (400, code)
    assert set(response.data) == {field, "code"}
    combined = api.post("/twilio/tokens/", {product: body}, format="json")
    assert (combined.status_code, combined.data["code"]) == (400, code)
    assert set(combined.data[product]) == {field}


@pytest.mark.usefixtures("api_key", "chat_service")
def test_without_a_default_of_the_platform_there_is_none(
    api: APIClient, push_credential: PushCredential
) -> None:
    response = post(api, "chat", platform="ios")
    assert (response.status_code, response.data["code"]) == (400, "does_not_exist")
    assert response.data["platform"] == ["There is no matching default push credential."]


@pytest.mark.usefixtures("_defaults", "api_key", "chat_service")
def test_the_default_is_that_of_the_account_that_signs(
    api: APIClient, other: Account, secret: str
) -> None:
    APIKey.objects.create(account=other, name="k", sid=sid("SK", "9"), region="us1", secret=secret)
    theirs = PushCredential.objects.get(account=other)
    response = post(api, "chat", service="theirs", platform="ios")
    assert (response.status_code, response.data["code"]) == (400, "does_not_exist")
    theirs.platform, theirs.is_default = "apn", True
    theirs.save()
    response = post(api, "chat", service="theirs", platform="ios")
    assert response.status_code == 201, response.data
    assert response.data["grants"]["chat"]["push_credential_sid"] == theirs.sid
    response = post(api, "chat", platform="ios")
    assert response.data["grants"]["chat"]["push_credential_sid"] == sid("CR", "1")


@pytest.mark.usefixtures("_defaults", "api_key")
def test_a_default_that_changes_is_the_next_tokens(
    api: APIClient, chat_service: ChatService, twiml_app: TwiMLApp
) -> None:
    def granted() -> set[str]:
        answers = [post(api, product, platform="ios") for product in ("chat", "voice")]
        return {
            payload["push_credential_sid"]
            for answer in answers
            for payload in answer.data["grants"].values()
        }

    assert granted() == {sid("CR", "1")}
    row = PushCredential.objects.get(name="apn-False-False")
    row.is_default = True
    row.save()
    assert granted() == {sid("CR", "f")}
    defaults = PushCredential.objects.filter(platform="apn", sandbox=False, is_default=True)
    assert defaults.count() == 1
    chat_service.groups.add(Group.objects.create(name="staff"))
    assert post(api, "chat", platform="ios").data["code"] == "does_not_exist"
