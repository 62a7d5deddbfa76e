"""Build the wheel and the sdist of the last commit: ``make dist``.

Whoever builds the same commit with what ``requirements/build.txt`` pins gets the same bytes. That
is tried here with a second build in another directory, time zone, language and umask.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
NAME = "django_twilio_tokens"
CONDITIONS: tuple[dict[str, str], ...] = (
    {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1", "UMASK": "077"},
    {"TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2", "UMASK": "002"},
)
ABOUT = re.compile(
    rf"{NAME}-[^/]+\.dist-info/(METADATA|RECORD|WHEEL|top_level\.txt|licenses/LICENSE)"
)


def main() -> None:
    with TemporaryDirectory() as directory:
        builds = [build(Path(directory, each["TZ"]), each) for each in CONDITIONS]
        for one, other in zip(*builds, strict=True):
            if one.read_bytes() != other.read_bytes():
                sys.exit(f"Two builds of {one.name} differ.")
        wheel, sdist = builds[0]
        files = committed()
        if faults := faults_of_wheel(wheel, files) + faults_of_sdist(sdist, files):
            sys.exit("\n".join(faults))
        (ROOT / "dist").mkdir(exist_ok=True)
        for each in builds[0]:
            shutil.copyfile(each, ROOT / "dist" / each.name)
            sys.stdout.write(f"{sha256(each.read_bytes()).hexdigest()}  dist/{each.name}\n")


def build(directory: Path, conditions: dict[str, str]) -> tuple[Path, Path]:
    """The wheel and the sdist."""
    source, out = directory / "source", directory / "out"
    before = os.umask(int(conditions["UMASK"], base=8))
    try:
        check_out(source)
    finally:
        os.umask(before)
    epoch = git("show", "--no-patch", "--format=%ct", "HEAD").strip()
    run = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)],
        env=os.environ | conditions | {"SOURCE_DATE_EPOCH": epoch},
        umask=0o022,  # a wheel keeps the modes of what setuptools writes
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        sys.exit(run.stdout + run.stderr)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    normalize(sdist, int(epoch))
    return wheel, sdist


def git(*arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], cwd=ROOT, text=True)


def committed() -> set[str]:
    return set(git("ls-tree", "-r", "--name-only", "HEAD").splitlines())


def check_out(source: Path) -> None:
    """What is committed, and nothing that lies beside it."""
    source.mkdir(parents=True)
    archive = source.with_suffix(".tar")
    git("archive", "--output", str(archive), "HEAD")
    with tarfile.open(archive) as files:
        files.extractall(source, filter="data")


def normalize(sdist: Path, epoch: int) -> None:
    """Setuptools writes the time, the user and the modes of the build into it."""
    packed = io.BytesIO()
    with tarfile.open(sdist) as old, tarfile.open(fileobj=packed, mode="w") as new:
        for member in sorted(old.getmembers(), key=lambda each: each.name):
            content = old.extractfile(member) if member.isfile() else None
            member.mtime, member.pax_headers = epoch, {}
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() else 0o644
            new.addfile(member, content)
    sdist.write_bytes(gzip.compress(packed.getvalue(), mtime=epoch))


def faults_of_wheel(wheel: Path, files: set[str]) -> list[str]:
    """It has all of the package, and nothing else but what says what it is."""
    with zipfile.ZipFile(wheel) as archive:
        names = {each for each in archive.namelist() if not each.endswith("/")}
    package = {each for each in files if each.startswith("twilio_tokens/")}
    about = {each for each in names if ABOUT.fullmatch(each)}
    faults = [f"The wheel lacks {each}." for each in sorted(package - names)]
    faults += [] if any("/LICENSE" in each for each in about) else ["The wheel lacks LICENSE."]
    return faults + [f"The wheel has {each}." for each in sorted(names - package - about)]


def faults_of_sdist(sdist: Path, files: set[str]) -> list[str]:
    """Besides what is committed it has only what setuptools makes."""
    with tarfile.open(sdist) as archive:
        names = {each.name.partition("/")[2] for each in archive.getmembers() if each.isfile()}
    made = {each for each in names if each.startswith(f"{NAME}.egg-info/")} | {"PKG-INFO"}
    needed = {each for each in files if each.startswith("twilio_tokens/")} | {"LICENSE"}
    unwanted = names - files - made
    unwanted |= {each for each in names if each == "setup.py" or each.startswith("tests/")}
    faults = [f"The sdist lacks {each}." for each in sorted(needed - names)]
    return faults + [f"The sdist has {each}." for each in sorted(unwanted)]


if __name__ == "__main__":
    main()
