"""One kind of measurement, in a process and with a database of its own; it writes JSON."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module

import django
from django.test.utils import setup_databases, teardown_databases


def main(kind: str, rounds: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    django.setup()
    made = setup_databases(verbosity=0, interactive=False)
    try:
        measured = import_module(f"benchmarks.{kind}").measure(int(rounds))
        json.dump([vars(each) for each in measured], sys.stdout)
    finally:
        teardown_databases(made, verbosity=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
