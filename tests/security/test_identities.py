"""Names that change hands: who gets whose chats, and how a site moves to identities that stay."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db import models
from twilio.base.exceptions import TwilioRestException
from twilio.http.response import Response
from twilio.rest import Client

from tests.issued import decoded, record
from tests.prose import REPOSITORY, blocks
from tests.rows import sid
from tests.site.models import TwilioIdentity
from twilio_tokens.exceptions import IdentityNotAllowed, NotConfigured
from twilio_tokens.grants import Video, registered
from twilio_tokens.identity import decode_identity, identity_for, primary_key, username
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey, IssuedToken

BLOCKS = blocks("docs/identity.md")


def documented(name: str, **names: Any) -> Any:
    """The function of that name, as it stands on the page."""
    for block in BLOCKS:
        for node in ast.parse(block).body:
            if getattr(node, "name", None) == name:
                exec(compile(ast.Module([node], []), "identity.md", "exec"), names)  # noqa: S102
                return names[name]
    raise LookupError(name)


def with_key(field: models.Field[Any, Any], value: object) -> Any:
    return SimpleNamespace(_meta=SimpleNamespace(pk=field), pk=value)


# Who is who


@pytest.mark.parametrize("setting", ["username", "encoded_username"])
@pytest.mark.django_db
def test_a_username_that_is_given_again_is_the_same_person_to_twilio(
    setting: str, user: User, settings: Any
) -> None:
    settings.TWILIO_TOKENS_IDENTITY = f"twilio_tokens.identity.{setting}"
    before = identity_for(user)
    user.delete()
    another = User.objects.create_user("anna")
    assert identity_for(another) == before
    another.username = "bert"
    assert identity_for(another) != before


def test_a_primary_key_stays_with_its_user_and_goes_to_nobody_else(
    user: User, api_key: APIKey, secret: str, settings: Any
) -> None:
    settings.TWILIO_TOKENS_IDENTITY = "twilio_tokens.identity.primary_key"
    issued = issue_access_token(user=user, grants=[Video()])
    assert issued.identity == decoded(issued.token, secret)["grants"]["identity"] == str(user.pk)
    user.username = "bert"
    user.save()
    assert identity_for(user) == issued.identity
    user.delete()
    assert identity_for(User.objects.create_user("anna")) != issued.identity


UUID_KEY = UUID("0e7c4f1a-6f0e-4d4e-9f0a-6a2b3c4d5e6f")


@pytest.mark.parametrize(
    ("field", "value", "identity"),
    [
        (models.BigAutoField(), 7, "7"),
        (models.BigAutoField(), "7", "7"),
        (models.BigAutoField(), 2**63 - 1, "9223372036854775807"),
        (models.IntegerField(), -7, "_2d7"),
        (models.UUIDField(), UUID_KEY, UUID_KEY.hex),
        (models.UUIDField(), str(UUID_KEY), UUID_KEY.hex),
        (models.CharField(), "01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        (models.CharField(), "a_b-c@é", "a_5fb_2dc_40_c3_a9"),
        (models.CharField(), "_2d7", "_5f2d7"),
    ],
)
def test_a_primary_key_is_taken_by_every_product_and_can_be_read_back(
    field: Any, value: object, identity: str, settings: Any
) -> None:
    settings.TWILIO_TOKENS_IDENTITY = "twilio_tokens.identity.primary_key"
    assert identity_for(with_key(field, value), [*registered().values()]) == identity
    assert field.to_python(decode_identity(identity)) == field.to_python(value)


def test_a_user_without_a_primary_key_has_no_identity(settings: Any) -> None:
    settings.TWILIO_TOKENS_IDENTITY = "twilio_tokens.identity.primary_key"
    with pytest.raises(IdentityNotAllowed, match="no identity"):
        identity_for(User(username="anna"))


# One that is given once


def test_the_model_of_the_page_is_the_one_that_is_tested() -> None:
    def model(source: str) -> str:
        classes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
        return next(ast.dump(node) for node in classes if node.name == "TwilioIdentity")

    [block] = [each for each in BLOCKS if "class TwilioIdentity" in each]
    assert model(block) == model((REPOSITORY / "tests" / "site" / "models.py").read_text())


@pytest.fixture
def given_once(db: None, settings: Any) -> None:
    names = {"TwilioIdentity": TwilioIdentity, "uuid4": uuid4}
    settings.TWILIO_TOKENS_IDENTITY = documented("identity", **names)


def keep(*users: User) -> None:
    documented("keep", TwilioIdentity=TwilioIdentity)(users, username)


def test_who_has_been_at_twilio_keeps_the_identity_of_before_whatever_happens(
    given_once: None, user: User
) -> None:
    keep(user, User(username=""))
    keep(user)  # again
    assert identity_for(user) == "anna"
    user.username = "bert"
    user.save()
    assert identity_for(user) == "anna"
    user.delete()
    second = User.objects.create_user("anna")
    assert identity_for(second) == identity_for(second) != "anna"
    assert identity_for(second, [*registered().values()]).isalnum()


def test_no_two_users_have_one_identity_however_they_are_called(given_once: None) -> None:
    first = User.objects.create_user("first")
    taken = User.objects.create_user(str(first.pk + 2))
    keep(taken)
    third = User.objects.create(pk=int(taken.username), username=uuid4().hex)
    assert third.pk == int(identity_for(taken))
    named_like_another = User.objects.create(pk=third.pk + 1, username=identity_for(third))
    identities = {identity_for(each) for each in (first, taken, third, named_like_another)}
    assert len(identities) == 4


@pytest.mark.django_db
def test_a_name_that_is_kept_already_is_given_to_nobody(settings: Any) -> None:
    TwilioIdentity.objects.create(name="anna")  # of a user who has gone
    settings.TWILIO_TOKENS_IDENTITY = documented(
        "identity", TwilioIdentity=TwilioIdentity, uuid4=lambda: SimpleNamespace(hex="anna")
    )
    with pytest.raises(NotConfigured):
        issue_access_token(user=User.objects.create_user("anna"), grants=[Video()])


# From usernames to primary keys


@dataclass
class Conversations:
    """As much of Twilio's API as the page asks for, in Twilio's own client."""

    #: Who takes part, by conversation: their identity, by the SID of the participant.
    taking_part: dict[str, dict[str, str]]
    users: set[str]

    @property
    def service(self) -> Any:
        client = Client(sid("SK"), "secret", sid("AC"), http_client=self)
        return client.conversations.v1.services(sid("IS"))

    def request(self, method: str, url: str, data: Any = None, **options: Any) -> Response:
        _base, _slash, path = url.partition(f"/Services/{sid('IS')}/")
        parts = path.split("/")
        if path == "Users":
            found = ", ".join(f'{{"identity": "{each}"}}' for each in self.users)
            return Response(200, f'{{"users": [{found}], "meta": {{"key": "users"}}}}')
        if parts[0] == "Users":
            return self._user(method, parts[1])
        participants = self.taking_part[parts[1]]
        if method == "POST":
            if data["Identity"] in participants.values():
                return Response(409, '{"code": 50433, "message": "Participant already exists"}')
            participants[sid("MB", str(len(participants)))] = data["Identity"]
            assert (data["RoleSid"], data["Attributes"]) == (sid("RL"), '{"colour": "red"}')
            return Response(201, "{}")
        if method == "DELETE":
            del participants[parts[3]]
            return Response(204, "")
        found = f'{{"role_sid": "{sid("RL")}", "attributes": "{{\\"colour\\": \\"red\\"}}"}}'
        return Response(200 if parts[3] in participants else 404, found)

    def _user(self, method: str, identity: str) -> Response:
        if method == "DELETE":
            self.users.remove(identity)
            return Response(204, "")
        found = [
            f'{{"conversation_sid": "{conversation}", "participant_sid": "{participant}"}}'
            for conversation, participants in self.taking_part.items()
            for participant, each in participants.items()
            if each == identity
        ]
        text = f'{{"conversations": [{", ".join(found)}], "meta": {{"key": "conversations"}}}}'
        return Response(200, text)


@pytest.fixture
def twilio_with_chats() -> Conversations:
    team, sales = sid("CH", "1"), sid("CH", "2")
    return Conversations(
        {team: {sid("MB", "a"): "anna", sid("MB", "b"): "bert"}, sales: {sid("MB", "b"): "bert"}},
        {"anna", "bert"},
    )


def test_the_new_identity_takes_part_where_the_old_one_does_and_then_the_old_one_goes(
    twilio_with_chats: Conversations,
) -> None:
    take_along = documented("take_along", TwilioRestException=TwilioRestException)
    for _ in range(2):
        take_along(twilio_with_chats.service, "anna", "7")
    team, sales = (list(each.values()) for each in twilio_with_chats.taking_part.values())
    assert (team, sales) == (["anna", "bert", "7"], ["bert"])
    documented("retire")(twilio_with_chats.service, "anna")
    team, sales = (list(each.values()) for each in twilio_with_chats.taking_part.values())
    assert (team, sales) == (["bert", "7"], ["bert"])
    assert twilio_with_chats.users == {"bert"}


def test_names_that_collide_with_a_primary_key_are_found_wherever_they_are_known(
    user: User, api_key: APIKey, twilio_with_chats: Conversations
) -> None:
    called_like_another = User.objects.create(pk=user.pk + 1, username=str(user.pk))
    gone = User.objects.create(pk=user.pk + 2, username="somebody")
    at_twilio_only = User.objects.create(pk=user.pk + 3, username="someone")
    record(identity=str(gone.pk), user=None)
    twilio_with_chats.users.add(str(at_twilio_only.pk))
    function = documented(
        "names_that_collide", IssuedToken=IssuedToken, primary_key=primary_key, username=username
    )
    users = [user, called_like_another, gone, at_twilio_only]
    found = function(users, twilio_with_chats.service)
    assert found == {str(each.pk) for each in (user, gone, at_twilio_only)}
