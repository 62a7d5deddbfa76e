"""Which tests are to notice a fault in which module: its own, and the few others that prove it."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent.parent.parent / "twilio_tokens"
LEAST = 95  #: percent of the faults that the tests notice

#: Tests that take longer than all others, and notice no more.
TOO_LONG = ["tests/test_issuing.py::test_ten_thousand_tokens_of_one_second_have_ten_thousand_ids"]

#: The pages of the console.
LEFT_OUT = ("admin",)
#: What Django wrote has no functions.
GENERATED = ("__init__.py", "migrations/*.py")

API = "views serializers parsers throttles offers schema browsable_api"
CHECKS = (
    "checks_registered checks checks_encryption_keys checks_fixtures checks_identities "
    "checks_views checks_debug_toolbar"
)
COUNTS = "hours counting refusals command_rollup"
CORE = "issuing credentials exceptions signals offers"
GRANTS = (
    "identity decoding grants grants_push grants_sync grants_taskrouter grants_video grants_voice "
    "issuing"
)
IMPORT = "command_import_env"
ROWS = "migrations defaults saving models models_restricted fields verification"
TERMINAL = "commands command_decode command_purge command_reencrypt command_token command_verify"
TWILIO = "twilio_api verification"
TESTS = {
    "apps": "schema credentials conf refusals",
    "characters": "characters",
    "checks/caches": CHECKS,
    "checks/databases": CHECKS,
    "checks/encryption_keys": CHECKS,
    "checks/error_reports": CHECKS,
    "checks/fixtures": CHECKS,
    "checks/identities": CHECKS,
    "checks/settings": CHECKS,
    "checks/views": CHECKS,
    "checks/web": CHECKS,
    "codes": "codes",
    "conf": "conf",
    "counting": COUNTS,
    "credential_cache": CORE,
    "credentials": CORE,
    "crypto": "crypto checks_encryption_keys",
    "decoding": GRANTS,
    "defaults": ROWS,
    "error_answers": API,
    "error_reports": "error_reports admin_database_failures",
    "exceptions": CORE,
    "fields/names": "fields",
    "fields/sealed": "fields",
    "grants/base": GRANTS,
    "grants/chat": GRANTS,
    "grants/fields": GRANTS,
    "grants/identity_rule": GRANTS,
    "grants/push": GRANTS,
    "grants/sync": GRANTS,
    "grants/taskrouter": GRANTS,
    "grants/video": GRANTS,
    "grants/voice": GRANTS,
    "health": "health",
    "hours": COUNTS,
    "identity": f"{GRANTS} security/identities",
    "issuing": f"{CORE} outcomes metrics",
    "management/commands/twilio_decode": TERMINAL,
    "management/commands/twilio_generate_key": "command_generate_key",
    "management/commands/twilio_import_env": IMPORT,
    "management/commands/twilio_purge": TERMINAL,
    "management/commands/twilio_reencrypt": TERMINAL,
    "management/commands/twilio_rollup": COUNTS,
    "management/commands/twilio_token": TERMINAL,
    "management/commands/twilio_verify": TERMINAL,
    "management/terminal": TERMINAL,
    "management/variables": IMPORT,
    "metrics": "metrics",
    "migrations/0003_only_push_credentials_are_defaults": "migrations",
    "migrations/0004_restricted_resources_stay_closed": "migrations",
    "models/accounts": ROWS,
    "models/checked": ROWS,
    "models/counts": f"{COUNTS} migrations",
    "models/issued_tokens": ROWS,
    "models/resources": ROWS,
    "models/restricted": ROWS,
    "offers": API,
    "outcomes": "outcomes metrics",
    "parsers": API,
    "pytest_plugin": "pytest_plugin",
    "refusals": COUNTS,
    "renderers": f"{API} renderers",
    "saving": ROWS,
    "schema": "schema",
    "serializers/answers": API,
    "serializers/fields": API,
    "serializers/requests": f"{API} outcomes",
    "sids": "sids",
    "signals": CORE,
    "signing": CORE,
    "templatetags/twilio_tokens_overview": "admin_page",
    "testing/access_tokens": "testing_access_tokens testing_times",
    "testing/factories": "testing",
    "throttles": "throttles admin_impersonation",
    "token_text": GRANTS,
    "twilio_api": TWILIO,
    "urls": API,
    "verification": f"{TWILIO} metrics",
    "views": f"{API} renderers",
}


def modules() -> list[str]:
    """All that are tried; of the packages' own modules those that do more than import."""
    return [
        str(path.relative_to(PACKAGE).with_suffix(""))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.relative_to(PACKAGE).parts[0] not in LEFT_OUT
        and (not any(map(path.match, GENERATED)) or "def " in path.read_text())
    ]


def files_for(module: str) -> list[str]:
    paths = [Path("tests", name) for name in TESTS[module].split()]
    return [str(path.with_name(f"test_{path.name}.py")) for path in paths]
