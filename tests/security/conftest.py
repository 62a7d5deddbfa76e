from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .failures import Failing, made_to_fail


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Failing]:
    with made_to_fail(monkeypatch, settings) as failing:
        yield failing
