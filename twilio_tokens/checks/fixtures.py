"""Secrets in fixtures, which lie in version control."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register

from twilio_tokens.crypto import FORMAT

FORMATS = {".json", ".jsonl", ".xml", ".yaml", ".yml"}
#: Bytes of a fixture that are looked at.
LONGEST = 10_000_000

_NAMES_A_KEY = re.compile(rb"twilio_tokens\.apikey\b", re.IGNORECASE)
_SECRET = re.compile(
    rb"""\bsecret["']?                            # the field's name, in
      (?: \s*:\s*["']? | [^<>]*(?<!/)>(?!\s*<) )  # JSON and YAML, or in XML
      (?! \s*(?:null\b|None\b|~|%b:) )
      \s*[^\s"'<>,}]"""
    % FORMAT.encode(),
    re.VERBOSE,
)


@register(Tags.security, deploy=True)
def check_fixtures(**kwargs: Any) -> list[CheckMessage]:
    """An encrypted secret is no secret without the key, so it is not told."""
    return [
        checks.Warning(
            f"The fixture {name} has an API key's secret as plain text: whoever reads your "
            "repository can sign tokens with it. loaddata refuses it.",
            hint="Delete that key at Twilio, for history keeps it, and take API keys out of the "
            "fixture. “manage.py twilio_import_env” makes them from the environment.",
            id="twilio_tokens.W024",
        )
        for name, path in _fixtures()
        if _has_secret(path)
    ]


def _fixtures() -> Iterator[tuple[str, Path]]:
    folders = [Path(folder) for folder in django_settings.FIXTURE_DIRS]
    folders += [Path(app.path) / "fixtures" for app in apps.get_app_configs()]
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if FORMATS & {suffix.lower() for suffix in path.suffixes} and path.is_file():
                yield path.relative_to(folder.parent.parent).as_posix(), path


def _has_secret(path: Path) -> bool:
    try:
        with _opened(path) as file:
            text = file.read(LONGEST)
    except Exception:  # noqa: BLE001 - a damaged archive, which loaddata could not read either
        return False
    return bool(_NAMES_A_KEY.search(text) and _SECRET.search(text))


def _opened(path: Path) -> Any:  # noqa: ANN401 - each format has a type of its own
    openers: dict[str, Callable[..., Any]] = {
        ".gz": gzip.open,
        ".bz2": bz2.open,
        ".xz": lzma.open,
        ".lzma": lzma.open,
        ".zip": _unzipped,
    }
    return openers.get(path.suffix.lower(), open)(path, "rb")


def _unzipped(path: Path, mode: str) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    return archive.open(archive.namelist()[0])
