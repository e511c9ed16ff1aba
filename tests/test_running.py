"""How the tests are started: what runs beside them, and in which order they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.beside import INTERRUPTED
from tests.support.spreading import LONG, TOGETHER, spread

ROOT = Path(__file__).parents[1]
HISTORIES, *KILLS = LONG
(PACKAGING,) = TOGETHER
NAMES = [
    *(f"tests/api/test_a.py::test[{number}]" for number in range(300)),
    *(f"{KILLS[1]}[{number}]" for number in range(9)),
    KILLS[0],
    *(f"{PACKAGING}test_p.py::test[{number}]" for number in range(5)),
    *(f"{HISTORIES}[{number}]" for number in range(24)),
    *(f"tests/store/test_z.py::test[{number}]" for number in range(61)),
]


FOREVER = "import os, signal; print(os.getpid(), flush=True); signal.pause()"


def command(first: str, second: str) -> list[str]:
    python = [sys.executable, "-c"]
    return [sys.executable, "-m", "tests.support.beside", *python, first, "--", *python, second]


def run_beside(first: str, second: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(first, second), cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def test_what_ran_beside_is_told_last() -> None:
    done = run_beside("print('types')", "print('tests')")
    assert (done.returncode, done.stdout) == (0, "tests\ntypes\n")


@pytest.mark.parametrize("failing", [0, 1])
def test_either_can_fail_the_whole(failing: int) -> None:
    commands = ["print('one')", "print('two')"]
    commands[failing] += "; raise SystemExit(2)"
    done = run_beside(*commands)
    assert (done.returncode, done.stdout) == (1, "two\none\n")


def test_whoever_ends_it_ends_both() -> None:
    with subprocess.Popen(
        command(FOREVER, FOREVER), cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        ahead = int(process.stdout.readline())
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 2
        assert str(ahead) in children
        process.terminate()
        assert process.wait(timeout=60) == INTERRUPTED
    assert not [child for child in children if Path("/proc", child).exists()]


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_each_worker_begins_with_its_share_of_the_long_tests(workers: int) -> None:
    found = spread(NAMES, str, workers)
    assert sorted(found) == sorted(NAMES)
    long = {one for one in NAMES if one.startswith((*LONG, *TOGETHER))}
    left, beginnings = list(found), []
    for others in range(workers, 0, -1):  # as `worksteal` deals them out
        size = len(left) // others
        mine, left = left[:size], left[size:]
        count = sum(one in long for one in mine)
        assert long.isdisjoint(mine[count:])
        beginnings.append([one for one in mine[:count] if one.startswith(HISTORIES)])
    assert max(map(len, beginnings)) - min(map(len, beginnings)) <= len(NAMES) // 20
    assert [one for one in found if one.startswith(PACKAGING)] == NAMES[310:315]


def test_a_few_tests_stay_as_they_are() -> None:
    assert spread(NAMES[:7], str, 3) == NAMES[:7]
