"""The tests on each Python that is supported and found here: what ``make matrix`` runs.

For a part of it: ``nox --python 3.12 -- tests/test_sids.py``.
"""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import nox

nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = False

LOWEST = "lowest"
VERSIONS = [
    ("3.10", LOWEST),
    ("3.11", "5.2"),
    ("3.12", "6.1"),
    ("3.13", "5.2"),
    ("3.13", "6.1"),
    ("3.14", "6.1"),
]
# The sites of tests/sites are slower: they run at both ends, and all of them only here.
ALL_SITES = ("3.12", "6.1")


@nox.session
@nox.parametrize("python, django", VERSIONS)
def tests(session: nox.Session, django: str) -> None:
    constraints = Path(session.create_tmp(), "constraints.txt")
    versions = lowest_versions() if django == LOWEST else [f"Django=={django}.*"]
    constraints.write_text("\n".join(versions))
    extra = "sites" if (session.python, django) == ALL_SITES else "test"
    session.install("--constraint", str(constraints), "--editable", f".[{extra}]")
    without = [] if extra == "sites" or django == LOWEST else ["--ignore=tests/test_sites.py"]
    session.run("pytest", "--numprocesses=auto", "--dist=worksteal", *without, *session.posargs)


def lowest_versions() -> list[str]:
    """Of what the package needs, by setup.cfg."""
    setup = ConfigParser()
    setup.read("setup.cfg")
    return [need.replace(">=", "==") for need in setup["options"]["install_requires"].split()]
