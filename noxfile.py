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
NEWEST = ("3.12", "6.1")


def without(*names: str) -> list[str]:
    return [f"--ignore=tests/{name}" for name in names]


# What is about servers, processes and the files of the repository: "make test" runs it, on one
# Python.
ONCE = without(
    "how_to",
    *(
        f"security/test_{name}.py"
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
    ),
    *(
        f"test_{name}.py"
        for name in (
            "benchmarks",
            "contributing",
            "deploy",
            "docs",
            "explanation",
            "front_door",
            "mutants",
            "operations",
            "readme",
            "reference",
            "scale",
            "scale_plans",
            "supply",
            "supply_dist",
            "supply_npm",
            "translations",
            "troubleshooting",
            "tutorial",
            "twilio_node",
        )
    ),
)
# What takes long and depends on Django: "make test" runs it, and so does the newest Django here.
TWICE = without("security", "test_example_project.py", "test_servers.py", "test_sites.py")


@nox.session
@nox.parametrize("python, django", VERSIONS)
def tests(session: nox.Session, django: str) -> None:
    is_newest = (session.python, django) == NEWEST
    if django == "lowest":
        build = "requirements/build.txt"
        session.install("--require-hashes", "-r", build, "-r", LOWEST)
        session.install("--no-deps", "--no-build-isolation", "--editable", ".")
    else:
        extra = "sites" if is_newest else "test"
        newest = ("--upgrade", "--upgrade-strategy=eager")
        session.install(*newest, "--editable", f".[{extra}]", f"Django=={django}.*")
    left_out = ONCE if is_newest else [*ONCE, *TWICE]
    session.run("pytest", "--numprocesses=auto", "--dist=worksteal", *left_out, *session.posargs)
