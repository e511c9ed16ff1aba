"""Puts the service together: store, clock, clouds, engine, timer and web server."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from queue import SimpleQueue

import structlog
import uvicorn

from orchestrator.api.app import create_app
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.metrics_server import serving_metrics
from orchestrator.clock import Clock, SystemClock
from orchestrator.engine.claims import Claims, SoleOwner, new_worker_id
from orchestrator.engine.courier import Courier
from orchestrator.engine.courier_timer import CourierTimer
from orchestrator.engine.engine import Cadence, Engine
from orchestrator.engine.exclusive import EngineBusyError, FileLock, acquire
from orchestrator.engine.housekeeping import Housekeeper
from orchestrator.engine.timer import EngineTimer
from orchestrator.providers.registry import ProviderHooks
from orchestrator.services import nudges, tokens
from orchestrator.services.clouds import digest_key, provider_maker
from orchestrator.services.context import Context, ProviderPool
from orchestrator.services.instruments import Instruments
from orchestrator.settings import Settings
from orchestrator.store import migrate, restorations
from orchestrator.store.database import Database

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Running:
    """A service that has been put together; `timer` is None where the engine runs elsewhere.

    `late` says, after its end, that a pass could not be ended in time and goes on.
    """

    context: Context
    timer: EngineTimer | None
    late: bool = False


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
    """Yield the running service; ends the engine on the way out, in bounded time.

    Raises CliError when the store is for one process and has one, or cannot serve workers.
    """
    clock = clock or SystemClock()
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as ends:
        name = new_worker_id() if engine else f"orchestrator:{os.getpid()}"
        database = Database(settings.database_url, name=name)
        ends.callback(database.dispose)
        lock = _lock(database)
        if lock is not None:
            ends.callback(lock.release)
        migrate.upgrade(database)
        claims = _claims(settings, database, name) if engine else None
        sleep = time.sleep if claims is None else claims.sleep
        instruments = Instruments()
        with database.write() as session:
            installation = restorations.ensure_name(session, clock.now())
        hooks = ProviderHooks(
            clock=clock,
            installation=installation,
            digest_key=digest_key(settings.state_dir),
            sleep=sleep,
            on_call=instruments.called,
        )
        pool = ProviderPool(provider_maker(settings, hooks), hooks.pacing)
        ends.callback(pool.close)
        instruments.pacing = pool.pacing_report
        ends.enter_context(instruments.watch(database))
        context = Context(
            database, clock, settings, pool, engine_here=_owner(claims), instruments=instruments
        )
        running = Running(context, None)
        if claims is not None:
            keeper = Housekeeper(context)
            keeper.start()
            ends.callback(keeper.stop)
            courier = CourierTimer(Courier(context), clock)
            courier.start()
            ends.callback(courier.stop)
            running.timer = timer = _engine(context, claims, speed)
            instruments.engine_ok = timer.punctual
            ends.callback(_stop, running, timer, timedelta(seconds=settings.stop_within_s))
        if database.dialect == "postgresql":  # the account may be another worker's
            context.nudge = lambda: nudges.leave(database, clock.now())
        yield running


def _engine(context: Context, claims: Claims, speed: float) -> EngineTimer:
    bell = nudges.Bell(context.database)
    loop = Engine(context, cadence_of(context.settings), claims=claims)
    timer = EngineTimer(loop, context.clock, claims, speed=speed, watch=bell.rung)
    context.nudge = timer.nudge
    timer.start()
    claims.start(changed=timer.look, nudged=timer.heard)
    return timer


def _stop(running: Running, timer: EngineTimer, within: timedelta) -> None:
    running.late = not timer.stop(within)


def _lock(database: Database) -> FileLock | None:
    try:
        return acquire(database)
    except EngineBusyError as error:
        remedy = "stop that process, or use Postgres, which any number of them may share"
        raise CliError(str(error), ExitCode.REFUSED, remedy) from error


def _owner(claims: Claims | None) -> Callable[[str], bool]:
    """Return the question whether this process works an account now."""
    return lambda account_id: claims is not None and bool(claims.of([account_id]))


def _claims(settings: Settings, database: Database, worker: str) -> Claims:
    if database.dialect != "postgresql":
        return SoleOwner()
    # Its driver is installed only where Postgres is used.
    from orchestrator.engine.claims_postgres import PostgresClaims  # noqa: PLC0415
    from orchestrator.store.claims import direct_fault  # noqa: PLC0415

    name = "database_direct_url" if settings.database_direct_url else "database_url"
    url = settings.database_direct_url or settings.database_url
    fault = direct_fault(database, url)
    if fault:
        raise CliError(
            f"{name}: {fault}",
            ExitCode.REFUSED,
            "set ORCHESTRATOR_DATABASE_DIRECT_URL to the address of the same database without "
            "a pooler; the pooler may stay in database_url",
        )
    return PostgresClaims(url, worker, lease_s=settings.claim_lease_s)


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
    _leave(running)


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """Return a listening socket. Raises CliError when the address cannot be had."""
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128
        )
    except OSError as error:
        raise CliError(
            f"cannot listen on {host}:{port}: {error.strerror}",
            ExitCode.FAILED,
            f"another program may use the port: choose one with {option}",
        ) from error


class _Server(uvicorn.Server):
    """Ends the engine's work as soon as it is told to stop, not after the last open request."""

    timer: EngineTimer | None = None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting requests, and wait a while for those under way."""
        if self.timer is not None:
            self.timer.quiesce()
        await super().shutdown(sockets)


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
    server = _Server(config)
    server.timer = timer
    _take_signals()  # the server hands them on once it has ended; there is more to end then
    server.run(sockets=[listener])


def worker(settings: Settings) -> None:
    """Run the engine alone until SIGINT or SIGTERM."""
    signals = _take_signals()
    port = settings.metrics_port
    option = "the setting metrics_port (ORCHESTRATOR_METRICS_PORT)"
    listener = None if port is None else listen(settings.metrics_host, port, option)
    with service(settings) as running, serving_metrics(running.context, listener):
        log.info("the engine runs", database=running.context.database.url_redacted)
        signals.get()
        log.info("the engine ends")
    _leave(running)


def _take_signals() -> SimpleQueue[int]:
    """Put SIGINT and SIGTERM into a queue from now on, so that a second one does no harm."""
    signals: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: signals.put(received))
    return signals


def _leave(running: Running) -> None:
    """End the process even if a call to a cloud does not; its accounts are taken over then."""
    if running.late:
        log.error("ended with a call under way")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ExitCode.FAILED)
