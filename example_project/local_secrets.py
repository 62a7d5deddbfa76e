"""Make the secrets of a local run, before any settings need them.

``python -m example_project.local_secrets`` writes those that are missing to ``var/demo.env``,
readable by its owner only. What is there stays.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from pathlib import Path

DEMO_ENV = Path(__file__).resolve().parent.parent / "var" / "demo.env"


def write_missing(path: Path) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    lines = path.read_text().splitlines()
    present = {line.partition("=")[0] for line in lines}
    values = {
        "DEBUG": "true",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "TWILIO_TOKENS_ENCRYPTION_KEYS": b64encode(secrets.token_bytes(32)).decode(),
        "DEMO_STAFF_PASSWORD": secrets.token_urlsafe(9),
        "DEMO_USER_PASSWORD": secrets.token_urlsafe(9),
    }
    lines += [f"{name}={value}" for name, value in values.items() if name not in present]
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write_missing(DEMO_ENV)
