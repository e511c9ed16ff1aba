"""Serves the metrics of a worker, which has no web server of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn

from orchestrator.api.own_metrics import create_own_metrics_app
from orchestrator.services.context import Context

log = structlog.get_logger(__name__)

ENDS_WITHIN_S = 5.0


@contextmanager
def serving_metrics(context: Context, listener: socket.socket | None) -> Iterator[None]:
    """Serve /metrics and probes in a thread, where there is a socket to do so."""
    if listener is None:
        yield
        return
    config = uvicorn.Config(
        create_own_metrics_app(context, context.instruments.engine_ok),
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="metrics", daemon=True
    )
    thread.start()
    host, port = listener.getsockname()[:2]
    log.info("metrics are served", host=host, port=port)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(ENDS_WITHIN_S)
