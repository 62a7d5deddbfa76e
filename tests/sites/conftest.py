from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command

from tests import twilio_server


@pytest.fixture(scope="session", autouse=True)
def _static_files_with_hashes() -> None:
    if hasattr(settings, "STATIC_ROOT") and settings.STATIC_ROOT:
        call_command("collectstatic", "--no-input", verbosity=0)


@pytest.fixture
def story(transactional_db: None, settings: Any, tmp_path: Path) -> Iterator[Any]:
    """Of secrets and tokens, on a site with the admin."""
    from tests.security.story import Story  # noqa: PLC0415 - the other sites cannot import it

    with twilio_server.running(settings) as twilio:
        yield Story(settings, twilio, [], tmp_path)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Any]:
    from tests.security.failures import made_to_fail  # noqa: PLC0415 - likewise

    with made_to_fail(monkeypatch, settings) as failing:
        yield failing
