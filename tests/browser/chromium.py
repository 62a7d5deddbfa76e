"""Find Chromium or Chrome; ``python -m tests.browser.chromium`` installs one if there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
APPLICATIONS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
HOW = """\
The tests in tests/browser need Chromium or Chrome, and none is found. Do one of these:
  install it: apt-get install chromium, or the package of your system;
  or let Playwright install its own: .venv/bin/playwright install --with-deps chromium;
  or say where it is: export CHROMIUM=/path/to/chromium\
"""


def find() -> str | None:
    """The path of the browser; the variable CHROMIUM comes first."""
    if named := os.environ.get("CHROMIUM"):
        return shutil.which(named)
    for candidate in (*COMMANDS, *APPLICATIONS):
        if path := shutil.which(candidate):
            return path
    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def install() -> None:
    """Debian's where we may install packages, else Playwright's."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        commands = [
            ["apt-get", "update", "--quiet"],
            ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "chromium"],
        ]
    else:
        commands = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    for command in commands:
        subprocess.run(
            command, check=False, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        )


if __name__ == "__main__":
    if not os.environ.get("CHROMIUM") and find() is None:
        install()
    if find() is None:
        sys.exit(HOW)
