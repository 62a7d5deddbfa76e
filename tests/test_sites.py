"""The app on sites as they exist: each module of settings in ``tests/sites`` is one.

The main paths of ``tests/sites/test_main_paths.py``, and ``test_<site>.py`` where there is one,
are taken on each, in a process of its own.
"""

from __future__ import annotations

import importlib
import os
import socket
from pathlib import Path

import pytest

from . import fresh_pytest

SITES = Path(__file__).parent / "sites"


def is_site(path: Path) -> bool:
    return "\nfrom tests.settings import *" in path.read_text()


@pytest.mark.parametrize("site", sorted(each.stem for each in SITES.glob("*.py") if is_site(each)))
def test_the_main_paths_work_on_this_site(site: str) -> None:
    settings = importlib.import_module(f"tests.sites.{site}")
    for package in getattr(settings, "NEEDS", []):
        pytest.importorskip(package)
    if port := getattr(settings, "NEEDS_SERVER", None):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                pytest.skip(f"No server answers at port {port}.")
    tests = [SITES / "test_main_paths.py", SITES / f"test_{site}.py"]
    options = [f"--ds=tests.sites.{site}", "-o", "django_debug_mode=keep"]
    arguments = options + [str(each) for each in tests if each.exists()]
    ended = fresh_pytest.run(arguments, SITES.parent.parent, {**os.environ})
    assert ended.status == 0, ended.output
