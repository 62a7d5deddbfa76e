"""The tests on every Python that is supported and found here: ``make matrix``.

``nox --session "tests(3.12, django61)" -- tests/test_sids.py`` runs one of them, or a part of it.
"""

from __future__ import annotations

import nox

LOWEST = "lowest"
VERSIONS = [
    ("3.10", LOWEST),
    ("3.11", "5.2"),
    ("3.12", "6.1"),
    ("3.13", "5.2"),
    ("3.13", "6.1"),
    ("3.14", "6.1"),
]
#: They are slower, and are taken once, where most of their packages work.
WITH_SITES = ("3.12", "6.1")


@nox.session(reuse_venv=True)
@nox.parametrize(("python", "django"), VERSIONS)
def tests(session: nox.Session, django: str) -> None: ...
