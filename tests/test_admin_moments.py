"""Numbers and times on the console's pages, for readers in their language and time zone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone as django_timezone

from twilio_tokens.admin.moments import to_the_minute, to_the_second
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import APIKey, IssuedToken, Outcome

from .issued import record, signed
from .rows import add_key, sid

NOON = datetime(2026, 3, 1, 12, 0, 7, tzinfo=timezone.utc)


def in_tokyo(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    """A middleware of a site whose users have time zones of their own."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with django_timezone.override("Asia/Tokyo"):
            return get_response(request)

    return middleware


@pytest.fixture
def german(settings: Any) -> None:
    settings.LANGUAGE_CODE = "de"
    settings.USE_THOUSAND_SEPARATOR = True


def text(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


def get(client: Client, name: str, *args: Any) -> str:
    response = client.get(reverse(f"admin:twilio_tokens_{name}", args=args))
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("language", ["en", "de", "ar", "hi"])
def test_numbers_that_machines_read_have_no_separators(
    language: str, api_key: APIKey, user: User, admin_client: Client, settings: Any
) -> None:
    settings.LANGUAGE_CODE, settings.USE_THOUSAND_SEPARATOR = language, True
    page = admin_client.post(
        reverse("admin:twilio_tokens_issuedtoken_test"), {"username": "anna", "video": "on"}
    ).content.decode()
    assert 'data-seconds="3600"' in page

    expired = {"iss": api_key.sid, "sub": sid("AC"), "iat": 0, "exp": 60, "grants": {}}
    page = admin_client.post(
        reverse("admin:twilio_tokens_issuedtoken_decode"), {"token": signed(expired)}
    ).content.decode()
    assert 'href="https://www.twilio.com/docs/api/errors/20104"' in page
    assert re.search(r"\b20104\b", text(page))


def test_links_hold_keys_without_separators(
    german: None, api_key: APIKey, admin_client: Client
) -> None:
    user = User.objects.create_user("berta", id=1_234_567)
    row = record(id=7_654_321, user=user, identity="berta")
    page = get(admin_client, "issuedtoken_changelist")
    assert "?user__id__exact=1234567" in page
    assert f"/issuedtoken/{row.pk}/change/" in page
    assert f"/user/{user.pk}/change/" in get(admin_client, "issuedtoken_change", row.pk)


def test_the_count_of_a_list_is_written_as_people_write_it(
    german: None, api_key: APIKey, admin_client: Client, monkeypatch: Any
) -> None:
    monkeypatch.setattr("twilio_tokens.admin.audit_list.AuditList.longest_list", 10_000)
    monkeypatch.setattr("twilio_tokens.admin.audit_list.LONGEST_LIST", 0)
    record()
    assert "10.000" in text(get(admin_client, "issuedtoken_changelist"))


def test_the_keys_page_shows_times_in_one_form_and_zone(
    api_key: APIKey, admin_client: Client, settings: Any
) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.test_admin_moments.in_tokyo"]
    record(issued_at=NOON, expires_at=NOON)
    api_key.record_check(Outcome.VERIFIED, "Fine.")
    retired = add_key(api_key.account, is_active=False)
    APIKey.objects.update(
        created_at=NOON, updated_at=NOON, checked_at=NOON, retired_at=NOON + timedelta(days=36_500)
    )
    noon = "March 1, 2026, 9:00 p.m."
    shown = text(get(admin_client, "apikey_change", api_key.pk)).replace("9 p.m.", "9:00 p.m.")
    assert shown.count(noon) == 4  # last used, checked, created, changed
    assert "+00:00" not in shown
    page = text(get(admin_client, "apikey_changelist")).replace("9 p.m.", "9:00 p.m.")
    assert page.count(noon) == 3  # one key was used, both were checked
    shown = text(get(admin_client, "apikey_change", retired.pk))
    assert re.search(r"after Feb(ruary|\.) 6, 2126, 9", shown)


def test_a_tokens_times_are_in_the_readers_zone_and_language(
    german: None, api_key: APIKey, admin_client: Client, settings: Any
) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.test_admin_moments.in_tokyo"]
    issued = int(NOON.timestamp())
    claims = {"iss": api_key.sid, "sub": sid("AC"), "iat": issued, "exp": issued + 60, "grants": {}}
    page = admin_client.post(
        reverse("admin:twilio_tokens_issuedtoken_decode"), {"token": signed(claims)}
    )
    assert "1. März 2026, 21:00:07" in text(page.content.decode())


@pytest.mark.parametrize("zone", ["UTC", "America/Adak", "Pacific/Kiritimati"])
def test_a_site_without_time_zones_shows_what_its_database_holds(
    zone: str, api_key: APIKey, admin_client: Client, settings: Any
) -> None:
    settings.USE_TZ, settings.TIME_ZONE = False, zone
    noon = NOON.replace(tzinfo=None)
    row = record(issued_at=noon, expires_at=noon + timedelta(days=36_500))
    retired = add_key(api_key.account, is_active=False)
    api_key.record_check(Outcome.VERIFIED, "Fine.")
    APIKey.objects.update(created_at=noon, updated_at=noon, checked_at=noon)
    for name, args in {
        "issuedtoken_changelist": [],
        "issuedtoken_change": [row.pk],
        "apikey_changelist": [],
        "apikey_change": [api_key.pk],
    }.items():
        assert "March 1, 2026, noon" in text(get(admin_client, name, *args))
    assert "Safe to delete at Twilio" in text(get(admin_client, "apikey_change", retired.pk))
    get(admin_client, "issuedtoken_test")

    response = admin_client.post(
        reverse("admin:twilio_tokens_issuedtoken_changelist"),
        {"action": "export_csv", "_selected_action": [row.pk]},
    )
    exported = b"".join(response).decode()  # type: ignore[call-overload]
    assert django_timezone.make_aware(noon).isoformat() in exported
    assert connection.settings_dict["TIME_ZONE"] is None


def test_a_token_is_decoded_on_a_site_without_time_zones(
    api_key: APIKey, user: User, admin_client: Client, settings: Any
) -> None:
    token = issue_access_token(user=user, grants=[Video()]).token
    settings.USE_TZ = False
    page = admin_client.post(
        reverse("admin:twilio_tokens_issuedtoken_decode"), {"token": token}
    ).content.decode()
    assert re.search(r"Expires .* \(in 23 hours, 59 minutes\)", text(page))
    assert IssuedToken.objects.count() == 1


@pytest.mark.parametrize("moment", [NOON, datetime(2026, 3, 1, 13, 0, 7)])  # noqa: DTZ001
def test_a_moment_with_or_without_a_zone_is_shown_as_local(moment: datetime, settings: Any) -> None:
    with django_timezone.override("Europe/Berlin"):
        assert to_the_minute(moment) == "March 1, 2026, 1 p.m."
        assert to_the_second(moment) == "March 1, 2026, 13:00:07"
