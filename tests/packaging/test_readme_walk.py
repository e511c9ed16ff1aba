"""The README, typed in order against a simulated cloud, by the program as it is installed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess
from threading import Event

from orchestrator.sandbox.fleet import OWNER_TOKEN, demo_world
from orchestrator.sandbox.fleet_aws import AWS_KEY, AWS_SECRET, LLAMA_70B
from orchestrator.sandbox.server import SandboxServer
from tests.support.program import ROOT, Installed, free_port, shell_lines

ENDPOINT = "support-chat-8b-staging"
FLEET = 21  # endpoints of the namespace `acme` in the demo's fleet
TRIES = 300
BRISK = 21  # a seed with which the endpoint stops within some seconds


@contextmanager
def sandbox() -> Iterator[str]:
    """Yield the address of a cloud that lives in real time."""
    world = demo_world(datetime.now(UTC), seed=BRISK)
    with SandboxServer(world, lambda: datetime.now(UTC)) as server:
        yield server.url


def readme_commands() -> list[list[str]]:
    """Return the commands of the README that use a server, and scan, word by word."""
    lines = [
        line
        for line in shell_lines((ROOT / "README.md").read_text())
        if line.startswith("orchestrator ")
    ]
    return [words for words in map(shlex.split, lines) if words[1] != "serve"]


def pointed_at(words: list[str], cloud: str) -> list[str]:
    """Return a command with the simulated cloud in the place of the real one."""
    first = {"api_url": f"{cloud}/v2", "hub_url": cloud}
    second = {"endpoint_url": cloud}
    given: dict[str, str] = {}
    if words[1] == "scan":
        given = {f"huggingface.{key}": url for key, url in first.items()}
        given |= {f"sagemaker.{key}": url for key, url in second.items()}
    if words[1:3] == ["accounts", "add"]:
        given = second if "sagemaker" in words else first
    return [*words, *(part for key in given for part in ("--option", f"{key}={given[key]}"))]


def test_every_command_of_the_readme_works_as_typed(installed: Installed, tmp_path: Path) -> None:
    port = free_port()
    environment = {
        "HF_TOKEN": OWNER_TOKEN,
        "AWS_ACCESS_KEY_ID": AWS_KEY,
        "AWS_SECRET_ACCESS_KEY": AWS_SECRET,
        "ORCHESTRATOR_STATE_DIR": str(tmp_path / "state"),
        "ORCHESTRATOR_PORT": str(port),
        "ORCHESTRATOR_OBSERVE_INTERVAL_S": "1",
        "ORCHESTRATOR_TRANSITION_INTERVAL_S": "1",
        "COLUMNS": "200",
    }

    def orchestrator(words: list[str]) -> CompletedProcess[str]:
        return installed.run(*pointed_at(words, cloud)[1:], environment=environment)

    def wait_for_fleet() -> None:
        for _ in range(TRIES):
            listed = orchestrator(["orchestrator", "endpoints", "list", "--quiet"])
            if len(listed.stdout.split()) == FLEET:
                return
            Event().wait(0.2)
        raise AssertionError(f"the fleet was not found: {listed.stdout}{listed.stderr}")

    said: dict[str, str] = {}
    with (
        sandbox() as cloud,
        installed.running("serve", log=tmp_path / "log", environment=environment) as server,
    ):
        assert server.status(f"http://127.0.0.1:{port}/readyz") == 200
        for words in readme_commands():
            if words[1:3] == ["endpoints", "list"]:
                wait_for_fleet()
            done = orchestrator(words)
            assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
            said[" ".join(words[1:3]) if len(words) > 2 else words[1]] = done.stdout + done.stderr
    assert ENDPOINT in said["scan"]
    assert "hackathon-8b" in said["scan"]  # in another region than the rest
    assert LLAMA_70B in said["endpoints contract"]
    assert "office-hours" in said["schedules create"]
