"""Sphinx builds the site of the docs from this: ``make docs``."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
REPOSITORY = DOCS.parent

project = "django-twilio-tokens"
author = copyright = "django-twilio-tokens contributors"
release = version = re.findall(
    r'__version__ = "(.+)"', (REPOSITORY / "twilio_tokens" / "__init__.py").read_text()
)[0]

extensions = ["myst_parser", "sphinx_copybutton"]
exclude_patterns = ["README.md"]
# Pygments knows neither crontab, nor SQL with a function in it, nor templates in HTML.
suppress_warnings = ["misc.highlighting_failure"]
nitpicky = True
myst_heading_anchors = 4
myst_enable_extensions = ["tasklist"]
copybutton_prompt_text = "$ "

html_theme = "furo"
html_title = f"{project} {release}"
html_show_copyright = False

# "make docs" asks for links that leave the site where the network answers.
linkcheck_timeout = 10
linkcheck_retries = 1
linkcheck_workers = 10
linkcheck_allow_unauthorized = True
# Addresses of the reader's own machine and of examples, and what only a signed-in user can see.
linkcheck_ignore = [
    r"http://(127\.0\.0\.1|localhost)",
    r"https://([\w-]+\.)*example\.com",
    r"https://1console\.twilio\.com",
    r"https://console\.twilio\.com",
]

#: Pages that live elsewhere in the repository, where other readers look for them.
ELSEWHERE = {
    "changelog": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
    "deploy": "deploy/README.md",
    "security-policy": "SECURITY.md",
    "who-may": "tests/security/who_may.md",
}
PAGES = {REPOSITORY / path: DOCS / f"{page}.md" for page, path in ELSEWHERE.items()}
LINK = re.compile(r'(!?)\[([^\[\]]*)\]\((?!\w+:)([^()#\s]+)(#[^()\s]*)?( "[^"]*")?\)')


def read(app: Sphinx, page: str, source: list[str]) -> None:
    """Lead links from where the page's file lies to where its neighbors are on the site."""
    file = REPOSITORY / ELSEWHERE.get(page, f"docs/{page}.md")
    here = (DOCS / page).parent

    def led(link: re.Match[str]) -> str:
        image, text, path, anchor, title = (part or "" for part in link.groups())
        target = (file.parent / path).resolve()
        if target.is_dir():  # nothing to show: the text alone
            return text
        where = os.path.relpath(PAGES.get(target, target), here)
        return f"{image}[{text}]({where}{anchor}{title})"

    source[0] = LINK.sub(led, file.read_text())


def setup(app: Sphinx) -> None:
    app.connect("source-read", read)
