"""What fails around the app: databases, caches, clocks, functions of the site, Twilio."""

from __future__ import annotations

from . import Build

FILES = "tests/security/test_faults.py"
CACHE = "tests/security/test_faults_cache.py"
CLOCK = "tests/security/test_faults_clock.py"
COMMANDS = "tests/security/test_faults_commands.py"
DATABASE = "tests/security/test_faults_database.py"
TWILIO = "tests/security/test_faults_twilio.py"

GONE = "test_a_database_that_cannot_be_read_gets_an_answer_and_the_next_request_works"
UNWRITABLE = "test_what_cannot_be_recorded_is_not_issued_and_the_console_is_shown"
LOST = "test_a_connection_that_is_lost_in_the_middle_of_a_request_gets_an_answer"
UNCOUNTED = "test_what_is_not_counted_is_not_issued_and_the_next_request_works"
RAISES = "test_a_function_that_raises_gets_an_answer_and_the_next_request_works"
HANGS = "test_a_function_that_hangs_is_ended_with_its_request_and_the_next_request_works"
LIES = "test_every_door_says_so_and_stays_open"

BUILDS = [
    Build(
        proof=f"{FILES}::{GONE}[locked]",
        file="views.py",
        old="if not isinstance(exc, ANSWERED):",
        new="if isinstance(exc, LookupError):",
    ),
    Build(
        proof="tests/test_views.py::test_a_bug_of_a_sites_own_viewset_is_told_in_the_log_only",
        file="views.py",
        old="if not isinstance(exc, ANSWERED):",
        new="if isinstance(exc, LookupError):",
    ),
    Build(
        proof="tests/test_views.py::test_a_permission_that_raises_is_told_in_the_log_only",
        file="views.py",
        old="if not isinstance(exc, ANSWERED):",
        new="if isinstance(exc, LookupError):",
    ),
    Build(
        proof="tests/test_views.py::test_what_a_sites_own_throttle_cannot_count_is_not_issued",
        file="views.py",
        old="        except Exception as error:  # what the cache",
        new="        except ArithmeticError as error:  # what the cache",
    ),
    Build(
        proof=f"{FILES}::{GONE}[missing]",
        file="admin/credential_admin.py",
        old="hide_posted_secrets(tells_of_failures(each.callback))",
        new="hide_posted_secrets(each.callback)",
    ),
    Build(
        proof=f"{FILES}::{UNWRITABLE}[full]",
        file="issuing.py",
        old="        try:\n            record.save(force_insert=True)\n",
        new="        from contextlib import suppress\n\n"
        "        try:\n            with suppress(Exception):\n"
        "                record.save(force_insert=True)\n",
    ),
    Build(
        proof=f"{FILES}::{UNWRITABLE}[locked]",
        file="saving.py",
        old="return transaction.atomic(using=using) if is_needed else nullcontext()",
        new="return transaction.atomic(using=using)",
    ),
    Build(
        proof=f"{DATABASE}::{LOST}[twilio_tokens_issuedtoken-audit_unavailable-hung_up_on]",
        file="issuing.py",
        old="except Exception as error:  # the database's, or a receiver's: no record, no token",
        new="except ArithmeticError as error:",
    ),
    Build(
        proof=f"{FILES}::{RAISES}[identity-not_configured]",
        file="conf.py",
        old="except Exception as error:  # whatever the site's code raises",
        new="except Exception:\n        return arguments[0]\n    except RuntimeError as error:",
    ),
    Build(
        proof="tests/test_signals.py::test_a_receiver_that_raises_is_logged_and_changes_nothing",
        file="issuing.py",
        old="access_token_issued.send_robust(",
        new="access_token_issued.send(",
    ),
    Build(
        proof="tests/test_outcomes.py::test_a_receiver_that_raises_is_logged_and_changes_nothing",
        file="outcomes.py",
        old="access_token_refused.send_robust(",
        new="access_token_refused.send(",
    ),
    Build(
        proof=f"{FILES}::{HANGS}[identity-0]",
        file="conf.py",
        old="except Exception as error:  # whatever the site's code raises",
        new="except BaseException as error:",
    ),
    Build(
        proof=f"{CACHE}::{UNCOUNTED}[killed]",
        file="throttles.py",
        old="except Exception as error:  # whatever the client of the site's cache raises",
        new="except Exception:\n            return True\n        except RuntimeError as error:",
    ),
    Build(
        proof=f"{CACHE}::{UNCOUNTED}[out of memory]",
        file="throttles.py",
        old="except Exception as error:  # whatever the client of the site's cache raises",
        new="except Exception:\n            return True\n        except RuntimeError as error:",
    ),
    Build(
        proof=f"{CLOCK}::test_a_clock_that_is_set_locks_nobody_out[memory-day fast]",
        file="throttles.py",
        old="window = int(elapsed / self.duration)",
        new="window = 0",
    ),
    Build(
        proof=f"{CLOCK}::test_a_clock_that_is_set_prolongs_no_memory_of_a_key[hour slow]",
        file="credential_cache.py",
        old="import time\n",
        new="import time as clock\nfrom types import SimpleNamespace\n\n"
        "time = SimpleNamespace(monotonic=clock.time)\n",
    ),
    Build(
        proof=f"{CLOCK}::test_a_key_that_is_added_while_the_clock_is_slow_signs",
        file="models/accounts.py",
        old="if newest is not None and newest >= self.created_at:",
        new="if newest is None:",
    ),
    Build(
        proof=f"{CLOCK}::test_a_key_that_was_retired_while_the_clock_was_wrong_outlives_its_tokens"
        "[hour slow]",
        file="admin/key_status.py",
        old="return max(longest, last_expiry or longest)",
        new="return longest",
    ),
    Build(
        proof=f"{CLOCK}::test_a_check_goes_on_when_the_clock_is_set_meanwhile[day fast]",
        file="twilio_api.py",
        old="import time\n",
        new="import time as clock\nfrom types import SimpleNamespace\n\n"
        "time = SimpleNamespace(monotonic=clock.time, sleep=clock.sleep)\n",
    ),
    Build(
        proof=f"{COMMANDS}::"
        "test_secrets_of_which_some_are_encrypted_again_all_open_and_the_rest_follows",
        file="management/commands/twilio_reencrypt.py",
        old="def _round(",
        new="from django.db import transaction\n\n\n@transaction.atomic\ndef _round(",
    ),
    Build(
        proof=f"{COMMANDS}::test_a_purge_has_deleted_the_oldest_and_goes_on_where_it_was",
        file="management/commands/twilio_purge.py",
        old="BATCH = 900",
        new="BATCH = 9_000",
    ),
    Build(
        proof=f"{COMMANDS}::test_an_import_stores_nothing_or_everything",
        file="management/commands/twilio_import_env.py",
        old="    with transaction.atomic(using=router.db_for_write(Account)):\n",
        new="    if True:\n",
    ),
    Build(
        proof=f"{TWILIO}::{LIES}[speaks of another account]",
        file="verification.py",
        old='if found["account_sid"] != account.sid:',
        new="if not found:",
    ),
    Build(
        proof=f"{TWILIO}::{LIES}[has lists of nonsense]",
        file="verification.py",
        old="for item in map(texts, items if isinstance(items, list) else [None]):",
        new="for item in items if isinstance(items, list) else []:",
    ),
]
