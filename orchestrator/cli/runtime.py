"""Puts the service together: store, clock, clouds, engine, timer and web server."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import structlog
import uvicorn

from orchestrator.api.app import create_app
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.clock import Clock, SystemClock
from orchestrator.engine.claims import SoleOwner
from orchestrator.engine.engine import Cadence, Engine
from orchestrator.engine.exclusive import EngineBusyError, Exclusive, acquire
from orchestrator.engine.timer import EngineTimer
from orchestrator.providers.registry import ProviderHooks
from orchestrator.services import nudges, tokens
from orchestrator.services.clouds import digest_key, provider_maker
from orchestrator.services.context import Context, ProviderPool
from orchestrator.settings import Settings
from orchestrator.store import migrate
from orchestrator.store.database import Database

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Running:
    """A service that has been put together; `timer` is None where the engine runs elsewhere."""

    context: Context
    timer: EngineTimer | None


def cadence_of(settings: Settings) -> Cadence:
    """Return how often the engine looks, by the settings."""
    return Cadence(
        rest=timedelta(seconds=settings.observe_interval_s),
        transition=timedelta(seconds=settings.transition_interval_s),
        rates=timedelta(seconds=settings.rates_interval_s),
    )


@contextmanager
def service(
    settings: Settings, *, engine: bool = True, clock: Clock | None = None, speed: float = 1.0
) -> Iterator[Running]:
    """Yield the running service; ends the engine after its present step on the way out.

    Raises CliError when another process runs the engine on this store.
    """
    clock = clock or SystemClock()
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database_url)
    hooks = ProviderHooks(clock=clock, digest_key=digest_key(settings.state_dir))
    timer: EngineTimer | None = None
    lock: Exclusive | None = None
    pool = ProviderPool(provider_maker(settings, hooks))
    try:
        lock = _lock(database) if engine else None
        migrate.upgrade(database)
        context = Context(database, clock, settings, pool, engine_here=engine)
        if lock is None:
            context.nudge = lambda: nudges.leave(database, clock.now())
        else:
            bell = nudges.Bell(database)
            claims = SoleOwner()
            loop = Engine(context, cadence_of(settings), claims=claims)
            timer = EngineTimer(loop, clock, claims, speed=speed, watch=bell.rung)
            context.nudge = timer.nudge
            timer.start()
        yield Running(context, timer)
    finally:
        if timer is not None:
            timer.stop()
        if lock is not None:
            lock.release()
        pool.close()
        database.dispose()


def _lock(database: Database) -> Exclusive:
    try:
        return acquire(database)
    except EngineBusyError as error:
        raise CliError(str(error), ExitCode.REFUSED) from error


def serve(settings: Settings, *, engine: bool = True) -> None:
    """Run the web server, and the engine unless it runs elsewhere, until told to stop."""
    listener = listen(settings.host, settings.port)
    with service(settings, engine=engine) as running:
        token_file = tokens.ensure_first_token(
            running.context.database, running.context.clock, settings.state_dir
        )
        if token_file is not None:
            log.info("admin token", file=str(token_file))
        log.info("serving", url=settings.api_url)
        run_server(running, settings, listener)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises CliError when the address cannot be had."""
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128
        )
    except OSError as error:
        raise CliError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            ExitCode.FAILED,
            "another program may use the port: choose one with --port",
        ) from error


def run_server(running: Running, settings: Settings, listener: socket.socket) -> None:
    """Serve HTTP until SIGINT or SIGTERM."""
    timer = running.timer
    app = create_app(running.context, settings, engine_ok=None if timer is None else timer.punctual)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # the application dates its answers by the service's clock
        timeout_graceful_shutdown=10,
    )
    uvicorn.Server(config).run(sockets=[listener])


def worker(settings: Settings) -> None:
    """Run the engine alone until SIGINT or SIGTERM."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with service(settings) as running:
        log.info("the engine runs", database=running.context.database.url_redacted)
        stopped.wait()
