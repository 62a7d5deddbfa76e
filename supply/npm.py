"""The JavaScript client as an npm package: the file that sites serve, with types made of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TSC = ROOT / "tests/node/node_modules/.bin/tsc"
CLIENT = "twilio_tokens/static/twilio_tokens/twilio-tokens.js"
OPTIONS = (
    *("--allowJs", "--checkJs", "--strict", "--declaration", "--emitDeclarationOnly"),
    *("--target", "esnext", "--module", "esnext", "--lib", "esnext,dom,dom.iterable"),
)


def pack(source: Path, version: str, out: Path) -> Path:
    """The tarball that ``npm publish`` takes, of the files below ``source``."""
    package = out / "npm"
    package.mkdir(parents=True)
    about = json.loads((source / "supply/client/package.json").read_text())
    setup = ConfigParser()
    setup.read(source / "setup.cfg")
    addresses = dict(
        line.split(" = ") for line in setup["metadata"]["project_urls"].strip().splitlines()
    )
    about |= {
        "version": version,
        "homepage": addresses["Documentation"],
        "bugs": addresses["Issues"],
        "repository": {"type": "git", "url": f"git+{addresses['Source']}.git"},
    }
    (package / "package.json").write_text(json.dumps(about, indent=2) + "\n")
    for file in ("supply/client/README.md", "LICENSE", CLIENT):
        shutil.copyfile(source / file, package / Path(file).name)
    run([str(TSC), *OPTIONS, "--outDir", str(package), str(source / CLIENT)], package)
    run(["npm", "pack", "--ignore-scripts", "--pack-destination", str(out)], package)
    (tarball,) = out.glob("*.tgz")
    return tarball


def run(command: list[str], directory: Path) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
