"""A worker of a site with REST framework and the admin, with the app or without: what its start
took. It writes JSON, and ends."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from . import settings as site

APP = "twilio_tokens"

#: What the app imports with the first token, and when the console asks Twilio.
LATER = ("cryptography", "jwt", "twilio.rest")


def main(*, has_app: bool) -> None:
    values = {name: value for name, value in vars(site).items() if name.isupper()}
    apps = [each for each in site.INSTALLED_APPS if has_app or each != APP]
    settings.configure(
        **{**values, "INSTALLED_APPS": apps, "ROOT_URLCONF": "benchmarks.worker_urls"}
    )
    get_wsgi_application()
    from . import worker_urls  # noqa: F401, PLC0415 - needs the settings

    json.dump(
        {
            "seconds": time.process_time(),
            "kilobytes": memory(),
            "imported": [each for each in LATER if each in sys.modules],
        },
        sys.stdout,
    )


def memory() -> int:
    """Kilobytes that the process holds, as Linux tells them."""
    lines: dict[str, Any] = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines()
    )
    return int(lines["VmRSS"].split()[0])


if __name__ == "__main__":
    main(has_app=sys.argv[1] == "with")
