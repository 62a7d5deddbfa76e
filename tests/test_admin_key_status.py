from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from twilio_tokens.admin.key_status import (
    CLOCKS_APART,
    Status,
    is_safe_to_delete,
    opens,
    safe_to_delete_at,
    secret_problem,
    status,
    with_usage,
)
from twilio_tokens.crypto import generate_key
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, APIKey, IssuedToken

from .rows import add_key, sid


def seen(key: APIKey) -> APIKey:
    return with_usage(APIKey.objects.all()).get(pk=key.pk)


def retire(key: APIKey) -> APIKey:
    key.is_active = False
    key.save()
    return seen(key)


def test_the_newest_active_key_of_each_account_signs_and_the_others_stand_by(
    api_key: APIKey, other: Account
) -> None:
    newer = add_key(api_key.account)
    retired = retire(add_key(api_key.account))
    theirs = add_key(other)
    assert [status(seen(key)) for key in (api_key, newer, retired, theirs)] == [
        Status.STANDBY,
        Status.SIGNING,
        Status.RETIRED,
        Status.SIGNING,
    ]


def test_a_key_whose_secret_cannot_be_read_is_called_so(api_key: APIKey, settings: Any) -> None:
    settings.TWILIO_TOKENS_ENCRYPTION_KEYS = [generate_key()]
    assert status(seen(api_key)) == Status.UNREADABLE
    assert "encryption key is not in" in (secret_problem(api_key) or "")


def test_a_key_without_a_secret_does_not_open(api_key: APIKey) -> None:
    assert opens(api_key)
    api_key.secret = None
    assert not opens(api_key)
    assert "damaged" in (secret_problem(api_key) or "")


def test_usage_is_told_key_by_key(api_key: APIKey, user: User) -> None:
    assert (seen(api_key).last_used, seen(api_key).live_tokens) == (None, 0)
    issue_access_token(user=user, grants=[Video()], ttl=60)
    last = issue_access_token(user=user, grants=[Video()], ttl=3600)
    IssuedToken.objects.filter(expires_at__lt=last.expires_at).update(expires_at=timezone.now())
    used, unused = seen(api_key), seen(add_key(api_key.account))
    assert used.last_used == last.issued_at
    assert used.last_expiry == last.expires_at
    assert used.live_tokens == 1
    assert (unused.last_used, unused.last_expiry, unused.live_tokens) == (None, None, 0)


def test_a_key_that_may_still_sign_is_never_safe_to_delete(api_key: APIKey) -> None:
    assert safe_to_delete_at(seen(api_key)) is None
    assert not is_safe_to_delete(seen(api_key))


@pytest.mark.parametrize(
    "site",
    [
        {},
        {"MAX_TTL": 600},  # lowered a moment ago, perhaps
        {"AUDIT": False},
        {"AUDIT": "no"},
    ],
)
def test_a_retired_key_waits_for_the_longest_life_that_twilio_allows_a_token(
    site: dict[str, Any], api_key: APIKey, settings: Any
) -> None:
    settings.TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS = 40
    for name, value in site.items():
        setattr(settings, f"TWILIO_TOKENS_{name}", value)
    key = retire(api_key)
    assert key.retired_at is not None
    moment = key.retired_at + timedelta(days=1, seconds=40) + CLOCKS_APART
    assert safe_to_delete_at(key) == moment
    assert not is_safe_to_delete(key)

    retired_at = timezone.now() - (moment - key.retired_at)
    APIKey.objects.update(retired_at=retired_at)
    assert is_safe_to_delete(seen(api_key))


def test_it_waits_longer_where_the_audit_knows_a_token_that_lives_longer(
    api_key: APIKey, user: User
) -> None:
    """Signed by a process that went on with the key, in an open transaction for one."""
    issue_access_token(user=user, grants=[Video()])
    late = timezone.now() + timedelta(days=2)
    IssuedToken.objects.update(expires_at=late)
    assert safe_to_delete_at(retire(api_key)) == late


def test_an_unusable_setting_makes_it_wait_another_day(api_key: APIKey, settings: Any) -> None:
    settings.TWILIO_TOKENS_CREDENTIAL_CACHE_SECONDS = "15"
    key = retire(api_key)
    assert key.retired_at is not None
    assert safe_to_delete_at(key) == key.retired_at + timedelta(days=2) + CLOCKS_APART


def test_nobody_knows_of_a_key_that_was_retired_past_save(api_key: APIKey) -> None:
    long_ago = timezone.now() - timedelta(days=400)
    APIKey.objects.update(is_active=False, updated_at=long_ago)
    assert safe_to_delete_at(seen(api_key)) is None
    assert not is_safe_to_delete(seen(api_key))


@pytest.mark.parametrize("update_fields", [None, ["is_active"]])
def test_retiring_is_dated_and_coming_back_undoes_it(
    update_fields: list[str] | None, api_key: APIKey
) -> None:
    before = timezone.now()
    api_key.is_active = False
    api_key.save(update_fields=update_fields)
    api_key.refresh_from_db()
    retired_at = api_key.retired_at
    assert retired_at is not None
    assert before <= retired_at <= timezone.now()

    api_key.name = "still retired"
    api_key.save()
    api_key.refresh_from_db()
    assert api_key.retired_at == retired_at

    api_key.is_active = True
    api_key.save(update_fields=update_fields)
    api_key.refresh_from_db()
    assert api_key.retired_at is None


def test_saving_other_fields_does_not_date_a_retirement(api_key: APIKey) -> None:
    api_key.is_active = False
    api_key.name = "renamed"
    api_key.save(update_fields=["name"])
    api_key.refresh_from_db()
    assert (api_key.is_active, api_key.retired_at) == (True, None)
    assert api_key.sid == sid("SK")
