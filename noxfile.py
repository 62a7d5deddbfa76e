"""The tests on each Python that is supported and found here: what ``make matrix`` runs.

For a part of it: ``nox --python 3.12 -- tests/test_sids.py``.
"""

from __future__ import annotations

import nox

nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = False

# The lowest versions that setup.cfg allows, pinned.
LOWEST = "requirements/lowest.txt"
# With a version of Django: the newest of everything else.
# "make test" is another: on the Python of the working copy, with what is pinned.
VERSIONS = [
    ("3.10", "lowest"),
    ("3.12", "6.1"),
    ("3.13", "5.2"),
    ("3.14", "6.1"),
]
# What is about servers and processes, and tries builds: "make test" runs it, on one Python.
ONCE = [
    f"--ignore=tests/security/test_{name}.py"
    for name in (
        "broken_builds",
        "concurrency",
        "faults",
        "faults_cache",
        "faults_commands",
        "faults_database",
        "limit_at_once",
        "on_the_wire",
        "schemathesis",
    )
] + ["--ignore=tests/how_to", "--ignore=tests/test_tutorial.py"]
# The sites of tests/sites are slower: they run at both ends, and all of them only here.
ALL_SITES = ("3.12", "6.1")


@nox.session
@nox.parametrize("python, django", VERSIONS)
def tests(session: nox.Session, django: str) -> None:
    extra = "sites" if (session.python, django) == ALL_SITES else "test"
    if django == "lowest":
        build = "requirements/build.txt"
        session.install("--require-hashes", "-r", build, "-r", LOWEST)
        session.install("--no-deps", "--no-build-isolation", "--editable", ".")
    else:
        newest = ("--upgrade", "--upgrade-strategy=eager")
        session.install(*newest, "--editable", f".[{extra}]", f"Django=={django}.*")
    without = [] if extra == "sites" or django == "lowest" else ["--ignore=tests/test_sites.py"]
    session.run(
        "pytest", "--numprocesses=auto", "--dist=worksteal", *ONCE, *without, *session.posargs
    )
