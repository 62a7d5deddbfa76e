"""Who gets a token, and for how long."""

from __future__ import annotations

from . import Build

BUILDS = [
    Build(
        proof="tests/test_issuing.py::test_other_lifetimes_are_refused",
        file="issuing.py",
        old="    if ttl > longest:\n",
        new="    if ttl > longest * 2:\n",
    ),
]
