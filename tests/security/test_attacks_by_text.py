"""Attacks by texts: names that look alike, lines of a log, what takes long to read."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import override_settings
from rest_framework.test import APIClient

from tests.issued import decoded
from twilio_tokens.grants import Video, registered
from twilio_tokens.identity import decode_identity, encoded_username, username
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, APIKey, IssuedToken

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("api_key")]


# Lines of the log that nobody wrote


def test_nobody_writes_a_line_of_the_log(
    api: APIClient, user: User, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    forged = "x\r\nERROR twilio_tokens: forged\x1b[2J\u2028forged\x85forged"
    caplog.set_level(logging.DEBUG, "twilio_tokens")
    settings.TWILIO_TOKENS_WORKER = lambda user, workspace: None
    settings.TWILIO_TOKENS_THROTTLE_RATE = None
    User.objects.filter(pk=user.pk).update(username=forged)
    for fault in (None, "TWILIO_TOKENS_ENCRYPTION_KEYS", "TWILIO_TOKENS_ROOM_POLICY"):
        if fault is not None:
            setattr(settings, fault, [forged])
        for product in registered():
            for body in ({}, {forged: forged}, {"room": forged}, {"service": forged}):
                api.post(f"/twilio/tokens/{product}/", body, "json")
            api.get(f"/twilio/tokens/{product}/?x={quote(forged)}")
    # Somebody who writes to the database is not held to what a form takes.
    settings.TWILIO_TOKENS_ROOM_POLICY = None
    settings.TWILIO_TOKENS_IDENTITY = lambda user: "anna"
    APIKey.objects.all().delete()
    Account.objects.update(sid="AC\nERROR forged")
    assert api.post("/twilio/tokens/video/", {}, "json").status_code == 503
    ours = [each for each in caplog.records if each.name.startswith("twilio_tokens")]
    assert ours
    for each in ours:
        assert each.getMessage().splitlines() == [each.getMessage()]
        assert "\x1b" not in each.getMessage()


# Names that look alike


@pytest.mark.parametrize(
    ("name", "double"),
    [
        ("loki", "\uff4coki"),  # full width
        ("kelvin", "\u212aelvin"),  # the sign of the unit
        ("anna", "Anna"),
        ("paul", "p\u0430ul"),  # Cyrillic
        ("zo\u00e9", "zoe\u0301"),  # composed and not
        ("anna", "anna\u200b"),
        ("strasse", "stra\u00dfe"),
        ("a_40b", "a@b"),  # the one is how the other is written
    ],
)
def test_a_double_of_a_name_is_another_identity(name: str, double: str, secret: str) -> None:
    User.objects.all().delete()
    try:
        with transaction.atomic():
            users = [User.objects.create(username=each) for each in (name, double)]
    except IntegrityError:
        return  # this database takes the two for one, so that nobody can have the second
    for setting in (username, encoded_username):
        identities = [setting(user) for user in users]
        assert len({*identities}) == 2
        with override_settings(TWILIO_TOKENS_IDENTITY=setting):
            issued = [issue_access_token(user=user, grants=[Video()]) for user in users]
        for user, each in zip(users, issued, strict=True):
            assert decoded(each.token, secret)["grants"]["identity"] == setting(user)
            assert IssuedToken.objects.get(jti=each.jti).user == user
    assert [decode_identity(encoded_username(user)) for user in users] == [name, double]


# Texts that take long to read

#: Seconds that the processor may work on all of them; a part of it is needed.
CPU = 12

LONG = """
import resource
import sys

import django
django.setup()
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
from twilio_tokens import error_reports, sids
from django.core.exceptions import ValidationError
from django.db.models import CharField
from twilio_tokens.models import APIKey, ChatService
from twilio_tokens.decoding import decode
from twilio_tokens.exceptions import InvalidToken

for word in ("a" * 30 + "B1", "A" * 30 + "b1", "A" + "a" * 29 + "B1"):
    for _time in range(100):
        sids.holds_secret(word)
pieces = ["a", "A", "aA", "a" * 31 + " ", "a" * 30 + "B1 ", "A" * 30 + "b1 ", "eyJ", "ey.", "ey-"]
pieces += ["-", " ", "\\n", "'", "=", "secret", "secret=", "$", "${", "tt1:", "%41", "AC0", "eyJ."]
for piece in pieces:
    text = piece * (30_000 // len(piece))
    sids.holds_secret(text)
    for kind in sids.KINDS:
        kind.problem(text)
    for cut in (text, text[:1_024]):
        sids.secret_problem(cut)
    for cut in (text, text[:15_000]):
        try:
            decode(cut)
        except InvalidToken:
            pass
    for field in (*APIKey._meta.fields, *ChatService._meta.fields):
        if isinstance(field, CharField) and field.editable:
            try:
                field.run_validators(text)
            except ValidationError:
                pass
            field.formfield().widget.render("x", text)
    error_reports.SecretsReporterFilter().cleansed(text, ["x" * 20])
"""


def test_no_crafted_text_keeps_a_worker_busy() -> None:
    """A pattern that can match one text in many ways tries them all before it fails."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    run = subprocess.run(
        [sys.executable, "-c", LONG, str(CPU)], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
