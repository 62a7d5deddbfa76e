"""What a worker takes more to start with the app than without: CPU time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from .measurements import Measurement


def measure(rounds: int) -> Iterator[Measurement]:
    pairs = [(start("with"), start("without")) for _ in range(rounds + 1)][1:]  # one warms up
    yield Measurement(
        "start of a worker, CPU above the site's own",
        [(ours["seconds"] - own["seconds"]) * 1_000 for ours, own in pairs],
        50,
        " ms",
    )
    yield Measurement(
        "start of a worker, memory above the site's own",
        [(ours["kilobytes"] - own["kilobytes"]) / 1_024 for ours, own in pairs],
        10,
        " MB",
    )
    yield Measurement(
        "start of a worker, imports of what only tokens and the console need",
        [float(len(ours["imported"])) for ours, _ in pairs],
        0,
    )


def start(app: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.worker", app]
    run = subprocess.run(command, capture_output=True, check=True, text=True)
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer
