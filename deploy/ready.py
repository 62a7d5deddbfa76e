"""Ask a node whether it could issue a token now. Exit status 0 if it could, else 1.

``python deploy/ready.py [--wait SECONDS] [ADDRESS]``
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from urllib.request import ProxyHandler, Request, build_opener


def is_ready(address: str) -> bool:
    # Django answers only those who ask for one of its hosts.
    hosts = os.environ.get("ALLOWED_HOSTS", "").split(",")
    host = hosts[0].lstrip("*.")
    request = Request(f"{address}/health/?format=text", headers={"Host": host} if host else {})  # noqa: S310 - as it is told
    try:
        build_opener(ProxyHandler({})).open(request, timeout=10).close()
    except OSError:  # refused, or answered with an error
        return False
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask a node whether it could issue a token now.")
    parser.add_argument("address", nargs="?", default="http://127.0.0.1:8000")
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="for so long")
    options = parser.parse_args()
    end = time.monotonic() + options.wait
    while not (ready := is_ready(options.address)) and time.monotonic() < end:
        time.sleep(0.1)
    return 0 if ready else 1


if __name__ == "__main__":
    sys.exit(main())
