"""What a release contains, and what it says of itself."""

from __future__ import annotations

import re
import tarfile
import zipfile
from configparser import ConfigParser
from io import BytesIO
from pathlib import Path
from runpy import run_path

import pytest

from supply.dist import (
    CLIENT,
    ROOT,
    faults_of_npm,
    faults_of_sdist,
    faults_of_wheel,
    version_of,
    with_absolute_links,
)

SETUP = ConfigParser()
SETUP.read(ROOT / "setup.cfg")

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


def test_the_version_of_a_release_is_that_of_the_package() -> None:
    package = run_path(str(ROOT / "twilio_tokens/__init__.py"))
    assert version_of(ROOT) == package["__version__"]


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
