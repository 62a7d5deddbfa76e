"""The JavaScript client, installed from its npm package."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import twilio_tokens
from supply.npm import CLIENT, ROOT, pack

NODE_MODULES = ROOT / "tests/node/node_modules"
STRICT = ("--noEmit", "--strict", "--module", "nodenext", "--target", "esnext")

SOUND = """
import { TokenError, TokenSource, type AccessToken, type Options } from "django-twilio-tokens";

const options: Options = { onError: (error) => error instanceof TokenError && error.retryAfter };
const source = new TokenSource("/twilio/tokens/video/", { room: "DailyStandup" }, options);
export const token: Promise<string> = source.get().then((answer: AccessToken) => answer.token);
"""
IMPORTS = """
import { TokenError, TokenSource } from "django-twilio-tokens";
import about from "django-twilio-tokens/package.json" with { type: "json" };

const error = new TokenError(new Response(null, { status: 503 }), { code: "not_configured" });
console.log(JSON.stringify([about.version, error.code, error.temporary, TokenSource.name]));
"""


def run(*command: str | Path, at: Path) -> str:
    done = subprocess.run(command, cwd=at, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stranger's, with the package installed from its tarball and nothing else."""
    tarball = pack(ROOT, twilio_tokens.__version__, tmp_path_factory.mktemp("packed"))
    assert tarball.name == f"django-twilio-tokens-{twilio_tokens.__version__}.tgz"
    project = tmp_path_factory.mktemp("project")
    (project / "package.json").write_text('{"private": true, "type": "module"}')
    run("npm", "install", "--offline", "--ignore-scripts", "--no-audit", tarball, at=project)
    return project


def check_types(code: str, project: Path) -> str:
    (project / "page.ts").write_text(code)
    return run(NODE_MODULES / ".bin/tsc", *STRICT, "page.ts", at=project)


def test_the_package_has_the_very_file_that_sites_serve(project: Path) -> None:
    installed = project / "node_modules/django-twilio-tokens"
    assert (installed / "twilio-tokens.js").read_bytes() == (ROOT / CLIENT).read_bytes()
    assert (installed / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert "new TokenSource(" in (installed / "README.md").read_text()


def test_a_page_that_uses_it_rightly_has_no_type_errors(project: Path) -> None:
    check_types(SOUND, project)


def test_a_mistake_is_a_type_error(project: Path) -> None:
    with pytest.raises(AssertionError, match="'heders' does not exist"):
        check_types(SOUND.replace("onError:", "heders:"), project)


def test_node_imports_it(project: Path) -> None:
    (project / "page.js").write_text(IMPORTS)
    answer = run("node", "--no-warnings", "page.js", at=project)
    assert json.loads(answer) == [
        twilio_tokens.__version__,
        "not_configured",
        True,
        "TokenSource",
    ]


def test_the_version_is_not_said_twice() -> None:
    assert "version" not in json.loads((ROOT / "supply/client/package.json").read_text())
