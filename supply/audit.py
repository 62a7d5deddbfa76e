"""Ask the registries for known vulnerabilities of what is pinned: ``make audit``.

A registry that does not answer is named as skipped, and fails nothing. What it finds does.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from configparser import ConfigParser
from functools import partial
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from supply.locks import Pin, pins

ROOT = Path(__file__).resolve().parent.parent
NPM = ("example_project", "tests/node")
EXTRAS_OF_SITES = ("cors", "env", "schema")

#: Known of the lowest versions that setup.cfg allows, and why it does not matter here. What does
#: matter raises the bound instead. In what ``make`` installs nothing is accepted.
ACCEPTED = {
    "CVE-2026-73228": "REST framework, size of a body: parsers.py has a limit of its own.",
    "CVE-2026-73229": "REST framework, AdminRenderer: the API has one permission for all methods.",
    "CVE-2026-114136": "REST framework, charset of a body: parsers.py takes UTF-8 only.",
    "CVE-2026-114137": "REST framework, TokenProxy.delete(): not used.",
    "CVE-2024-26130": "cryptography, PKCS 12: crypto.py uses AES-GCM only.",
    "CVE-2024-12797": "cryptography, raw public keys in TLS: likewise.",
    "CVE-2026-26007": "cryptography, binary curves: likewise.",
    "CVE-2026-34073": "cryptography, names in certificates: likewise.",
    "CVE-2026-28684": "python-dotenv, set_key(): variables.py only reads.",
}

#: Names of packages, and what is known of each.
Found = list[tuple[str, list[str]]]


class NoAnswerError(Exception):
    """The registry cannot be asked from here."""


def main() -> None:
    audits: dict[str, Callable[[], Found]] = {
        "Python packages that make installs": lambda: of_python(installed()),
        "Python packages at their lower bounds": lambda: not_accepted(of_python(lowest())),
        **{f"npm packages of {each}": partial(of_npm, ROOT / each) for each in NPM},
    }
    vulnerable = 0
    for name, audit in audits.items():
        try:
            found = audit()
        except NoAnswerError as error:
            say(f"SKIPPED: the audit of the {name}. {error}")
            continue
        vulnerable += len(found)
        say(f"{name}: {len(found)} vulnerable")
        for package, known in found:
            say(f"  {package}: {', '.join(known)}")
    sys.exit(1 if vulnerable else 0)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def installed() -> list[Pin]:
    return pins("build.txt") + pins("development.txt")


def lowest() -> list[Pin]:
    """What a site may get, not what only our tests need."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    needs = "".join(extras[each] for each in EXTRAS_OF_SITES)
    lines = (setup["options"]["install_requires"] + needs).split("\n")
    names = {canonicalize_name(Requirement(line).name) for line in lines if line}
    return [each for each in pins("lowest.txt") if each.name in names]


def not_accepted(found: Found) -> Found:
    left = [(name, [each for each in known if each not in ACCEPTED]) for name, known in found]
    return [(name, known) for name, known in left if known]


def of_python(wanted: list[Pin]) -> Found:
    """pip-audit takes one version of a package at a time."""
    versions: dict[str, list[str]] = {}
    for each in wanted:
        versions.setdefault(each.name, []).append(f"{each.name}=={each.version}")
    found: Found = []
    for at_once in zip_longest(*versions.values()):
        found += pip_audit([each for each in at_once if each])
    return found


def pip_audit(requirements: list[str]) -> Found:
    with TemporaryDirectory() as directory:
        file = Path(directory, "requirements.txt")
        file.write_text("\n".join(requirements))
        options = ["--no-deps", "--disable-pip", "--progress-spinner=off", "--format=json"]
        command = [sys.executable, "-m", "pip_audit", *options, "--aliases=on", "-r", str(file)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    return read_pip_audit(run.stdout, run.stderr)


def read_pip_audit(output: str, errors: str) -> Found:
    try:
        answers = json.loads(output)["dependencies"]
    except ValueError:
        reason = (errors.strip().splitlines() or ["No output."])[-1]
        if re.search(r"(Connection|Proxy|SSL|Service|HTTP)Error|Timeout|blocking", errors):
            raise NoAnswerError(reason.partition("(")[0]) from None
        raise
    unknown = [each["skip_reason"] for each in answers if "skip_reason" in each]
    if len(unknown) == len(answers):
        raise NoAnswerError(f"It knows none of them: {unknown[0]}")
    return [(each["name"], known_of(each)) for each in answers if known_of(each)]


def known_of(answer: dict[str, Any]) -> list[str]:
    """A CVE where there is one. What was withdrawn from the registry is no good news either."""
    if "skip_reason" in answer:
        return [answer["skip_reason"]]
    ids = [[each["id"], *each["aliases"]] for each in answer["vulns"]]
    return [next((each for each in names if each.startswith("CVE")), names[0]) for names in ids]


def of_npm(directory: Path) -> Found:
    run = subprocess.run(
        ["npm", "audit", "--json", "--package-lock-only"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    return read_npm(run.stdout)


def read_npm(output: str) -> Found:
    answer = json.loads(output)
    if "message" in answer:
        raise NoAnswerError(answer["message"].partition(" - ")[0].partition("http")[0])
    vulnerabilities = answer["vulnerabilities"].values()
    return [(each["name"], [name_of(via) for via in each["via"]]) for each in vulnerabilities]


def name_of(via: str | dict[str, Any]) -> str:
    """What is known, or the package that brings it."""
    return via if isinstance(via, str) else str(via["title"])


if __name__ == "__main__":
    main()
