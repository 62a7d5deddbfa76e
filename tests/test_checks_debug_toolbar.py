"""The check of django-debug-toolbar. ``tests/sites/test_debug.py`` has the real one."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps

from twilio_tokens.checks.error_reports import HISTORY_PANEL, check_debug_toolbar


@pytest.mark.parametrize(
    ("changed", "is_told"),
    [
        ({}, True),
        ({"DEBUG": False}, False),
        ({"DEBUG": False, "DEBUG_TOOLBAR_CONFIG": {"SHOW_TOOLBAR_CALLBACK": "site.show"}}, True),
        ({"DEBUG_TOOLBAR_PANELS": [HISTORY_PANEL]}, True),
        ({"DEBUG_TOOLBAR_PANELS": ["debug_toolbar.panels.request.RequestPanel"]}, False),
        ({"DEBUG_TOOLBAR_CONFIG": {"DISABLE_PANELS": {HISTORY_PANEL}}}, False),
    ],
)
def test_a_history_of_what_is_posted_is_told(
    changed: dict[str, Any], is_told: bool, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_debug_toolbar() == []
    installed = {"django.contrib.admin", "debug_toolbar"}
    monkeypatch.setattr(apps, "is_installed", installed.__contains__)
    settings.DEBUG = True
    for name, value in changed.items():
        setattr(settings, name, value)
    assert [each.id for each in check_debug_toolbar()] == ["twilio_tokens.W021"] * is_told


@pytest.mark.parametrize("installed", ["django.contrib.admin", "debug_toolbar"])
def test_it_is_about_the_toolbar_beside_the_admin(
    installed: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEBUG = True
    monkeypatch.setattr(apps, "is_installed", {installed}.__contains__)
    assert check_debug_toolbar() == []
