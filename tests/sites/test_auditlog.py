"""What django-auditlog writes down."""

from __future__ import annotations

from auditlog.models import LogEntry
from django.urls import reverse

from tests.databases import all_rows
from tests.security.story import Story
from twilio_tokens.models import APIKey


def test_it_has_ciphertext_only_and_shows_not_even_that(story: Story) -> None:
    story.stock()
    story.type_in()
    story.correct()
    story.ask()
    entries = LogEntry.objects.get_for_model(APIKey)
    assert any("secret" in entry.changes_dict for entry in entries)
    assert any("tt1:" in str(entry.serialized_data) for entry in entries)
    assert [table for table, rows in all_rows().items() if story.leaked(rows)] == []
    for entry in entries:
        page = story.operator.get(reverse("admin:auditlog_logentry_change", args=[entry.pk]))
        assert page.status_code == 200
        assert "tt1:" not in page.content.decode()
