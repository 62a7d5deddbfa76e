"""Sites made of what a how-to page has people write, each in a process of its own.

A block belongs to the file that its first line names. Where a list begins with dots, they stand for
what the site had before.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests import fresh_pytest
from tests.prose import REPOSITORY, blocks, section

#: Set where a test is run on its site.
INSIDE = "HOW_TO_SITE"
NAMED = re.compile(r"# (mysite/\w+\.py)\n")
DOTS = re.compile(r"^(\w+) = \[(\s*)\.\.\.,", re.MULTILINE)
#: What a site has before it follows the page.
BEFORE = {
    "mysite/__init__.py": "",
    "mysite/settings.py": """\
import os

from tests.settings import *

SECRET_KEY = "tests" * 10
INSTALLED_APPS = [*[app for app in INSTALLED_APPS if app != "tests.site"], "mysite"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "mysite.urls"
""",
    "mysite/urls.py": "from tests.urls import *\n",
}


def files(page: str, titles: tuple[str, ...]) -> dict[str, str]:
    made = dict(BEFORE)
    chosen = [block for title in titles for block in section(page, title)]
    for block in chosen if titles else blocks(page):
        if named := NAMED.match(block):
            text = DOTS.sub(r"\1 = [\2*\1,", block)
            made[named[1]] = made.get(named[1], "") + "\n" + text
    return made


def on_site(
    page: str,
    *titles: str,
    needs: tuple[str, ...] = (),
    variables: Callable[[], dict[str, str]] = dict,
) -> Callable[..., Any]:
    """Runs a test on the site that somebody has who follows these sections of the page."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        if INSIDE in os.environ:
            return test

        def run(tmp_path: Path) -> None:
            for package in needs:
                pytest.importorskip(package)
            for name, text in files(page, titles).items():
                (tmp_path / name).parent.mkdir(exist_ok=True)
                (tmp_path / name).write_text(text)
            ended = fresh_pytest.run(
                ["--ds=mysite.settings", f"{test.__code__.co_filename}::{test.__name__}"],
                REPOSITORY,
                {**os.environ, **variables(), "PYTHONPATH": str(tmp_path), INSIDE: page},
            )
            assert ended.status == 0, ended.output

        run.__name__, run.__module__ = test.__name__, test.__module__
        return run

    return decorate


def curl(line: str, **variables: str) -> Any:
    """What the site answers to this command; its variables have these values."""
    parser = ArgumentParser()
    parser.add_argument("curl")
    parser.add_argument("url")
    parser.add_argument("-d", dest="body")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    for name, value in variables.items():
        line = line.replace(f"${name}", value)
    asked = parser.parse_args(shlex.split(line.replace("\\\n", "")))
    headers = dict(each.split(": ", 1) for each in asked.headers)
    client, path = Client(enforce_csrf_checks=True), re.sub("^https?://[^/]*", "", asked.url)
    if asked.body is None:
        return client.get(path, headers=headers)
    json.loads(asked.body)
    return client.post(path, asked.body, content_type=headers["Content-Type"], headers=headers)
