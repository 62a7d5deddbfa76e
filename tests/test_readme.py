"""What the README promises."""

from __future__ import annotations

import re
from pathlib import Path

import twilio_tokens

REPOSITORY = Path(__file__).resolve().parent.parent
README = (REPOSITORY / "README.md").read_text()


def test_the_make_targets_of_the_readme_are_those_of_the_makefile() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    named = set(re.findall(r"\bmake ([\w-]+)", README)) - {"and"}
    assert named <= set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    assert {"demo", "test", "docs"} <= named


def test_the_versions_of_the_readme_are_those_of_setup_cfg() -> None:
    setup = (REPOSITORY / "setup.cfg").read_text()
    djangos = re.findall(r"Framework :: Django :: (.+)", setup)
    pythons = re.findall(r"Python :: (3\.\d+)", setup)
    assert f"Django {' and '.join(djangos)}, Python {pythons[0]} to {pythons[-1]}, " in README


def test_a_chooser_reads_it_in_two_minutes() -> None:
    assert len(README.split()) < 1_200


def test_the_version_is_said_once() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", twilio_tokens.__version__)
    assert "version = attr: twilio_tokens.__version__" in (REPOSITORY / "setup.cfg").read_text()


def test_the_versions_that_get_security_fixes_are_those_of_setup_cfg() -> None:
    setup = (REPOSITORY / "setup.cfg").read_text()
    policy = (REPOSITORY / "SECURITY.md").read_text()
    djangos = re.findall(r"Framework :: Django :: (.+)", setup)
    pythons = re.findall(r"Python :: (3\.\d+)", setup)
    assert f"tested with: {' and '.join(djangos)}, each" in policy
    assert f"| Python | {pythons[0]} to {pythons[-1]}, " in policy
