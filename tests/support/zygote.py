"""Real worker processes at once: a program that has imported everything forks them on demand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

READY = "ready"
PATIENCE_S = 30.0


class FastClock:
    """Virtual time that all processes of a test share: so much faster than the wall, since then."""

    def __init__(self, start: datetime, began: float, speed: float) -> None:
        self._start, self._began, self.speed = start, began, speed

    def now(self) -> datetime:
        return self._start + timedelta(seconds=(time.time() - self._began) * self.speed)

    def told(self) -> list[float]:
        """Return what another process makes the same clock from."""
        return [self._start.timestamp(), self._began, self.speed]


class Zygote:
    """Starts workers; a context manager, at whose end all that it started are dead."""

    def __init__(self, folder: Path) -> None:
        self._log = (folder / "workers.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.support.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            start_new_session=True,
        )
        assert self._told() == READY

    def start(
        self,
        url: str,
        folder: Path,
        clock: FastClock,
        secrets: dict[str, str],
        *,
        patience_s: float = 30,
    ) -> int:
        """Return the process id of a new worker over a store, at work in a moment.

        It waits so many seconds of the wall's for an answer of its clouds.
        """
        order = {
            "url": url,
            "folder": str(folder),
            "clock": clock.told(),
            "secrets": secrets,
            "patience_s": patience_s,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._told())

    def _told(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def __enter__(self) -> Zygote:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                stream.close()


def kill(worker: int) -> None:
    """Kill a worker, and wait until the kernel has taken all that it held."""
    os.kill(worker, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < deadline, "a killed process stays"
        time.sleep(0.002)


def _work(order: dict[str, Any]) -> None:
    """Be a worker until somebody kills this process."""
    from orchestrator.cli import runtime  # noqa: PLC0415 - imported before by the parent
    from orchestrator.engine.engine import Cadence  # noqa: PLC0415
    from orchestrator.settings import Settings  # noqa: PLC0415

    start, began, speed = order["clock"]
    os.environ.update(order["secrets"])
    clock = FastClock(datetime.fromtimestamp(start, UTC), began, speed)
    beat = timedelta(seconds=speed * 0.1)
    cadence = Cadence(rest=beat * 2, transition=beat, rates=beat * 10_000)
    setattr(runtime, "cadence_of", lambda _: cadence)  # noqa: B010 - settings count whole seconds
    settings = Settings(
        database_url=str(order["url"]),
        state_dir=Path(str(order["folder"])),
        read_timeout_s=float(order["patience_s"]),
    )
    with runtime.service(settings, clock=clock, speed=speed):
        while True:
            signal.pause()


def _rehearse() -> None:
    """Do once what each worker would do first: load modules, map tables, compile statements."""
    import httpx2  # noqa: PLC0415 - by the program alone, not by whoever starts it
    import pytest  # noqa: PLC0415

    from tests.simulator import places  # noqa: PLC0415
    from tests.support import sharing  # noqa: PLC0415

    sharing.share_compiled_statements(pytest.MonkeyPatch())
    with tempfile.TemporaryDirectory() as folder:
        places.build(Path(folder), places.FLAVOURS["both"])
    httpx2.Client().close()
    sharing.leave_what_is_loaded_alone()
    assert threading.active_count() == 1, "a thread does not outlive a fork"


def _main() -> None:
    import boto3  # noqa: F401, PLC0415 - so that no worker has to
    import psycopg  # noqa: F401, PLC0415

    import orchestrator.cli.runtime  # noqa: F401, PLC0415

    _rehearse()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the dead
    print(READY, flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(0)
            os.dup2(2, 1)
            _work(json.loads(line))
        print(child, flush=True)


if __name__ == "__main__":
    _main()
