"""What django-easy-audit writes down."""

from __future__ import annotations

from easyaudit.models import CRUDEvent, RequestEvent

from tests.databases import all_rows
from tests.security.story import API, Story


def test_it_has_ciphertext_only(story: Story) -> None:
    story.tell()
    changes = CRUDEvent.objects.filter(content_type__model="apikey")
    assert any("tt1:" in event.object_json_repr for event in changes)
    urls = set(RequestEvent.objects.values_list("url", flat=True))
    assert {f"{API}video/", "/admin/twilio_tokens/issuedtoken/decode/"} <= urls
    assert [table for table, rows in all_rows().items() if story.leaked(rows)] == []
