"""pytest in a process of its own, with other settings or with another build of the package.

It loads no plugin that these tests do not use: that would take longer than many tests. The process
is forked off one that has imported what needs no settings.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

PLUGINS = ("pytest_django.plugin", "time_machine", "_hypothesis_pytestplugin", "no:cacheprovider")
OPTIONS = ["-q", *(f"-p{each}" for each in PLUGINS)]
VARIABLES = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
IMPORTED = [
    "cryptography.hazmat.primitives.ciphers.aead",
    "django.contrib.admin",
    "django.test",
    "hypothesis",
    "jsonschema",
    "jwt",
    "pytest",
    "requests",
    "rest_framework.settings",
    "twilio.jwt.access_token.grants",
    "yaml",
]

_processes = get_context("forkserver")
_processes.set_forkserver_preload(IMPORTED)


@dataclass(frozen=True)
class Ended:
    status: int | None
    output: str


def run(arguments: list[str], folder: Path, variables: dict[str, str]) -> Ended:
    """``python -m pytest`` in ``folder``, with no other variables of the environment."""
    with TemporaryDirectory() as temporary:
        output = Path(temporary, "output")
        process = _processes.Process(target=_run, args=(arguments, folder, variables, output))
        process.start()
        process.join()
        return Ended(process.exitcode, output.read_text())


def _run(arguments: list[str], folder: Path, variables: dict[str, str], output: Path) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.environ.clear()
    os.environ.update(variables | VARIABLES)
    os.chdir(folder)
    # This module and its package, which are those of the tests that started this.
    for name in [each for each in sys.modules if each.partition(".")[0] == "tests"]:
        del sys.modules[name]
    paths = variables.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [str(folder), *filter(None, paths)]
    sys.exit(int(pytest.main([*OPTIONS, *arguments])))
