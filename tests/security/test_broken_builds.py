"""Each proof fails on a build of the package that breaks what it proves."""

from __future__ import annotations

import os
import pkgutil
import shutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from uuid import uuid4

import pytest

from tests import fresh_pytest
from tests.databases import address_of, why_it_does_not_answer

from . import builds
from .builds import Build

ROOT = Path(__file__).parent.parent.parent
TESTS_FAILED = 1


def all_builds() -> Iterator[Build]:
    for module in pkgutil.iter_modules(builds.__path__):
        yield from import_module(f"{builds.__name__}.{module.name}").BUILDS


def name_of(build: Build) -> str:
    return f"{build.file}-{build.proof.rpartition('::')[2]}"


@pytest.mark.parametrize("build", list(all_builds()), ids=name_of)
def test_the_proof_fails_on_the_broken_build(build: Build, tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_ADDOPTS": "--hypothesis-profile=first_failure",
    }
    environment.pop("DATABASE_URL", None)
    if build.server:
        if reason := why_it_does_not_answer(build.server):
            pytest.skip(reason)
        # A name of its own, for others run beside it. The tests make the database, and drop it.
        address = address_of(build.server).rpartition("/")[0]
        environment["DATABASE_URL"] = f"{address}/{uuid4().hex[:8]}"
    for each in ROOT.iterdir():
        if each.name not in (".git", "twilio_tokens"):
            (tmp_path / each.name).symlink_to(each)
    shutil.copytree(ROOT / "twilio_tokens", tmp_path / "twilio_tokens")
    broken = tmp_path / "twilio_tokens" / build.file
    source = broken.read_text()
    assert source.count(build.old) == 1, f"Not once in {build.file}: {build.old}"
    broken.write_text(source.replace(build.old, build.new))

    options = []
    if build.site:
        for package in getattr(import_module(f"tests.sites.{build.site}"), "NEEDS", []):
            pytest.importorskip(package)
        options = [f"--ds=tests.sites.{build.site}", "-o", "django_debug_mode=keep"]

    # Without migrations, of which none is broken, the database is set up sooner.
    arguments = ["-x", "--no-migrations", *options, build.proof]
    ended = fresh_pytest.run(arguments, tmp_path, environment)

    assert ended.status == TESTS_FAILED, ended.output
    assert " failed" in ended.output.splitlines()[-1], ended.output
