"""Metrics for Prometheus, on ports of their own that only this machine can reach."""

from __future__ import annotations

import logging

from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import start_http_server

logger = logging.getLogger(__name__)

#: So many processes of the site may run on one machine.
PORTS = 32


def serve(first: int | None) -> None:
    """Each process that serves the site takes the first port that is free, from ``first`` on.

    None means not at all. Call it in the process that answers requests, not in one that forks.
    """
    if first is None:
        return
    metrics.set_meter_provider(MeterProvider([PrometheusMetricReader()]))
    for port in range(first, first + PORTS):
        try:
            start_http_server(port, addr="127.0.0.1")
        except OSError:  # another process has it
            continue
        logger.info("Metrics: http://127.0.0.1:%d/metrics", port)
        return
    logger.error("No metrics: none of the ports from %d on is free.", first)
