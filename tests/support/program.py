"""The program as it is installed from its wheel, and what it takes to build and run it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import httpx2

ROOT = Path(__file__).parents[2]
PATIENCE = 600  # tenths of a second that a slow machine may take to start


@dataclass(frozen=True, slots=True)
class Server:
    """The program while it serves."""

    process: subprocess.Popen[bytes]
    log: Path

    def status(self, url: str) -> int:
        """Return the status of a page, once something listens there."""
        for _ in range(PATIENCE):
            try:
                return httpx2.get(url, timeout=120).status_code
            except httpx2.ConnectError:
                if self.process.poll() is not None:
                    break
                Event().wait(0.1)
        raise AssertionError(f"nothing listens at {url}: {self.log.read_text()[-2000:]}")


@dataclass(frozen=True, slots=True)
class Installed:
    """The program as a user has it, and a folder to start it from."""

    program: Path
    folder: Path

    def run(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the program to its end."""
        return subprocess.run(
            [self.program, *arguments],
            cwd=self.folder,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @contextmanager
    def running(
        self,
        *arguments: str,
        log: Path,
        end: signal.Signals = signal.SIGINT,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[Server]:
        """Run the program in the background; when the block ends, so does it, as if by Ctrl+C."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                [self.program, *arguments],
                cwd=self.folder,
                env={**os.environ, **(environment or {})},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Server(process, log)
        finally:
            process.send_signal(end)
            code = process.wait(timeout=60)
        assert code in (0, 128 + end, -end), f"ended with {code}: {log.read_text()[-2000:]}"


def build(source: Path, target: str, folder: Path) -> Path:
    """Build a wheel or sdist of `source` without network and return its file."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", folder],
        cwd=source,
        check=True,
        capture_output=True,
    )
    return next(path for path in folder.iterdir() if path.suffix in (".whl", ".gz"))


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def shell_lines(text: str) -> list[str]:
    """Return the lines of every shell block of a Markdown text."""
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]
