"""What the package does when it is imported."""

from __future__ import annotations

from . import Build

BUILDS = [
    Build(
        proof="tests/test_supply.py::"
        "test_importing_the_package_asks_nobody_starts_no_process_and_writes_no_file",
        file="twilio_api.py",
        old="import queue\n",
        new="import queue, socket\nsocket.getaddrinfo('localhost', 1)\n",
    ),
]
