"""Build the wheel, the sdist and the npm package of the last commit: ``make dist``.

Whoever builds the same commit with what ``requirements/build.txt`` and ``tests/node`` pin gets the
same bytes. A second build in another directory, time zone, language and umask proves it. Then the
wheel is tried out in an environment that has nothing else.
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
from configparser import ConfigParser
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from supply.npm import pack
from supply.trial import try_out

ROOT = Path(__file__).resolve().parent.parent
NAME = "django_twilio_tokens"
CONDITIONS: tuple[dict[str, str], ...] = (
    {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1", "UMASK": "077"},
    {"TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2", "UMASK": "002"},
)
ABOUT = re.compile(
    rf"{NAME}-[^/]+\.dist-info/(METADATA|RECORD|WHEEL|entry_points\.txt|top_level\.txt|licenses/LICENSE)"
)
#: What only the working copy has.
ELSEWHERE = ("tests/", "example_project/", "benchmarks/", "deploy/", "supply/")
CLIENT = {"LICENSE", "README.md", "package.json", "twilio-tokens.d.ts", "twilio-tokens.js"}


class Files(NamedTuple):
    wheel: Path
    sdist: Path
    tarball: Path


def main() -> None:
    with TemporaryDirectory() as directory:
        builds = [build(Path(directory, each["TZ"]), each) for each in CONDITIONS]
        for one, other in zip(*builds, strict=True):
            if one.read_bytes() != other.read_bytes():
                sys.exit(f"Two builds of {one.name} differ.")
        built, files = builds[0], committed()
        faults = faults_of_wheel(built.wheel, files) + faults_of_sdist(built.sdist, files)
        if faults := faults + faults_of_npm(built.tarball):
            sys.exit("\n".join(faults))
        check_descriptions(built)
        try_out(built.wheel, Path(directory, "trial"))
        (ROOT / "dist").mkdir(exist_ok=True)
        for each in built:
            shutil.copyfile(each, ROOT / "dist" / each.name)
            sys.stdout.write(f"{sha256(each.read_bytes()).hexdigest()}  dist/{each.name}\n")


def build(directory: Path, conditions: dict[str, str]) -> Files:
    source, out = directory / "source", directory / "out"
    before = os.umask(int(conditions["UMASK"], base=8))
    try:
        check_out(source)
    finally:
        os.umask(before)
    version = version_of(source)
    readme = source / "README.md"
    readme.write_text(with_absolute_links(readme.read_text(), source_address(source), version))
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
    return Files(wheel, sdist, pack(source, version, out))


def version_of(source: Path) -> str:
    (version,) = re.findall(
        '__version__ = "(.+)"', (source / "twilio_tokens/__init__.py").read_text()
    )
    return str(version)


def source_address(source: Path) -> str:
    setup = ConfigParser()
    setup.read(source / "setup.cfg")
    (address,) = re.findall("^Source = (.+)$", setup["metadata"]["project_urls"], re.MULTILINE)
    return str(address)


def with_absolute_links(text: str, address: str, version: str) -> str:
    """A package index shows the README, but has none of the files beside it."""

    def absolute(link: re.Match[str]) -> str:
        before, path = link.groups()
        kind = "raw" if re.search(r"\.(png|svg|gif|jpe?g|webp)$", path) else "blob"
        return f"{before}{address}/{kind}/v{version}/{path.removeprefix('./')}"

    return re.sub(r"""(\]\(|src="|srcset="|href=")(?!\w+:|#|//)([^)\s"]+)""", absolute, text)


def check_descriptions(built: Files) -> None:
    """What a package index would refuse, or show as plain text."""
    command = [sys.executable, "-m", "twine", "check", "--strict"]
    command += [str(built.wheel), str(built.sdist)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(run.stdout + run.stderr)


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
        points = {
            group
            for each in names
            if each.endswith("/entry_points.txt")
            for group in re.findall(r"^\[(.*)\]", archive.read(each).decode(), re.MULTILINE)
        }
    points -= {"pytest11"}  # read when pytest starts; others would run, or make commands
    package = {each for each in files if each.startswith("twilio_tokens/")}
    about = {each for each in names if ABOUT.fullmatch(each)}
    faults = [f"The wheel lacks {each}." for each in sorted(package - names)]
    faults += [] if any("/LICENSE" in each for each in about) else ["The wheel lacks LICENSE."]
    faults += [f"The wheel has {each}." for each in sorted(names - package - about)]
    return faults + [f"The wheel has the entry points [{each}]." for each in sorted(points)]


def faults_of_sdist(sdist: Path, files: set[str]) -> list[str]:
    """Besides what is committed it has only what setuptools makes."""
    with tarfile.open(sdist) as archive:
        names = {each.name.partition("/")[2] for each in archive.getmembers() if each.isfile()}
    made = {each for each in names if each.startswith(f"{NAME}.egg-info/")} | {"PKG-INFO"}
    needed = {each for each in files if each.startswith("twilio_tokens/")} | {"LICENSE"}
    unwanted = names - files - made
    unwanted |= {each for each in names if each == "setup.py" or each.startswith(ELSEWHERE)}
    faults = [f"The sdist lacks {each}." for each in sorted(needed - names)]
    return faults + [f"The sdist has {each}." for each in sorted(unwanted)]


def faults_of_npm(tarball: Path) -> list[str]:
    with tarfile.open(tarball) as archive:
        names = {each.name.partition("/")[2] for each in archive.getmembers() if each.isfile()}
    faults = [f"The npm package lacks {each}." for each in sorted(CLIENT - names)]
    return faults + [f"The npm package has {each}." for each in sorted(names - CLIENT)]


if __name__ == "__main__":
    main()
