"""What django-debug-toolbar keeps of what is posted and issued."""

from __future__ import annotations

import json
from typing import Any

from debug_toolbar.models import HistoryEntry
from django.core.checks import run_checks

from tests.security.story import Story
from twilio_tokens.checks.error_reports import HISTORY_PANEL


def kept(story: Story, settings: Any, *, disabled: set[str]) -> list[str]:
    """What the toolbar has in its table when all is done, by request."""
    settings.DEBUG_TOOLBAR_CONFIG = settings.DEBUG_TOOLBAR_CONFIG | {"DISABLE_PANELS": disabled}
    story.stock()
    story.type_in()
    story.ask()
    story.try_out()
    return [str(without_names(entry.data)) for entry in HistoryEntry.objects.all()]


def without_names(panels: dict[str, str]) -> dict[str, str]:
    """The panel of requests hides by the name of a field, so not what is typed into a name."""
    if "RequestPanel" in panels:
        request = json.loads(panels["RequestPanel"])
        posted = request["post"]["list"]
        request["post"]["list"] = [(name, value) for name, value in posted if name != "name"]
        panels["RequestPanel"] = json.dumps(request)
    return panels


def test_its_panels_keep_no_secret_and_no_token(story: Story, settings: Any) -> None:
    entries = kept(story, settings, disabled={HISTORY_PANEL})
    assert {"RequestPanel", "SQLPanel", "TemplatesPanel"} <= set(HistoryEntry.objects.first().data)
    assert sum("twilio_tokens_issuedtoken_decode" in each for each in entries) > 1
    assert [each for each in entries if story.leaked(each)] == []
    assert ours() == []


def test_but_its_history_does_and_a_check_says_so(story: Story, settings: Any) -> None:
    others = {*settings.DEBUG_TOOLBAR_PANELS} - {HISTORY_PANEL}
    assert story.leaked(str(kept(story, settings, disabled=others))) == {"a secret", "a token"}
    assert ours() == ["twilio_tokens.W021"]


def ours() -> list[str]:
    return [each.id for each in run_checks() if (each.id or "").startswith("twilio_tokens.")]
