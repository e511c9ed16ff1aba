"""Runs one command while another runs, and prints what the first said once both are over.

As a program: `beside FIRST … -- SECOND …`. It fails when either does. Ctrl+C and SIGTERM end both.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import IO, Any, NoReturn

BETWEEN = "--"
INTERRUPTED = 128 + signal.SIGINT


def beside(first: Sequence[str], second: Sequence[str]) -> int:
    """Return 0 when both commands succeeded, 1 when one of them failed."""
    signal.signal(signal.SIGTERM, _end)
    started: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryFile() as said:
        try:
            started.append(subprocess.Popen(first, stdout=said, stderr=subprocess.STDOUT))
            started.append(subprocess.Popen(second))
            codes = [process.wait() for process in reversed(started)]
        except (KeyboardInterrupt, SystemExit) as end:
            # Ctrl+C reaches the second by itself, and once is enough: it tidies up.
            for process in started[:1] if isinstance(end, KeyboardInterrupt) else started:
                process.terminate()
            for process in started:
                process.wait()
            return INTERRUPTED
        _repeat(said)
    return int(any(codes))


def _end(*_: object) -> NoReturn:
    raise SystemExit


def _repeat(said: IO[Any]) -> None:
    said.seek(0)
    print(said.read().decode(errors="replace"), end="", flush=True)


if __name__ == "__main__":
    at = sys.argv.index(BETWEEN)
    sys.exit(beside(sys.argv[1:at], sys.argv[at + 1 :]))
