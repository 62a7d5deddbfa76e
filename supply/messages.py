"""Bring the catalogues of translations up to date with the sources: ``make messages``.

It needs GNU gettext. New messages arrive untranslated. Translate them, then run it again to
compile them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: The languages of the package and of the example, beside English.
LANGUAGES = ("de", "es", "fr", "ja", "pt_BR")
APPS = ("twilio_tokens", "example_project")
#: Of Python and templates, and of JavaScript.
DOMAINS = ("django", "djangojs")

#: So that a catalogue changes only where its messages do.
STABLE = ("--no-location", "--no-wrap", "--no-obsolete")
IGNORED = ("--ignore", "node_modules")
#: Without dates and names, which would change each time.
HEADER = """\
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
{plural_forms}"""


def extract(app: Path, languages: Iterable[str] = LANGUAGES) -> None:
    """Write the messages of the app's sources into its catalogues; translations stay."""
    (app / "locale").mkdir(exist_ok=True)
    locales = [argument for each in languages for argument in ("--locale", each)]
    for domain in DOMAINS:
        _django("makemessages", app, "--domain", domain, *locales, *STABLE, *IGNORED)
    for catalogue in app.glob("locale/*/LC_MESSAGES/*.po"):
        header, _, messages = catalogue.read_text().partition("\n\n")
        [plural_forms] = re.findall(r'^"Plural-Forms: (?:.*\n)*?.*\\n"$', header, re.MULTILINE)
        language = catalogue.parts[-3]
        header = HEADER.format(language=language, plural_forms=plural_forms)
        catalogue.write_text(f"{header}\n\n{messages}")


def compile_(app: Path) -> None:
    _django("compilemessages", app, *IGNORED)


def _django(command: str, app: Path, *arguments: str) -> None:
    environment = {**os.environ}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    subprocess.run(
        [sys.executable, "-m", "django", command, "--verbosity", "0", *arguments],
        cwd=app,
        env=environment,
        check=True,
    )


def main() -> None:
    if not shutil.which("xgettext"):
        sys.exit("Install GNU gettext first: apt-get install gettext, or your system's package.")
    for app in APPS:
        extract(ROOT / app)
        compile_(ROOT / app)


if __name__ == "__main__":
    main()
