"""What newcomers, contributors and the forge read: policies, templates, the workflow."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
FORGE = REPOSITORY / ".github"
TEMPLATES = sorted((FORGE / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
WORKFLOW = yaml.safe_load((FORGE / "workflows/ci.yml").read_text())
JOBS = WORKFLOW["jobs"]
POLICY = (REPOSITORY / "docs/reference/versions.md").read_text()
MAKEFILE = (REPOSITORY / "Makefile").read_text()
TARGETS = set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))

# nox is not in its own environments, so its file is read, not imported.
NOX = {
    node.targets[0].id: ast.literal_eval(node.value)
    for node in ast.parse((REPOSITORY / "noxfile.py").read_text()).body
    if isinstance(node, ast.Assign)
    and isinstance(node.targets[0], ast.Name)
    and node.targets[0].id == "VERSIONS"
}
VERSIONS = NOX["VERSIONS"]

SETUP = configparser.ConfigParser()
SETUP.read(REPOSITORY / "setup.cfg")
CLASSIFIERS = SETUP["metadata"]["classifiers"]
PYTHONS = re.findall(r"Programming Language :: Python :: (3\.\d+)", CLASSIFIERS)
DJANGOS = re.findall(r"Framework :: Django :: (\S+)", CLASSIFIERS)


def steps(job: str) -> str:
    return "\n".join(step.get("run", "") for step in JOBS[job]["steps"])


def python_of_the_working_copy() -> str:
    (setup,) = [each for each in JOBS["test"]["steps"] if "python" in each.get("uses", "")]
    return str(setup["with"]["python-version"])


# Versions


def test_the_policy_names_the_versions_of_setup_cfg() -> None:
    assert f"| Python | {', '.join(PYTHONS)} |" in POLICY
    assert f"| Django | {', '.join(DJANGOS)} |" in POLICY


def test_each_supported_version_of_python_and_django_is_tested() -> None:
    tested = {python for python, _django in VERSIONS} | {python_of_the_working_copy()}
    assert set(PYTHONS) <= tested
    assert {django for _python, django in VERSIONS} == {*DJANGOS, "lowest"}


def test_the_lowest_python_is_the_one_that_is_required() -> None:
    assert SETUP["options"]["python_requires"] == f">={PYTHONS[0]}"


# The workflow


def test_the_workflow_runs_every_step_of_the_continuous_integration() -> None:
    wanted = re.findall(r"^make ([\w-]+)", (REPOSITORY / ".ci/run").read_text(), re.MULTILINE)
    assert {"test", "matrix", "dist"} <= set(wanted)
    run = re.findall(r"^make ([\w-]+)$", steps("test"), re.MULTILINE)
    assert {*wanted} - {"matrix"} <= {*run}
    assert ".venv/bin/nox --error-on-missing-interpreters" in steps("matrix")


def test_the_workflow_has_a_job_for_each_python_of_nox() -> None:
    pythons = JOBS["matrix"]["strategy"]["matrix"]["python"]
    assert pythons == sorted({python for python, _django in VERSIONS}, key=lambda each: each[2:])
    unsupported = set(pythons) - set(PYTHONS)
    for each in unsupported:
        assert f"matrix.python == '{each}'" in JOBS["matrix"]["continue-on-error"]
    assert len(unsupported) <= 1


def test_the_servers_of_the_workflow_are_where_the_makefile_looks_for_them() -> None:
    for name, address in WORKFLOW["env"].items():
        assert f"{name} ?= {address}\n" in MAKEFILE
    ports = [port for each in JOBS["test"]["services"].values() for port in each["ports"]]
    assert ports == ["5432:5432", "3306:3306"]


def test_the_workflow_may_only_read_and_ends_by_itself() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 120 for job in JOBS.values())


@pytest.mark.parametrize("job", JOBS)
def test_what_the_workflow_uses_has_a_version(job: str) -> None:
    uses = [each["uses"] for each in JOBS[job]["steps"] if "uses" in each]
    assert uses
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", each) for each in uses)


@pytest.mark.parametrize("job", JOBS)
def test_the_commands_of_the_workflow_are_those_of_a_shell(job: str) -> None:
    script = re.sub(r"\$\{\{.*?\}\}", "x", steps(job))
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)  # noqa: S607


def test_dependabot_looks_after_what_no_lock_pins() -> None:
    updates = yaml.safe_load((FORGE / "dependabot.yml").read_text())["updates"]
    assert [each["package-ecosystem"] for each in updates] == ["github-actions", "docker"]
    assert all((REPOSITORY / each["directory"].lstrip("/")).is_dir() for each in updates)


# Templates


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_an_issue_form_is_one_that_the_forge_can_show(template: Path) -> None:
    form = yaml.safe_load(template.read_text())
    assert form.keys() == {"name", "description", "labels", "body"}
    asked: list[dict[str, Any]] = [each for each in form["body"] if each["type"] != "markdown"]
    assert len({each["id"] for each in asked}) == len(asked) >= 4
    for each in asked:
        assert each["type"] in {"textarea", "input", "dropdown", "checkboxes"}
        assert each["attributes"]["label"]
        assert ("options" in each["attributes"]) == (each["type"] in {"dropdown", "checkboxes"})
        assert each.get("validations", {"required": True}) == {"required": True}
    assert any("validations" in each for each in asked)


def test_there_are_forms_for_errors_and_for_wishes() -> None:
    assert [each.stem for each in TEMPLATES] == ["bug", "feature"]
    assert yaml.safe_load((FORGE / "ISSUE_TEMPLATE/config.yml").read_text())


@pytest.mark.parametrize(
    "text",
    [
        *TEMPLATES,
        FORGE / "pull_request_template.md",
        REPOSITORY / "CONTRIBUTING.md",
        REPOSITORY / "CODE_OF_CONDUCT.md",
        REPOSITORY / "SECURITY.md",
    ],
    ids=lambda path: path.name,
)
def test_the_files_and_targets_that_newcomers_are_sent_to_exist(text: Path) -> None:
    written = text.read_text()
    for name in re.findall(r"\b[A-Z_]{5,}\.md\b", written):
        assert (REPOSITORY / name).exists()
    assert set(re.findall(r"`make ([\w-]+)", written)) <= TARGETS
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", written):
        assert (text.parent / link).exists()


# Tools


def test_make_help_lists_every_target() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert set(phony.split()) == TARGETS
    # Started by "make test", make would say that it enters and leaves the directory.
    command = ["make", "--no-print-directory", "help"]
    listed = subprocess.check_output(command, cwd=REPOSITORY, text=True)
    assert {line.split()[1] for line in listed.splitlines()} == TARGETS


def test_pre_commit_runs_what_make_lint_and_make_types_run() -> None:
    config = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())
    ((repository, hooks),) = [(each["repo"], each["hooks"]) for each in config["repos"]]
    assert repository == "local"
    recipes = re.findall(r"^(?:lint|types):.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    commands = set(re.findall(r"^\t(\.venv/bin/.*)$", "".join(recipes), re.MULTILINE))
    entries = {each["entry"].replace(" --force-exclude", "") for each in hooks}
    assert entries == {each.replace(" --check", "") for each in commands}


def test_the_editors_settings_are_those_of_the_linter() -> None:
    editors = configparser.ConfigParser()
    editors.read_string("[root]\n" + (REPOSITORY / ".editorconfig").read_text())
    (length,) = re.findall(
        r"^line-length = (\d+)", (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert editors["*"]["max_line_length"] == length
    assert editors["Makefile"]["indent_style"] == "tab"


# The changelog

CHANGELOG = (REPOSITORY / "CHANGELOG.md").read_text()


def test_the_changelog_starts_with_what_is_not_released_and_each_version_has_upgrade_notes() -> (
    None
):
    versions = CHANGELOG.split("\n## ")[1:]
    assert versions[0].startswith("Unreleased\n")
    for each in versions:
        assert "\n### Upgrade notes\n" in each
    for each in versions[1:]:
        assert re.match(r"\d+\.\d+\.\d+ \(\d{4}-\d\d-\d\d\)\n", each)


@pytest.mark.parametrize("path", re.findall(r"`((?:docs|deploy)/[\w./-]*)`", CHANGELOG))
def test_the_files_that_the_changelog_names_exist(path: str) -> None:
    assert (REPOSITORY / path).exists()


def test_what_the_changelog_calls_by_its_python_name_exists() -> None:
    for dotted in set(re.findall(r"`(twilio_tokens(?:\.\w+)+)`", CHANGELOG)):
        path = REPOSITORY / "/".join(dotted.split(".")[:2])
        assert path.is_dir() or path.with_suffix(".py").exists() or "outcomes" in dotted, dotted
        if path.with_suffix(".py").exists() and dotted.count(".") == 2:
            tree = ast.parse(path.with_suffix(".py").read_text())
            assert dotted.rpartition(".")[2] in {getattr(each, "name", "") for each in tree.body}
