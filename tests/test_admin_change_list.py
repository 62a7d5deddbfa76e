"""Addresses, selections and posted values that no row can have."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from twilio_tokens.admin.keys import APIKeyAdmin
from twilio_tokens.models import Account, APIKey, ChatService

from .console import filled, url

HUGE = "9" * 20
IMPOSSIBLE = (HUGE, "abc", "\0", "😀", "")


@pytest.mark.parametrize(
    ("model", "lookups"),
    [
        (APIKey, {"account__id__exact": HUGE, "secret__exact": "text", "created_at__year": HUGE}),
        (APIKey, {"name__exact": "\0", "name__regex": "(", "check_code": HUGE, "pk": "abc"}),
        (ChatService, {"groups__id__exact": HUGE, "account_id__in": HUGE, "pk": HUGE, "p": HUGE}),
        (Account, {"pk": f"-{HUGE}", "name__iregex": "*", "sid__gt": "\0", "q": "\0"}),
    ],
)
def test_a_filter_by_what_no_column_holds_leads_back_to_the_list(
    model: Any, lookups: dict[str, str], every_row: None, admin_client: Client
) -> None:
    for lookup, value in lookups.items():
        response = admin_client.get(url(model, "changelist"), {lookup: value}, follow=True)
        assert response.status_code == 200, lookup
        assert "cl" in response.context


def test_so_does_a_year_beyond_the_calendar_where_a_site_lists_by_date(
    api_key: APIKey, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(APIKeyAdmin, "date_hierarchy", "created_at")
    for year in ("9999", HUGE):
        address = url(APIKey, "changelist")
        response = admin_client.get(address, {"created_at__year": year})
        assert response.url == f"{address}?e=1"


@pytest.mark.parametrize("model", [APIKey, ChatService])
@pytest.mark.parametrize("action", ["delete_selected", "check_with_twilio"])
def test_an_action_on_what_is_not_there_does_nothing(
    action: str, model: Any, every_row: None, admin_client: Client
) -> None:
    for value in IMPOSSIBLE:
        data = {"action": action, "_selected_action": value, "index": "0"}
        response = admin_client.post(url(model, "changelist"), data, follow=True)
        assert response.status_code == 200
    assert model.objects.exists()


@pytest.mark.parametrize(
    ("model", "page"),
    [
        (APIKey, "change"),
        (APIKey, "replace"),
        (APIKey, "delete"),
        (Account, "import"),
        (ChatService, "change"),
    ],
)
def test_a_page_of_a_row_that_cannot_be_is_not_found(
    model: Any, page: str, every_row: None, admin_client: Client
) -> None:
    for value in ("9" * 20, "abc", "%00", "_", "_5F"):
        address = f"{url(model, 'changelist')}{value}/{page}/"
        assert admin_client.get(address, follow=True).status_code in (200, 404)
        assert admin_client.post(address, filled(model), follow=True).status_code in (200, 404)
    assert model.objects.count() == 1


def test_an_account_or_group_that_cannot_be_is_no_choice(
    every_row: None, admin_client: Client
) -> None:
    for value in (HUGE, "abc", "\0"):
        assert admin_client.get(url(ChatService, "add"), {"account": value}).status_code == 200
        for field in ("account", "groups"):
            data = filled(ChatService, **{field: value})
            response = admin_client.post(url(ChatService, "add"), data)
            assert list(response.context["adminform"].form.errors) == [field]
