"""Checks for secrets in fixtures, which are usually under version control."""

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
#: Bytes of a fixture that are searched.
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
    """An encrypted secret is useless without its key, so it is not reported."""
    return [
        checks.Warning(
            f"The fixture {name} contains an API key's secret in plain text: anyone who can read "
            "your repository can sign tokens with it. loaddata refuses it.",
            hint="Delete that key at Twilio, because the repository's history keeps the secret, "
            "and remove API keys from the fixture. Import them from the environment with "
            "“manage.py twilio_import_env”.",
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
    except Exception:  # noqa: BLE001 - a damaged archive, which loaddata cannot read either
        return False
    return bool(_NAMES_A_KEY.search(text) and _SECRET.search(text))


def _opened(path: Path) -> Any:  # noqa: ANN401 - each format has its own type
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
