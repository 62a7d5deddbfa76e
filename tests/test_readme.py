"""What the prose promises."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from django.core.management import get_commands

import twilio_tokens
from tests.site.models import Stage
from twilio_tokens import conf
from twilio_tokens.grants import registered
from twilio_tokens.management.variables import PURPOSES
from twilio_tokens.views import TokenViewSet  # noqa: F401 - named in the README

REPOSITORY = Path(__file__).resolve().parent.parent
README = (REPOSITORY / "README.md").read_text()
PAGES = [
    REPOSITORY / "README.md",
    REPOSITORY / "SECURITY.md",
    REPOSITORY / "deploy" / "README.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
]
PRODUCTS = ("video", "chat", "voice", "sync", "taskrouter")
SECTIONS = dict(
    re.findall(r"^### `(TWILIO_TOKENS_\w+)`\n(.*?)(?=^##)", README, re.MULTILINE | re.DOTALL)
)


def test_the_settings_of_the_readme_are_those_of_conf() -> None:
    assert tuple(SECTIONS) == conf.NAMES


@pytest.mark.parametrize("name", [each for each in SECTIONS if "Default: `" in SECTIONS[each]])
def test_the_defaults_of_the_readme_are_those_of_conf(name: str, settings: Any) -> None:
    stated = re.search(r"Default:\s+`([^`]+)`", SECTIONS[name])
    assert stated is not None
    if name == "TWILIO_TOKENS_TTL":
        ttls = {product: registered()[product].default_ttl for product in PRODUCTS}
        assert ast.literal_eval(stated[1]) == ttls
        return
    setattr(settings, name, ast.literal_eval(stated[1]))
    attribute = name.removeprefix("TWILIO_TOKENS_").lower()
    with_stated = getattr(conf.settings, attribute)
    delattr(settings, name)
    assert getattr(conf.settings, attribute) == with_stated


@pytest.mark.parametrize("name", SECTIONS)
def test_each_setting_has_its_type_and_an_example_that_names_it(name: str) -> None:
    assert "Type: " in SECTIONS[name]
    example = SECTIONS[name].partition("```python\n")[2].partition("```")[0]
    targets = [node.targets[0] for node in ast.parse(example).body if isinstance(node, ast.Assign)]
    assert [target.id for target in targets if isinstance(target, ast.Name)] == [name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_in_the_prose_is_python(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        ast.parse(dedent(block))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_commands_of_the_readme_are_those_of_the_app() -> None:
    ours = {name for name, app in get_commands().items() if app == "twilio_tokens"}
    table = README.partition("## Commands")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(twilio_\w+)", table, re.MULTILINE)) == ours


def test_the_variables_of_the_readme_are_those_that_are_imported() -> None:
    table = README.partition("| value | names |")[2].partition("\n\n")[0]
    ours = [each for each in PURPOSES if getattr(each, "model", None) is not Stage]
    assert re.findall(r"`(\w+)`", table) == [name for each in ours for name in each.names]


def test_the_make_targets_of_the_readme_are_those_of_the_makefile() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    named = set(re.findall(r"\bmake ([\w-]+)", README)) - {"and"}
    assert named <= set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    assert {"demo", "test"} <= named


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
