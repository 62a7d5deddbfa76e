from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from twilio_tokens.exceptions import Unavailable
from twilio_tokens.grants import Chat, Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey, IssuedToken
from twilio_tokens.signals import access_token_issued


@pytest.fixture
def received() -> Iterator[list[dict[str, Any]]]:
    """The keyword arguments of each signal."""
    kept: list[dict[str, Any]] = []

    def keep(**kwargs: Any) -> None:
        kept.append(kwargs)

    access_token_issued.connect(keep)
    yield kept
    access_token_issued.disconnect(keep)


def test_it_sends_the_saved_record_and_not_the_token(
    api_key: APIKey, user: User, received: list[dict[str, Any]]
) -> None:
    issued = issue_access_token(user=user, grants=[Video("DailyStandup")])
    (sent,) = received
    assert sent == {
        "signal": access_token_issued,
        "sender": IssuedToken,
        "record": IssuedToken.objects.get(),
    }
    assert sent["record"].grants == {"video": {"room": "DailyStandup"}}
    assert issued.token not in repr(vars(sent["record"]))


def test_without_the_audit_the_record_is_not_saved(
    api_key: APIKey, user: User, received: list[dict[str, Any]], settings: Any
) -> None:
    settings.TWILIO_TOKENS_AUDIT = False
    issued = issue_access_token(user=user, grants=[Video()])
    (sent,) = received
    assert (sent["record"].pk, sent["record"].jti) == (None, issued.jti)
    assert (sent["record"].user, sent["record"].api_key) == (user, api_key)


@pytest.fixture
def _failing_receiver() -> Iterator[None]:
    def fail(**kwargs: Any) -> None:
        raise RuntimeError("a mistake of the site")

    access_token_issued.connect(fail)
    yield
    access_token_issued.disconnect(fail)


@pytest.mark.usefixtures("_failing_receiver")
def test_a_receiver_that_raises_is_logged_and_changes_nothing(
    api_key: APIKey,
    user: User,
    received: list[dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    issued = issue_access_token(user=user, grants=[Video()])
    assert IssuedToken.objects.get().jti == issued.jti
    assert len(received) == 1
    assert "a mistake of the site" in caplog.text
    assert issued.token not in caplog.text


def test_nothing_is_sent_where_no_token_is_issued(
    unavailable: str, user: User, received: list[dict[str, Any]]
) -> None:
    with pytest.raises(Unavailable):
        issue_access_token(user=user, grants=[Chat()])
    assert received == []
