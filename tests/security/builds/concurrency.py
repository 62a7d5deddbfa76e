"""Requests, changes and commands that come at the same moment."""

from __future__ import annotations

from . import Build

POSTGRESQL, MARIADB = "POSTGRESQL_URL", "MARIADB_URL"

LIMIT = "tests/security/test_limit_at_once.py"

BUILDS = [
    # Counts by reading and writing, as REST framework does.
    Build(
        proof=f"{LIMIT}::test_of_a_hundred_requests_at_once_ten_pass[redis.RedisCache-gunicorn]",
        file="throttles.py",
        old="        return self._count(counter) <= self.num_requests\n",
        new="""\
        count = self.cache.get(counter, 0) + 1
        self.cache.set(counter, count, 2 * self.duration)
        return count <= self.num_requests
""",
    ),
    Build(
        proof=f"{LIMIT}::test_of_a_hundred_requests_at_once_ten_pass[db.DatabaseCache-uvicorn]",
        file="throttles.py",
        old='if self._is_locked or self.cache.add(f"{counter}:{place}", True, RACE_SECONDS):',
        new="if True:",
    ),
    Build(
        proof=f"{LIMIT}::test_where_one_period_ends_and_the_next_begins_ten_pass_in_each",
        file="throttles.py",
        old='counter = f"{key}:{start}:{window}"',
        new='counter = f"{key}:{start}"',
    ),
    # A process goes on with what it once read.
    Build(
        proof="tests/security/test_concurrency.py"
        "::test_every_token_verifies_with_the_key_that_signed_at_that_moment[sqlite]",
        file="credential_cache.py",
        old="if loaded_at is not None and now - loaded_at < seconds:",
        new="if loaded_at is not None:",
    ),
    Build(
        proof="tests/test_issuing.py"
        "::test_what_another_process_has_changed_fails_one_request_and_not_the_next",
        file="issuing.py",
        old="        cache.clear()\n",
        new="        pass\n",
    ),
    Build(
        proof="tests/test_credentials.py::test_memberships_are_asked_for_in_each_request",
        file="credentials.py",
        old="        return _group_ids_of(self.user)\n",
        new="        ids = self._cached(self.user.pk, lambda: _group_ids_of(self.user))\n"
        "        return ids or frozenset()\n",
    ),
    Build(
        proof="tests/test_defaults.py"
        "::test_an_account_that_was_overtaken_demotes_nobody_before_it_has_waited",
        file="defaults.py",
        old="if waited_for and self._becomes_default(names):",
        new="if self._becomes_default(names):",
        server=POSTGRESQL,
    ),
    Build(
        proof="tests/test_defaults.py::test_what_a_deadlock_undoes_is_tried_again[undone1]",
        file="saving.py",
        old="TRIES = 5\n",
        new="TRIES = 2\n",
    ),
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
        file="credential_cache.py",
        old="            is_current = generation == self._generation and not (\n",
        new="            is_current = not (\n",
    ),
]
