"""Whoever looks at the site as another user gets that user's tokens, and leaves a trace."""

from __future__ import annotations

import pytest

from tests.sites.caller import Caller
from tests.sites.operator import new_user
from twilio_tokens.models import APIKey, IssuedToken


@pytest.mark.django_db
def test_the_token_is_that_of_the_user_who_is_looked_at_and_the_record_says_who_looks(
    api_key: APIKey,
) -> None:
    anna = new_user("anna")
    root = new_user("root", is_staff=True, is_superuser=True)
    caller = Caller(root)
    assert caller.ask("tokens/video/", {"room": "A"})["identity"] == "root"
    record = IssuedToken.objects.latest("pk")
    assert (record.user, record.issued_by) == (root, None)
    path, taken = "/hijack/acquire/", {"user_pk": anna.pk}
    shown = caller.client.post(path, taken, headers=caller.headers, follow=True)
    assert shown.json()["identity"] == "anna"
    caller.take_csrf_token()
    assert caller.ask("tokens/video/", {"room": "A"})["identity"] == "anna"
    record = IssuedToken.objects.latest("pk")
    assert (record.user, record.issued_by) == (anna, root)
