"""Builds of the package that are broken on purpose, and the tests that have to notice.

Each module here has ``BUILDS``. ``tests/security/test_broken_builds.py`` makes them all.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Build:
    """The package with one text replaced, so that a claim is no longer true."""

    #: The test that must fail, from the project's root: ``tests/test_sids.py::test_x``.
    proof: str
    #: The file to break, inside ``twilio_tokens``.
    file: str
    #: Stands there exactly once.
    old: str
    new: str
    #: ``POSTGRESQL_URL`` or ``MARIADB_URL`` where the test needs that server, as in the Makefile.
    server: str = ""
    #: The site of ``tests/sites`` that the test is run on, if not the usual one.
    site: str = ""
