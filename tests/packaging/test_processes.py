"""The processes of docker-compose.yml, without containers: one API, one worker, Postgres."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from orchestrator.sandbox.fleet import OWNER_TOKEN, demo_world
from orchestrator.sandbox.server import SandboxServer
from tests.support.program import Installed, free_port

TRIES = 300


def test_api_and_worker_share_a_store_and_end_when_asked(
    installed: Installed, empty_postgres_url: str, tmp_path: Path
) -> None:
    environment = {
        "HF_TOKEN": OWNER_TOKEN,
        "ORCHESTRATOR_DATABASE_URL": empty_postgres_url,
        "ORCHESTRATOR_STATE_DIR": str(tmp_path / "state"),
        "ORCHESTRATOR_PORT": str(free_port()),
        "ORCHESTRATOR_PUBLIC_URL": "http://127.0.0.1:8080",
        "ORCHESTRATOR_LOG_FORMAT": "json",
    }
    world = demo_world(datetime.now(UTC))
    api_log, worker_log = tmp_path / "api.log", tmp_path / "worker.log"
    serve = ("serve", "--no-engine", "--host", "127.0.0.1")

    def api(*arguments: str) -> str:
        done = installed.run(*arguments, environment=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    api("db", "upgrade")
    with (
        SandboxServer(world, lambda: datetime.now(UTC)) as cloud,
        installed.running(
            *serve, log=api_log, end=signal.SIGTERM, environment=environment
        ) as server,
    ):
        assert server.status(f"http://127.0.0.1:{environment['ORCHESTRATOR_PORT']}/readyz") == 200
        options = ("--option", f"api_url={cloud.url}/v2", "--option", f"hub_url={cloud.url}")
        api("accounts", "add", "acme", "--namespace", "acme", "--no-wait", *options)
        assert api("endpoints", "list", "--quiet") == ""
        with installed.running(
            "worker", log=worker_log, end=signal.SIGTERM, environment=environment
        ):
            for _ in range(TRIES):
                if "search-embed" in api("endpoints", "list"):
                    break
                Event().wait(0.2)
            else:
                raise AssertionError(f"the worker found nothing: {worker_log.read_text()}")
            with installed.running(
                "worker", log=tmp_path / "second.log", end=signal.SIGTERM, environment=environment
            ):
                pass  # on Postgres a second one may join at any time
        assert installed.run("endpoints", "list", environment=environment).returncode == 0


def test_a_second_engine_is_refused_in_one_line(installed: Installed, tmp_path: Path) -> None:
    port = str(free_port())
    environment = {"ORCHESTRATOR_STATE_DIR": str(tmp_path / "state"), "ORCHESTRATOR_PORT": port}
    with installed.running("serve", log=tmp_path / "log", environment=environment) as server:
        assert server.status(f"http://127.0.0.1:{port}/readyz") == 200
        second = installed.run("worker", environment=environment)
    assert second.returncode != 0
    assert len(second.stderr.strip().splitlines()) == 1, second.stderr
