"""pytest in a process of its own, without what these tests do not use and takes longer than they.

All plugins that are installed would be loaded otherwise, schemathesis among them.
"""

from __future__ import annotations

import sys

PLUGINS = ("pytest_django.plugin", "time_machine", "_hypothesis_pytestplugin", "no:cacheprovider")
OPTIONS = ["-q", *(f"-p{each}" for each in PLUGINS)]
PYTEST = [sys.executable, "-m", "pytest", *OPTIONS]
VARIABLES = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
