"""The walls of the house: imports point down only, and what needs care has one importer.

Each module has its own list of banned imports, which ruff cannot be told in one configuration.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "twilio_tokens"

# From the ground up: a module never imports its own level or a higher one.
LEVELS = [
    {"exceptions"},
    {"conf"},
    {"crypto", "sids", "token_text"},
    {"fields", "saving"},
    {"defaults"},
    {"models"},
    {
        "credentials",
        "grants",
        "identity",
        "migrations",
        "signals",
        "signing",
        "twilio_api",
    },
    {"decoding", "issuing", "key_status", "verification"},
    {"offers"},
    {"error_reports", "parsers", "serializers", "throttles", "token_forms"},
    {"overview"},
    {"admin", "forms", "management", "templatetags", "views"},
    {"apps", "checks", "urls"},
]
HOUSE = set().union(*LEVELS)
SAME_LEVEL = {"admin": "forms", "apps": "checks"}

# Up to offers, nothing knows of HTTP.
WEB = {"rest_framework", "django.http", "django.contrib.admin"}
HIGHEST_WITHOUT_WEB = 7

ONLY_IMPORTER = {
    "cryptography": "crypto",
    "twilio.jwt.access_token.AccessToken": "signing",
    "twilio.rest": "twilio_api",
}

MODULES = {
    path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")
} - {"__init__"}


def banned(module: str) -> set[str]:
    level = next(level for level, modules in enumerate(LEVELS) if module in modules)
    not_lower = set().union(*LEVELS[level:]) - {SAME_LEVEL.get(module)}
    if (PACKAGE / module).is_dir():
        not_lower.discard(module)
    return (
        {f"twilio_tokens.{name}" for name in not_lower}
        | {name for name, importer in ONLY_IMPORTER.items() if importer != module}
        | (WEB if level <= HIGHEST_WITHOUT_WEB else set())
    )


def test_each_module_has_a_level() -> None:
    assert HOUSE >= MODULES


@pytest.mark.parametrize("module", sorted(MODULES & HOUSE))
def test_a_module_imports_only_what_its_level_allows(module: str) -> None:
    rules = ", ".join(f'"{name}" = {{msg = "see {__name__}"}}' for name in sorted(banned(module)))
    path = PACKAGE / module
    ruff = subprocess.run(
        [
            *(sys.executable, "-m", "ruff", "check", "--isolated", "--ignore-noqa"),
            *("--select", "TID251", "--output-format", "concise"),
            *("--config", f"lint.flake8-tidy-imports.banned-api = {{{rules}}}"),
            path if path.is_dir() else path.with_suffix(".py"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ruff.returncode == 0, ruff.stdout + ruff.stderr
