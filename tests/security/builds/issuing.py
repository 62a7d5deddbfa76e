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
    Build(
        proof="tests/test_grants_voice.py::test_a_site_may_take_no_parameters",
        file="grants/voice.py",
        old="            return policy\n",
        new="            return True\n",
    ),
    Build(
        proof="tests/test_grants_voice.py::test_only_true_is_a_yes",
        file="grants/voice.py",
        old="dict(self.params or {})) is True",
        new="dict(self.params or {}))",
    ),
    Build(
        proof="tests/test_grants_voice.py::test_what_the_function_does_to_the_parameters_is_not_signed",
        file="grants/voice.py",
        old="dict(self.params or {})) is True",
        new="self.params) is True",
    ),
]
