"""Requests, changes and commands that come at the same moment."""

from __future__ import annotations

from . import Build

POSTGRESQL, MARIADB = "POSTGRESQL_URL", "MARIADB_URL"

BUILDS = [
    Build(
        proof="tests/test_defaults.py::test_concurrent_saves_leave_one_default_and_do_not_fail"
        "[Account]",
        file="defaults.py",
        old="                    waited_for = self._lock(using)\n",
        new="                    waited_for = 0\n",
        server=POSTGRESQL,
    ),
    Build(
        proof="tests/test_admin_at_once.py::test_of_six_replacements_of_a_key_one_takes_over"
        "[False]",
        file="admin/replacing.py",
        old="    if not _active(form.replaced).update(is_active=True):\n",
        new="    if not form.replaced.is_active:\n",
        server=MARIADB,
    ),
    Build(
        proof="tests/test_command_reencrypt.py"
        "::test_a_secret_that_was_saved_meanwhile_is_encrypted_too",
        file="management/commands/twilio_reencrypt.py",
        old="filter(pk=key.pk, secret=key.secret)",
        new="filter(pk=key.pk)",
    ),
    Build(
        proof="tests/test_credentials.py"
        "::test_what_was_loaded_while_another_thread_committed_is_not_kept",
        file="credentials.py",
        old="            is_current = generation == self._generation and not (\n",
        new="            is_current = not (\n",
    ),
]
