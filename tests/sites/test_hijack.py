"""Whoever looks at the site as another user gets that user's tokens."""

from __future__ import annotations

import pytest

from tests.sites.caller import Caller
from tests.sites.operator import new_user
from twilio_tokens.models import APIKey, IssuedToken


@pytest.mark.django_db
def test_the_token_is_that_of_the_user_who_is_looked_at(api_key: APIKey) -> None:
    anna = new_user("anna")
    caller = Caller(new_user("root", is_staff=True, is_superuser=True))
    path, taken = "/hijack/acquire/", {"user_pk": anna.pk}
    shown = caller.client.post(path, taken, headers=caller.headers, follow=True)
    assert shown.json()["identity"] == "anna"
    caller.take_csrf_token()
    assert caller.ask("tokens/video/", {"room": "A"})["identity"] == "anna"
    assert IssuedToken.objects.get().user == anna
