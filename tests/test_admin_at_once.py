"""Requests of the console that come at the same moment, on databases that serve several at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Model
from django.test import Client

from twilio_tokens.models import Account, APIKey, ChatService, PushCredential

from .console import filled, url
from .databases import disconnect
from .rows import add_key, new_secret, sid

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="In memory it serves one at a time."),
]

REQUESTS = 6


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each request finds its row free before any of them saves it."""
    barrier = threading.Barrier(REQUESTS)
    validate_unique = Model.validate_unique

    def wait(self: Any, exclude: Any = None) -> None:
        validate_unique(self, exclude)
        with suppress(threading.BrokenBarrierError):  # once is enough
            barrier.wait(timeout=5)

    monkeypatch.setattr(Model, "validate_unique", wait)
    yield
    barrier.abort()


def at_once(admin_user: User, requests: list[Callable[[Client], Any]]) -> list[Any]:
    """Their answers; a 500 raises in its thread, and is missing here."""
    answers: list[Any] = []

    def run(request: Callable[[Client], Any]) -> None:
        client = Client()
        client.force_login(admin_user)
        try:
            answers.append(request(client))
        finally:
            disconnect()

    threads = [threading.Thread(target=run, args=[request]) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def statuses(answers: list[Any]) -> list[int]:
    return sorted(answer.status_code for answer in answers)


@pytest.mark.parametrize("model", [Account, APIKey, ChatService, PushCredential])
def test_of_six_clicks_on_add_one_adds_and_the_others_are_told(
    model: Any, together: None, admin_user: User
) -> None:
    if model is not Account:
        Account.objects.create(name="Main", sid=sid("AC"))
    data = filled(model)
    answers = at_once(admin_user, [lambda client: client.post(url(model, "add"), data)] * REQUESTS)
    assert statuses(answers) == [200] * (REQUESTS - 1) + [302]
    for answer in answers:
        if answer.status_code == 200:
            assert "already exists" in str(answer.context["adminform"].form.errors)
    assert model.objects.filter(name="new").count() == 1


def replacing(key: APIKey, *, same_sid: bool) -> list[Callable[[Client], Any]]:
    def request(number: int) -> Callable[[Client], Any]:
        data = {"name": "new", "sid": sid("SK", str(number)), "region": "us1"}
        data["secret"] = new_secret()
        return lambda client: client.post(url(APIKey, "replace", key.pk), data)

    return [request(1 if same_sid else number + 1) for number in range(REQUESTS)]


@pytest.mark.parametrize("same_sid", [True, False])
def test_of_six_replacements_of_a_key_one_takes_over(
    same_sid: bool, together: None, admin_user: User
) -> None:
    key = add_key(Account.objects.create(name="Main", sid=sid("AC")))
    answers = at_once(admin_user, replacing(key, same_sid=same_sid))
    assert statuses(answers) == [302] * REQUESTS
    assert APIKey.objects.filter(is_active=True).exclude(pk=key.pk).count() == 1
    assert APIKey.objects.count() == 2


def test_of_six_clicks_on_delete_one_deletes(admin_user: User) -> None:
    key = add_key(Account.objects.create(name="Main", sid=sid("AC")))
    address = url(APIKey, "delete", key.pk)
    answers = at_once(admin_user, [lambda client: client.post(address, {"post": "yes"})] * REQUESTS)
    assert statuses(answers) == [302] * REQUESTS
    assert not APIKey.objects.exists()
