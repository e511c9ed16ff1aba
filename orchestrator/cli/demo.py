"""The demo: a simulated cloud with weeks of history, made by the real engine and driver.

The history is lived through in virtual time over the in-process transport; then the simulated
cloud is served over real HTTP, and the service over it. Both are kept in the folder, so that
the next start goes on where this one ended, also after a kill.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from orchestrator.cli import demo_story, runtime
from orchestrator.clock import ManualClock, SystemClock
from orchestrator.engine.engine import Cadence, Engine
from orchestrator.providers.registry import ProviderHooks
from orchestrator.sandbox.fleet import OWNER_TOKEN, demo_world
from orchestrator.sandbox.fleet_aws import AWS_CREDENTIALS
from orchestrator.sandbox.journal import Journal
from orchestrator.sandbox.server import SandboxServer
from orchestrator.sandbox.transport import InProcessTransport
from orchestrator.sandbox.world import World
from orchestrator.services import tokens
from orchestrator.services.clouds import digest_key, provider_maker
from orchestrator.services.context import Context, ProviderPool
from orchestrator.settings import Settings
from orchestrator.store import accounts, migrate
from orchestrator.store.database import Database

HISTORY_CADENCE = Cadence(
    rest=timedelta(minutes=7), transition=timedelta(minutes=1), rates=timedelta(hours=6)
)
MARK_EVERY_S = 2.0


class ScaledClock:
    """Virtual time that moves `speed` times as fast as the wall clock, from `start` on."""

    def __init__(self, start: datetime, speed: float) -> None:
        self._wall = SystemClock()
        self._began = self._wall.now()
        self._start, self._speed = start, speed

    def now(self) -> datetime:
        """Return the present virtual instant."""
        return self._start + (self._wall.now() - self._began) * self._speed


class DemoFolder:
    """Where a demo is kept; `ready` marks a history that was lived through to its end."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.world = root / "world.jsonl"
        self.ready = root / "ready"

    def reset(self) -> None:
        """Begin with nothing."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(mode=0o700, parents=True)


def demo_settings(folder: DemoFolder, port: int) -> Settings:
    """Return the settings of the demo: its own store, short looks, the cloud's team tags."""
    return Settings().with_overrides(
        state_dir=folder.root,
        database_url=f"sqlite:///{folder.root}/orchestrator.db",
        host="127.0.0.1",
        port=port,
        observe_interval_s=60,
        allowed_cloud_labels=("team", "owner"),
    )


def demo(root: Path, *, port: int, days: int, speed: float, fresh: bool) -> None:
    """Make the history if there is none, then serve until interrupted."""
    folder = DemoFolder(root.expanduser().absolute())
    set_credentials()
    settings = demo_settings(folder, port)
    listener = runtime.listen(settings.host, port)
    if fresh or not folder.ready.exists():
        folder.reset()
        make_history(folder, settings, days)
    run(folder, settings, listener, speed)


def set_credentials() -> None:
    """Put what opens the simulated clouds where the accounts' references point to."""
    os.environ[demo_story.VARIABLES["huggingface"]] = OWNER_TOKEN
    os.environ[demo_story.VARIABLES["sagemaker"]] = AWS_CREDENTIALS


def make_history(
    folder: DemoFolder, settings: Settings, days: int, *, until: datetime | None = None
) -> None:
    """Live through `days` of virtual time up to an instant, or to the present minute."""
    end = until or SystemClock().now().replace(second=0, microsecond=0)
    clock = ManualClock(end - timedelta(days=days))
    world = demo_world(clock.now())
    database = Database(settings.database_url, durable=False)  # made again if it is cut short
    migrate.upgrade(database)
    pool = ProviderPool(provider_maker(settings, _hooks(folder, world, clock)))
    context = Context(database, clock, settings, pool)
    with database.write() as session:
        demo_story.connect(session, clock.now())
    try:
        _live(context, world, clock, end)
    finally:
        pool.close()
        database.dispose()
    Journal(folder.world).attach(world)
    folder.ready.touch()


def _hooks(folder: DemoFolder, world: World, clock: ManualClock) -> ProviderHooks:
    def sleep(seconds: float) -> None:
        clock.set(clock.now() + timedelta(seconds=seconds))

    return ProviderHooks(
        clock=clock,
        sleep=sleep,
        transport=InProcessTransport(world, clock=clock.now, sleep=sleep),
        digest_key=digest_key(folder.root),
    )


def _live(context: Context, world: World, clock: ManualClock, end: datetime) -> None:
    engine = Engine(context, HISTORY_CADENCE)
    start = clock.now()
    scenes = demo_story.scenes(start, end)
    with _progress() as progress:
        task = progress.add_task("Living through the past weeks", total=(end - start).days * 24)
        while clock.now() < end:
            while scenes and scenes[0].at <= clock.now():
                scenes.pop(0).play(context, world, clock.now())
                engine.nudge()
            next_at = engine.step(clock.now())
            limit = min(end, scenes[0].at) if scenes else end
            clock.set(max(min(next_at, limit), clock.now() + timedelta(seconds=1)))
            progress.update(task, completed=(clock.now() - start) // timedelta(hours=1))
    world.advance_to(clock.now())


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} h"),
        TimeRemainingColumn(),
    )


def run(folder: DemoFolder, settings: Settings, listener: socket.socket, speed: float) -> None:
    """Serve the cloud and the service over it, from where the last run ended."""
    journal = Journal(folder.world)
    world = journal.load()
    clock = ScaledClock(_latest(settings, world), speed)
    with SandboxServer(world, clock.now) as cloud, _marking(journal):
        _point_accounts(settings, cloud.url)
        with runtime.service(settings, clock=clock, speed=speed) as running:
            _tell(running.context, settings, speed)
            runtime.run_server(running, settings, listener)
    journal.compact()


def _latest(settings: Settings, world: World) -> datetime:
    """Return the instant at which to go on: none that was lived through is lived twice."""
    database = Database(settings.database_url)
    with database.read() as session:
        looks = [row.observed_at for row in accounts.live(session) if row.observed_at]
    database.dispose()
    return max([world.now, *looks])


def _point_accounts(settings: Settings, url: str) -> None:
    database = Database(settings.database_url)
    with database.write() as session:
        for row in accounts.live(session):
            past = demo_story.PAST_OPTIONS.get(row.provider, {})
            kept = {key: value for key, value in row.options.items() if key not in past}
            row.options = kept | demo_story.options_for(row.provider, url)
            session.add(row)
    database.dispose()


@contextmanager
def _marking(journal: Journal) -> Iterator[None]:
    """Note every few seconds how far virtual time has come, for a start after a kill."""
    stop = Event()
    thread = Thread(target=_mark, args=(journal.mark, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _mark(mark: Callable[[], None], stop: Event) -> None:
    while not stop.wait(MARK_EVERY_S):
        mark()


def _tell(context: Context, settings: Settings, speed: float) -> None:
    path = tokens.ensure_first_token(context.database, context.clock, settings.state_dir)
    secret = path.read_text(encoding="utf-8").strip() if path is not None else ""
    url = f"http://127.0.0.1:{settings.port}"
    print(  # noqa: T201 - the one line that the user waits for
        f"\nThe fleet is alive; one second here is {speed:g} seconds there.\n"
        f"Open   {url}/login#token={secret}\n"
        f"Token  {secret}   (Ctrl-C ends; the next start goes on from here)\n",
        flush=True,
    )
