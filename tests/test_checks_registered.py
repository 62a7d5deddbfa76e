"""Each check runs where its page says: always, or with ``--deploy``."""

from __future__ import annotations

from django.core.checks.registry import registry

ALWAYS = {
    "check_cache_counts",
    "check_callables",
    "check_character_sets",
    "check_cors",
    "check_debug_toolbar",
    "check_key_ring",
    "check_other_settings",
    "check_rest_framework",
    "check_routers",
    "check_setting_names",
    "check_ttls",
}
ON_DEPLOYMENT = {
    "check_authentication",
    "check_cache_is_shared",
    "check_cache_timeout",
    "check_error_reports",
    "check_fixtures",
    "check_https",
    "check_keys_are_random",
    "check_keys_of_their_own",
    "check_limits",
    "check_sqlite",
    "check_username_is_chosen",
    "check_usernames_are_not_empty",
    "check_usernames_are_one_persons",
    "check_usernames_stay",
    "check_who_is_let_in",
}


def ours(*, deployment: bool) -> set[str]:
    checks = registry.get_checks(include_deployment_checks=deployment)
    return {each.__name__ for each in checks if each.__module__.startswith("twilio_tokens.checks")}


def test_each_check_runs_when_it_should() -> None:
    assert ours(deployment=False) == ALWAYS
    assert ours(deployment=True) == ALWAYS | ON_DEPLOYMENT
