"""A test token acts as its user, so who may issue one for whom, how often and for how long."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.db import DatabaseError
from django.db.models.signals import pre_save
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from twilio_tokens.models import IssuedToken

from .console import staff
from .issued import decoded

PAGE = reverse("admin:twilio_tokens_issuedtoken_test")

pytestmark = pytest.mark.usefixtures("user", "api_key")


@pytest.fixture
def tester(db: None) -> Client:
    return staff("issue_test_token", "view_issuedtoken")


def issue(client: Client, username: str = "anna", **data: Any) -> Any:
    """The token, or else the errors of the form."""
    context = client.post(PAGE, {"username": username, "video": "on"} | data).context
    return context["issued"].token if "issued" in context else context["form"].errors


def permissions(*codenames: str) -> Any:
    return Permission.objects.filter(codename__in=codenames)


def a_superuser() -> User:
    return User.objects.create_superuser("other")


def who_may_do_more() -> User:
    other = User.objects.create_user("other")
    other.user_permissions.set(permissions("issue_test_token", "delete_apikey"))
    return other


def who_may_do_more_by_a_group() -> User:
    other, group = User.objects.create_user("other"), Group.objects.create(name="operators")
    group.permissions.set(permissions("change_user"))
    other.groups.add(group)
    return other


@pytest.mark.parametrize("other", [a_superuser, who_may_do_more, who_may_do_more_by_a_group])
def test_nobody_acts_as_a_user_with_more_rights(other: Any, tester: Client) -> None:
    other()
    [message] = issue(tester, "other")["username"]
    assert message.startswith("This user has permissions that you do not have")
    assert not IssuedToken.objects.exists()


def test_superusers_act_as_each_other(admin_client: Client, secret: str) -> None:
    a_superuser()
    assert decoded(issue(admin_client, "other"), secret)["grants"]["identity"] == "other"


def test_staff_act_as_users_with_fewer_rights_and_as_themselves(
    tester: Client, secret: str
) -> None:
    other = User.objects.create_user("other", is_staff=True)
    other.user_permissions.set(permissions("view_issuedtoken"))
    for name in ("other", "anna", "staff"):
        assert decoded(issue(tester, name), secret)["grants"]["identity"] == name


def test_a_token_of_another_user_lives_for_an_hour_at_most(
    tester: Client, secret: str, settings: Any
) -> None:
    def lifetime(username: str, **data: Any) -> int:
        claims = decoded(issue(tester, username, **data), secret)
        return claims["exp"] - claims["iat"]

    assert lifetime("anna") == 3_600
    assert lifetime("anna", ttl="3600") == 3_600
    assert lifetime("anna", ttl="60") == 60
    assert issue(tester, ttl="3601") == {
        "ttl": ["A token for another user may live for 3600 seconds at most."]
    }
    assert "less than or equal to 86400" in str(issue(tester, ttl="86401"))
    assert (lifetime("staff"), lifetime("staff", ttl="3601")) == (86_400, 3_601)
    settings.TWILIO_TOKENS_TTL = {"video": 120}
    assert lifetime("anna") == 120
    settings.TWILIO_TOKENS_MAX_TTL = 90
    assert lifetime("anna") == 90


def test_test_tokens_count_as_requests_of_who_issues_them(
    tester: Client, api: APIClient, settings: Any
) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = "2/hour"
    member = APIClient()
    member.force_login(User.objects.get(username="staff"))
    assert issue(tester).startswith("eyJ")
    assert member.post("/twilio/tokens/video/").status_code == 201
    assert member.post("/twilio/tokens/video/").status_code == 429
    [message] = issue(tester)["__all__"]
    assert message.startswith("You have requested too many tokens. Try again in ")
    assert IssuedToken.objects.count() == 2
    assert api.post("/twilio/tokens/video/").status_code == 201, "Anna did not ask for those."


def test_what_is_wrong_with_the_form_does_not_count(tester: Client, settings: Any) -> None:
    settings.TWILIO_TOKENS_THROTTLE_RATE = "1/hour"
    assert "username" in issue(tester, "nobody")
    assert issue(tester).startswith("eyJ")


@pytest.mark.parametrize(
    ("setting", "value", "says"),
    [
        ("CACHES", {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}, "keep"),
        ("TWILIO_TOKENS_THROTTLE_RATE", "often", "TWILIO_TOKENS_THROTTLE_RATE should be"),
    ],
)
def test_what_cannot_be_counted_is_not_issued(
    tester: Client, settings: Any, setting: str, value: Any, says: str
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    setattr(settings, setting, value)
    [message] = issue(tester)["__all__"]
    assert message.startswith("No token was issued: ")
    assert says in message
    assert not IssuedToken.objects.exists()


@pytest.mark.parametrize("audit", [True, False])
def test_the_history_of_the_user_says_who_had_a_token(
    tester: Client, audit: bool, settings: Any, secret: str
) -> None:
    settings.TWILIO_TOKENS_AUDIT = audit
    claims = decoded(issue(tester), secret)
    entry = LogEntry.objects.get()
    assert (entry.user.username, entry.get_edited_object().username) == ("staff", "anna")
    assert entry.get_change_message() == (
        f"Issued the Twilio test token {claims['jti']} in this user's name."
    )
    issue(tester, "staff")
    assert LogEntry.objects.count() == 1


def fail_to_write(**kwargs: Any) -> None:
    raise DatabaseError("disk full")


def test_without_that_entry_there_is_no_token(tester: Client) -> None:
    pre_save.connect(fail_to_write, sender=LogEntry)
    try:
        refused = issue(tester)
    finally:
        pre_save.disconnect(fail_to_write, sender=LogEntry)
    assert refused == {
        "__all__": ["No token was issued: The admin's log could not be written (DatabaseError)."]
    }
    assert not IssuedToken.objects.exists()
    assert issue(tester).startswith("eyJ")


def test_the_page_and_the_permission_say_that_the_token_acts_as_its_user(tester: Client) -> None:
    page = " ".join(tester.get(PAGE).content.decode().split())
    assert "Until it expires, whoever holds it acts as this user at Twilio" in page
    name = Permission.objects.get(codename="issue_test_token").name
    assert name == "Can issue test tokens that act as another user"
