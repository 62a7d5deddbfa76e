"""Test tokens that act as another user."""

from __future__ import annotations

from . import Build

TESTS = "tests/test_admin_impersonation.py"

BUILDS = [
    Build(
        proof=f"{TESTS}::test_nobody_acts_as_a_user_with_more_rights[a_superuser]",
        file="admin/token_forms.py",
        old="if not _has_all_rights_of(self.issued_by, user):",
        new="if False:",
    ),
    Build(
        proof=f"{TESTS}::test_a_token_of_another_user_lives_for_an_hour_at_most",
        file="admin/token_forms.py",
        old="LONGEST_FOR_ANOTHER_USER = 3_600",
        new="LONGEST_FOR_ANOTHER_USER = 86_400",
    ),
    Build(
        proof=f"{TESTS}::test_test_tokens_count_as_requests_of_who_issues_them",
        file="admin/token_forms.py",
        old="if not throttle.allow_user(self.issued_by):",
        new="if False:",
    ),
    Build(
        proof=f"{TESTS}::test_the_history_of_the_user_says_who_had_a_token",
        file="admin/token_forms.py",
        old="if user != self.issued_by:",
        new="if False:",
    ),
]
