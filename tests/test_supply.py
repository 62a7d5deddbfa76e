"""What comes in with ``make`` and what goes out in a release."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from supply import audit
from supply.audit import NoAnswerError, read_npm, read_pip_audit
from supply.locks import REQUIREMENTS, Pin, pins

ROOT = REQUIREMENTS.parent
FILES = sorted(each.name for each in REQUIREMENTS.glob("*.txt"))
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")

SETUP = ConfigParser()
SETUP.read(ROOT / "setup.cfg")
OURS = SETUP["metadata"]["name"]
EXTRAS = SETUP["options.extras_require"]


def needs(*extras: str, on: str) -> list[Requirement]:
    """What the package and these extras ask for on a version of Python, by setup.cfg."""
    stated = [SETUP["options"]["install_requires"], *(EXTRAS[each] for each in extras)]
    lines = "\n".join(stated).splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return [each for each in requirements if each.name != OURS and is_for(on, each)]


def is_for(python: str, requirement: Requirement) -> bool:
    here = {"python_version": python, "python_full_version": f"{python}.9"}
    here |= {"sys_platform": "linux", "platform_python_implementation": "CPython"}
    return requirement.marker is None or requirement.marker.evaluate(here)


def pinned(need: Requirement, among: list[Pin], on: str) -> list[str]:
    name = canonicalize_name(need.name)
    return [each.version for each in among if each.name == name and is_for(on, each.requirement)]


def test_make_installs_only_what_is_pinned() -> None:
    makefile = (ROOT / "Makefile").read_text()
    lines = [line for line in makefile.splitlines() if "$(PIP) " in line]
    assert len(lines) == 2
    assert makefile.count("pip install") == 1
    assert all("--require-hashes" in line or "--no-deps" in line for line in lines)


@pytest.mark.parametrize("file", FILES)
def test_everything_is_pinned_with_hashes(file: str) -> None:
    assert pins(file)
    for each in pins(file):
        assert each.hashes, each.name
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in each.hashes)


@pytest.mark.parametrize("file", FILES)
def test_no_lock_names_an_address(file: str) -> None:
    text = (REQUIREMENTS / file).read_text()
    assert "://" not in text
    assert re.findall(r"^-", text, re.MULTILINE) == []


@pytest.mark.parametrize(
    "file", ["example_project/package-lock.json", "tests/node/package-lock.json"]
)
def test_the_npm_locks_have_hashes_and_no_addresses(file: str) -> None:
    packages = json.loads((ROOT / file).read_text())["packages"]
    assert len(packages) > 1
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert not name or package["integrity"].startswith("sha512-"), name


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    ("file", "extras"),
    [
        ("development.txt", tuple(EXTRAS)),
        ("example.txt", ("example",)),
        ("lowest.txt", ("cors", "env", "schema", "test")),
    ],
)
def test_the_locks_fit_setup_cfg(file: str, extras: tuple[str, ...], python: str) -> None:
    """Where they do not: make lock."""
    among = pins(file)
    for need in needs(*extras, on=python):
        versions = pinned(need, among, python)
        assert len(versions) == 1, need
        assert need.specifier.contains(versions[0]), need


def test_what_the_example_runs_is_what_was_tested() -> None:
    tested = {(each.name, each.version) for each in pins("development.txt")}
    assert {(each.name, each.version) for each in pins("example.txt")} <= tested


def test_the_lowest_versions_are_those_that_setup_cfg_allows() -> None:
    python, among = PYTHONS[0], pins("lowest.txt")
    for need in needs("cors", "env", "schema", "test", on=python):
        (bound,) = [Version(each.version) for each in need.specifier if each.operator == ">="]
        (version,) = pinned(need, among, python)
        assert Version(version).release[: len(bound.release)] == bound.release, need


def test_releases_are_built_with_what_is_pinned() -> None:
    (stated,) = re.findall(
        r'^requires = \["(.*)"\]$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert (REQUIREMENTS / "build.in").read_text().strip() == stated
    (setuptools,) = pins("build.txt")
    assert Requirement(stated).specifier.contains(setuptools.version)


# It tells what happens while the modules of the package are imported.
IMPORTS = """
import sys
happened = []
# urllib3 makes a socket to see whether there is IPv6, and asks nobody.
WATCHED = ("socket.connect", "socket.get", "socket.send", "subprocess.", "os.exec",
           "os.posix_spawn", "os.system")

def watch(event, arguments):
    if event.startswith(WATCHED):
        happened.append(event)
    elif event == "open" and arguments[1] and set("wax+") & set(arguments[1]):
        happened.append(f"{event} {arguments[0]}")

import django
import django.conf
import importlib
import pkgutil
django.conf.settings.configure(
    INSTALLED_APPS=[
        "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
        "django.contrib.messages", "rest_framework", "drf_spectacular", "twilio_tokens",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
sys.addaudithook(watch)
django.setup()
import twilio_tokens
names = [each.name for each in pkgutil.walk_packages(twilio_tokens.__path__, "twilio_tokens.")]
for name in names:
    importlib.import_module(name)
assert len(names) > 50, names
assert not happened, happened
"""


def test_importing_the_package_asks_nobody_starts_no_process_and_writes_no_file() -> None:
    command = [sys.executable, "-B", "-c", IMPORTS]
    run = subprocess.run(command, cwd=Path.cwd(), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


# As pip-audit 2.10 and npm 11 write it.
SOUND = {"name": "six", "version": "1.17.0", "vulns": []}
UNKNOWN = {"name": "six", "skip_reason": "Dependency not found"}
ADVISORY = {"id": "PYSEC-1", "fix_versions": ["2.0"], "aliases": ["CVE-2026-1"]}
VULNERABLE = {"name": "old", "version": "1.0", "vulns": [ADVISORY]}


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ([SOUND], []),
        ([SOUND, VULNERABLE], [("old", ["CVE-2026-1"])]),
        ([UNKNOWN, VULNERABLE], [("six", ["Dependency not found"]), ("old", ["CVE-2026-1"])]),
    ],
)
def test_the_audit_tells_what_is_known(answers: list[object], found: object) -> None:
    assert read_pip_audit(json.dumps({"dependencies": answers, "fixes": []}), "") == found


@pytest.mark.parametrize(
    ("output", "errors"),
    [
        ("", "…\nrequests.exceptions.ConnectionError: HTTPSConnectionPool(…)"),
        ("", "ERROR:pip_audit._cli:Tip: your network may be blocking this service."),
        (json.dumps({"dependencies": [UNKNOWN, UNKNOWN]}), "No known vulnerabilities found"),
    ],
)
def test_an_audit_without_an_answer_is_no_clean_audit(output: str, errors: str) -> None:
    with pytest.raises(NoAnswerError):
        read_pip_audit(output, errors)


def test_an_audit_that_breaks_is_not_taken_for_a_silent_registry() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        read_pip_audit("", "TypeError: …")


def test_npm_tells_what_is_known_or_that_it_was_not_told() -> None:
    known = {"name": "old", "severity": "high", "via": [{"title": "Prototype pollution"}, "older"]}
    answer = {"auditReportVersion": 2, "vulnerabilities": {"old": known}, "metadata": {}}
    assert read_npm(json.dumps(answer)) == [("old", ["Prototype pollution", "older"])]
    assert read_npm(json.dumps(answer | {"vulnerabilities": {}})) == []
    with pytest.raises(NoAnswerError, match="405 Method Not Allowed"):
        read_npm(json.dumps({"message": "405 Method Not Allowed - POST …", "error": {}}))


def test_what_is_found_fails_the_audit_and_what_was_not_asked_does_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def silent(directory: Path) -> audit.Found:
        raise NoAnswerError("Nobody answers.")

    monkeypatch.setattr(audit, "of_npm", silent)
    monkeypatch.setattr(audit, "of_python", lambda pins: [])
    with pytest.raises(SystemExit, match="0"):
        audit.main()
    (accepted, *_) = audit.ACCEPTED
    monkeypatch.setattr(audit, "of_python", lambda pins: [("old", [accepted, "CVE-2026-1"])])
    capsys.readouterr()
    with pytest.raises(SystemExit, match="1"):
        audit.main()
    assert capsys.readouterr().out.splitlines() == [
        "Python packages that make installs: 1 vulnerable",
        f"  old: {accepted}, CVE-2026-1",
        "Python packages at their lower bounds: 1 vulnerable",
        "  old: CVE-2026-1",
        "SKIPPED: the audit of the npm packages of example_project. Nobody answers.",
        "SKIPPED: the audit of the npm packages of tests/node. Nobody answers.",
    ]


def test_the_lower_bounds_that_are_audited_are_those_of_sites() -> None:
    assert {each.name for each in audit.lowest()} == {
        canonicalize_name(each.name) for each in needs("cors", "env", "schema", on="3.13")
    }
