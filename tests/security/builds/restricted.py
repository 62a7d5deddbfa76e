"""What was for the members of a group."""

from __future__ import annotations

from . import Build

BUILDS = [
    Build(
        proof="tests/test_models_restricted.py::test_it_stays_closed_when_its_last_group_is_deleted",
        file="credentials.py",
        old='return not getattr(entry.resource, "is_restricted", False)',
        new="return True",
    ),
    Build(
        proof="tests/test_models_restricted.py::test_it_stays_closed_when_its_last_group_is_deleted",
        file="credentials.py",
        old="models.Q(groups=None, is_restricted=False)",
        new="models.Q(groups=None)",
    ),
    Build(
        proof="tests/test_models_restricted.py::"
        "test_it_stays_closed_however_the_groups_are_deleted[by_sql]",
        file="models/restricted.py",
        old="update(is_restricted=is_restricted)",
        new="count()",
    ),
    Build(
        proof="tests/test_models_restricted.py::"
        "test_groups_that_were_let_in_without_a_signal_close_it_as_well",
        file="models/restricted.py",
        old="filter(groups=instance).update(is_restricted=True)",
        new="filter(groups=instance).count()",
    ),
    Build(
        proof="tests/test_models_restricted.py::"
        "test_admins_see_that_it_is_closed_and_open_it_by_a_tick[ChatService]",
        file="admin/resources.py",
        old='if form.cleaned_data.get("reopen") and row.is_closed:',
        new="if row.is_closed:",
    ),
]
