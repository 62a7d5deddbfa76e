"""Guests who open one room until a certain time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.forms import PasswordResetForm
from django.contrib.auth.models import User
from django.core import signing
from django.utils import timezone

from tests.how_to.front_ends import front_end, post, site_of
from tests.issued import decoded
from twilio_tokens.models import IssuedToken

ADDRESS = "/guests/tokens/video/"

pytestmark = pytest.mark.usefixtures("api_key")


@pytest.fixture(autouse=True)
def site(settings: Any) -> Iterator[Any]:
    with site_of("docs/how-to/invite-guests-by-link.md", settings) as site:
        yield site


@pytest.fixture
def link_for(site: Any) -> Any:
    def link(room: str = "Interview-17", minutes: float = 60, name: str = "Bo") -> str:
        until = timezone.now() + timedelta(minutes=minutes)
        path, _, invitation = site.guests.link_for(name, room, until).partition("#")
        assert path == "/join/"
        return str(invitation)

    return link


def ask(invitation: str, body: Any = None) -> Any:
    return post(front_end(), ADDRESS, body or {}, Authorization=f"Invitation {invitation}")


def refusal(response: Any) -> tuple[int, str]:
    assert not IssuedToken.objects.exists()
    return response.status_code, response.json()["detail"]


def test_a_guest_gets_a_token_for_the_room_until_the_end(link_for: Any, secret: str) -> None:
    answer = ask(link_for()).json()
    claims = decoded(answer["token"], secret)
    assert claims["grants"]["video"] == {"room": "Interview-17"}
    assert 3590 <= claims["exp"] - claims["iat"] <= 3600
    guest = User.objects.get()
    assert claims["grants"]["identity"] == guest.username
    assert (guest.first_name, guest.has_usable_password()) == ("Bo", False)
    assert IssuedToken.objects.get().user == guest


def test_two_guests_are_two_people(link_for: Any) -> None:
    answers = [ask(link_for()).json()["identity"] for _ in range(2)]
    assert len(set(answers)) == 2


def test_a_long_invitation_gives_a_token_of_the_usual_length(link_for: Any) -> None:
    assert ask(link_for(minutes=60 * 24 * 7)).json()["expires_in"] == 4 * 3600


@pytest.mark.parametrize(
    "body", [{"room": "Board"}, {"room": None}, {"ttl": 86400}, {"video": {}}, {"identity": "anna"}]
)
def test_no_body_makes_the_token_wider(link_for: Any, body: Any) -> None:
    answer = ask(link_for(), body).json()
    assert answer["grants"] == {"video": {"room": "Interview-17"}}
    assert answer["expires_in"] <= 3600


@pytest.mark.parametrize("page", ["", "video/", "chat/", "voice/", "sync/"])
def test_an_invitation_is_good_at_no_other_address(link_for: Any, page: str) -> None:
    response = post(
        front_end(), f"/twilio/tokens/{page}", {}, Authorization=f"Invitation {link_for()}"
    )
    assert response.status_code == 401


def test_it_ends(link_for: Any) -> None:
    invitation = link_for(minutes=10)
    with time_machine.travel(timezone.now() + timedelta(minutes=9, seconds=59.5), tick=False):
        assert ask(invitation).json()["expires_in"] == 1
    IssuedToken.objects.all().delete()
    with time_machine.travel(timezone.now() + timedelta(minutes=10), tick=False):
        assert refusal(ask(invitation)) == (401, "This invitation has expired.")


def test_it_can_be_withdrawn(link_for: Any) -> None:
    invitation = link_for()
    User.objects.update(is_active=False)
    assert refusal(ask(invitation)) == (401, "This invitation is not valid.")
    User.objects.all().delete()
    assert refusal(ask(invitation)) == (401, "This invitation is not valid.")


def test_no_other_signed_text_is_an_invitation(link_for: Any, user: User) -> None:
    mine = {"guest": user.pk, "room": "Board", "until": 2**40}
    forged = [
        "",
        "x",
        link_for()[:-1],
        "x" + link_for(),
        signing.dumps(mine),
        signing.dumps(mine, salt="mysite.guests", key="guess"),
    ]
    for text in forged:
        assert refusal(ask(text)) == (401, "This invitation is not valid.")


def test_a_forged_one_costs_no_query(link_for: Any, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        ask("x" + "y" * 100)


def test_without_one_a_session_is_not_enough(user: User) -> None:
    response = post(front_end(user), ADDRESS, {"room": "Board"})
    assert (response.status_code, response["WWW-Authenticate"]) == (401, "Invitation")


def test_a_guest_cannot_reset_a_password(link_for: Any) -> None:
    link_for()
    User.objects.update(email="bo@example.com")
    assert list(PasswordResetForm().get_users("bo@example.com")) == []


def test_the_room_policy_is_asked_as_well(link_for: Any, settings: Any) -> None:
    settings.TWILIO_TOKENS_ROOM_POLICY = lambda user, room: False
    assert ask(link_for()).json()["code"] == "permission_denied"
    settings.TWILIO_TOKENS_ROOM_POLICY = lambda user, room: user.username.startswith("guest_")
    assert ask(link_for()).status_code == 201
