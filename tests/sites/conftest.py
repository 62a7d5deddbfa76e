from __future__ import annotations

import pytest
from django.conf import settings
from django.core.management import call_command


@pytest.fixture(scope="session", autouse=True)
def _static_files_with_hashes() -> None:
    if hasattr(settings, "STATIC_ROOT") and settings.STATIC_ROOT:
        call_command("collectstatic", "--no-input", verbosity=0)
