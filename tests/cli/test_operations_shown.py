"""An operation as people see it: what is usual for it, and steps that were repeated."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Cli, StubApi, operation

STEPS = [
    {"name": "pause", "at": "2026-03-02T12:00:00Z", "state": "begun", "detail": "attempt 1"},
    {
        "name": "pause",
        "at": "2026-03-02T12:00:01Z",
        "state": "refused for now",
        "detail": "it is updating",
        "times": 391,
        "last_at": "2026-03-02T15:20:00Z",
    },
]


def test_repeated_steps_are_one_line_with_their_number(api_cli: Cli, stub: StubApi) -> None:
    stub.on("GET", "/v1/operations/op_1", operation(steps=STEPS))
    lines = [
        line for line in api_cli("operations", "show", "op_1").out.splitlines() if "pause:" in line
    ]
    assert lines[0].endswith("pause: begun attempt 1")
    assert lines[1].endswith("it is updating (391 times, last 2026-03-02 15:20 UTC)")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"status": "confirming"}, True),
        ({"status": "confirming", "stuck_since": "2026-03-02T12:00:00Z"}, False),
        ({"status": "succeeded"}, False),
    ],
)
def test_what_is_usual_is_told_while_it_is_under_way(
    api_cli: Cli, stub: StubApi, changes: dict[str, str], told: bool
) -> None:
    stub.on("GET", "/v1/operations/op_1", operation(usual_seconds=600, **changes))
    found = [
        one for one in api_cli("operations", "show", "op_1").out.splitlines() if "takes" in one
    ]
    assert [line.split(maxsplit=1)[1] for line in found] == ["usually 10 min"] * told
