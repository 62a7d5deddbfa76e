"""What comes in with ``make`` and what goes out in a release."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from io import BytesIO
from pathlib import Path

import polib
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from supply import audit
from supply.audit import NoAnswerError, read_npm, read_pip_audit
from supply.dist import CLIENT, faults_of_npm, faults_of_sdist, faults_of_wheel, with_absolute_links
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


NAME = "django_twilio_tokens"
COMMITTED = {"LICENSE", "setup.py", "twilio_tokens/__init__.py", "twilio_tokens/py.typed"}
WHEEL = {*COMMITTED} - {"LICENSE", "setup.py"} | {
    f"{NAME}-1.dist-info/{each}" for each in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")
}
SCRIPTS, DATA = f"{NAME}-1.dist-info/entry_points.txt", f"{NAME}-1.data/scripts/run"
SDIST = {*COMMITTED} - {"setup.py"} | {"PKG-INFO", f"{NAME}.egg-info/SOURCES.txt"}


@pytest.mark.parametrize(
    ("missing", "added", "fault"),
    [
        (None, None, None),
        ("twilio_tokens/py.typed", None, "The wheel lacks twilio_tokens/py.typed."),
        (f"{NAME}-1.dist-info/licenses/LICENSE", None, "The wheel lacks LICENSE."),
        (None, "twilio_tokens/.env", "The wheel has twilio_tokens/.env."),
        (None, "tests/test_sids.py", "The wheel has tests/test_sids.py."),
        (None, "var/demo.env", "The wheel has var/demo.env."),
        (None, "start.pth", "The wheel has start.pth."),
        (None, DATA, f"The wheel has {DATA}."),
        (None, SCRIPTS, "The wheel has the entry points [console_scripts]."),
    ],
)
def test_a_wheel_has_the_package_and_nothing_that_runs_at_install(
    tmp_path: Path, missing: str | None, added: str | None, fault: str | None
) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        for name in (WHEEL | {added}) - {missing, None}:
            archive.writestr(name, "[pytest11]\n[console_scripts]\nrun = run:main")
    assert faults_of_wheel(tmp_path / "a.whl", COMMITTED) == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("missing", "added", "fault"),
    [
        (None, None, None),
        ("twilio_tokens/py.typed", None, "The sdist lacks twilio_tokens/py.typed."),
        (None, "setup.py", "The sdist has setup.py."),
        (None, ".env", "The sdist has .env."),
        (None, "tests/test_sids.py", "The sdist has tests/test_sids.py."),
        (None, "example_project/urls.py", "The sdist has example_project/urls.py."),
    ],
)
def test_an_sdist_has_only_what_is_committed(
    tmp_path: Path, missing: str | None, added: str | None, fault: str | None
) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for name in (SDIST | {added}) - {missing, None}:
            archive.addfile(tarfile.TarInfo(f"{NAME}-1/{name}"), BytesIO())
    assert faults_of_sdist(tmp_path / "a.tar.gz", COMMITTED) == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("missing", "added", "fault"),
    [
        (None, None, None),
        ("twilio-tokens.d.ts", None, "The npm package lacks twilio-tokens.d.ts."),
        (None, ".env", "The npm package has .env."),
    ],
)
def test_an_npm_package_has_the_client_and_its_types(
    tmp_path: Path, missing: str | None, added: str | None, fault: str | None
) -> None:
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        for name in (CLIENT | {added}) - {missing, None}:
            archive.addfile(tarfile.TarInfo(f"package/{name}"), BytesIO())
    assert faults_of_npm(tmp_path / "a.tgz") == ([fault] if fault else [])


AT = "https://example.com/us"


@pytest.mark.parametrize(
    ("link", "absolute"),
    [
        ("[a](docs/a.md#b)", f"[a]({AT}/blob/v1.2/docs/a.md#b)"),
        ("[a](./deploy/)", f"[a]({AT}/blob/v1.2/deploy/)"),
        ("![a](docs/a.png)", f"![a]({AT}/raw/v1.2/docs/a.png)"),
        ("[![a](a.png)](b.md)", f"[![a]({AT}/raw/v1.2/a.png)]({AT}/blob/v1.2/b.md)"),
        ('<img src="docs/a.png" alt="a">', f'<img src="{AT}/raw/v1.2/docs/a.png" alt="a">'),
        ("[a](#b)", "[a](#b)"),
        ("[a](https://example.org/a.png)", "[a](https://example.org/a.png)"),
        ("[a](mailto:a@example.org)", "[a](mailto:a@example.org)"),
    ],
)
def test_links_of_the_readme_lead_somewhere_from_a_package_index(link: str, absolute: str) -> None:
    assert with_absolute_links(f"See {link}.", AT, "1.2") == f"See {absolute}."


def test_the_readme_of_a_release_has_no_relative_links() -> None:
    readme = with_absolute_links((ROOT / "README.md").read_text(), AT, "1.2")
    assert re.findall(r"\]\((?!https?:|#)[^)]*\)|src=\"(?!https?:)", readme) == []


METADATA = SETUP["metadata"]
CLASSIFIERS = METADATA["classifiers"].split("\n")


def test_the_addresses_of_the_project_are_of_one_place() -> None:
    addresses = dict(each.split(" = ") for each in METADATA["project_urls"].strip().split("\n"))
    assert list(addresses) == ["Documentation", "Source", "Issues", "Changelog"]
    assert all(addresses[each].startswith(addresses["Source"]) for each in ("Issues", "Changelog"))


LANGUAGES = {
    "de": "German",
    "es": "Spanish",
    "fr": "French",
    "ja": "Japanese",
    "pt_BR": "Portuguese (Brazilian)",
}
CATALOGUES = sorted((ROOT / "twilio_tokens/locale").glob("*/LC_MESSAGES/*.po"))


def test_the_languages_that_the_package_claims_are_known() -> None:
    claimed = [each[20:] for each in CLASSIFIERS if each.startswith("Natural Language :: ")]
    assert claimed == sorted(["English", *LANGUAGES.values()])
    assert {each.parent.parent.name for each in CATALOGUES} <= LANGUAGES.keys()


def translated(entries: list[polib.POEntry] | list[polib.MOEntry]) -> set[object]:
    return {
        (each.msgctxt, each.msgid, each.msgid_plural, each.msgstr, *_forms(each))
        for each in entries
    }


def _forms(entry: polib.POEntry | polib.MOEntry) -> list[str]:
    return [text for _number, text in sorted(entry.msgstr_plural.items())]


@pytest.mark.parametrize("po", CATALOGUES, ids=lambda po: f"{po.parent.parent.name}-{po.stem}")
def test_the_compiled_catalogues_are_committed_and_up_to_date(po: Path) -> None:
    """Where they are not: manage.py compilemessages."""
    source, compiled = polib.pofile(str(po)), polib.mofile(str(po.with_suffix(".mo")))
    assert translated(compiled.translated_entries()) == translated(source.translated_entries())


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
