"""Every claim of ``docs/security.md`` has a proof, and every proof was seen to fail."""

from __future__ import annotations

import re

import pytest

from .test_broken_builds import ROOT, all_builds

PAGE = ROOT / "docs" / "security.md"
PROOF = re.compile(r'\[proof\]\(\.\./(tests/[\w/]+\.py) "(test_\w+)"\)')


def claims() -> list[str]:
    """The items of the lists, up to the section about what is not protected."""
    protected = PAGE.read_text().partition("\n## What is not protected\n")[0]
    return [" ".join(item.split()) for item in re.findall(r"(?ms)^- .*?(?=\n(?:- |\n))", protected)]


def proofs() -> set[tuple[str, str]]:
    return set(PROOF.findall(PAGE.read_text()))


@pytest.mark.parametrize("claim", claims())
def test_every_claim_links_to_a_proof(claim: str) -> None:
    assert PROOF.search(claim)


@pytest.mark.parametrize(("file", "name"), sorted(proofs()))
def test_every_proof_is_there_and_fails_on_a_broken_build(file: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
    assert any(build.proof.partition("[")[0] == f"{file}::{name}" for build in all_builds())
