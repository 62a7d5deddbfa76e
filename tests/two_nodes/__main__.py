"""Prove that two nodes are as good as one, and better: see ``deploy/README.md``."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
import traceback

import pytest

from .cluster import Cluster
from .machines import SERVERS
from .proofs import OF_ANOTHER_SERVER, PROOFS, Proof

#: Each in a package of its name.
PROGRAMS = ("nginx", "redis-server")


def main() -> int:
    parser = argparse.ArgumentParser(prog="deploy/two-nodes", description=__doc__)
    parser.add_argument("--server", choices=SERVERS, help="with all proofs; by default both")
    chosen = parser.parse_args().server
    install_missing()
    try:
        if chosen:
            return prove(chosen, PROOFS)
        return prove("gunicorn", PROOFS) + prove("uvicorn", OF_ANOTHER_SERVER)
    except pytest.skip.Exception as missing:
        say(f"{missing} Install it, and come back.")
        return 1


def install_missing() -> None:
    os.environ["PATH"] += f"{os.pathsep}/usr/sbin"
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    installer = shutil.which("apt-get")
    if missing and installer and os.geteuid() == 0:
        say(f"Installing {' and '.join(missing)}.")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
            command = [installer, "--quiet", "--quiet", *step]
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)


def prove(server: str, proofs: tuple[Proof, ...]) -> int:
    """How many proofs failed."""
    failed = 0
    with Cluster(server) as cluster:
        for proof in proofs:
            began = time.monotonic()
            try:
                verdict, seen = "proved", proof(cluster)
            except Exception as error:  # noqa: BLE001 - a proof that raises has failed
                traceback.print_exc()
                verdict, seen = "FAILED", str(error)
                failed += 1
            name = proof.__name__.replace("_", " ")
            say(f"{verdict}, {server}, {time.monotonic() - began:.1f} s: {name}: {seen}")
            if failed:
                break  # what the others start from is not known
    return failed


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
