"""What a whole run of the simulator must have played, so that it cannot silently shrink."""

from __future__ import annotations

from collections import Counter

from tests.simulator.deaths import POINTS
from tests.simulator.menu import AWS_SWITCHES, KINDS, SWITCHES
from tests.simulator.tally import DIFFERENT, Tally, middle

ORDER = (
    "histories",
    "different",
    "after the last step",
    "flavours",
    "steps",
    "deaths",
    "faults",
    "switches",
    "rules that acted",
    "idle stops",
    "ends",
    "operations",
    "updates kept",
    "hand-overs",
    "late",
    "clock",
    "by hand",
    "changing calls",
    "requests",
    "keys",
    "rules asked again",
    "bills compared",
    "passes to rest",
)
# `make test` plays the first of all chunks, `make soak` begins with the others.
CHUNKS = 20
HISTORIES = 2000
# So many must differ: each part begins with some of the simplest, which are alike in all.
DISTINCT = 1800
STEPS = 20
# Kinds of operations that must have succeeded, and rules that must have acted.
OPERATIONS = ("create", "delete", "pause", "resume", "scale_to_zero", "update")
RULES = ("schedule", "idle", "hold", "expired", "deletion")
# Requests that take something back, and were accepted.
TAKEN_BACK = (
    "DELETE allow-recreate 200",
    "DELETE expiry 200",
    "DELETE freeze 200",
    "DELETE holds 200",
    "DELETE leases 200",
    "POST release 200",
    "POST undelete 200",
)
# What has an end or a time.
ENDS = (
    "calendar.saved",
    "endpoint.expired",
    "endpoint.expiry_set",
    "endpoint.expiry_warned",
    "expired at rest",
    "lease.acquired",
    "lease.expired",
    "lease.released",
    "point.dropped",
    "point.fired",
)


def shortfalls(tally: Tally) -> list[str]:
    """Return what was played too little; nothing for a run of some chunks only."""
    if tally.number("chunks", "played") < CHUNKS:
        return []
    found = []
    if tally.number("histories", "all") < HISTORIES:
        found.append(f"{HISTORIES} histories")
    if len(tally.groups.get(DIFFERENT, ())) < DISTINCT:
        found.append(f"{DISTINCT} different histories")
    if middle(tally.groups.get("steps", Counter())) < STEPS:
        found.append(f"a median of {STEPS} steps")
    for group, names in _wanted().items():
        found += [f"{group}: {name}" for name in names if not tally.number(group, name)]
    return found


def _wanted() -> dict[str, list[str]]:
    switches = [f"{name}={value}" for name, values in SWITCHES.items() for value in values]
    switches += [f"aws {name}={value}" for name, values in AWS_SWITCHES.items() for value in values]
    return {
        "flavours": ["huggingface", "sagemaker", "both"],
        "faults": list(KINDS),
        "deaths": list(POINTS),
        "switches": switches,
        "operations": [f"{kind} succeeded" for kind in OPERATIONS],
        "rules that acted": list(RULES),
        "ends": list(ENDS),
        "updates kept": ["huggingface", "sagemaker"],
        "idle stops": ["scale-to-zero"],
        "requests": list(TAKEN_BACK),
        "hand-overs": ["taken"],
        "late": ["landed"],
        "clock": ["downtime", "set back", "set forward"],
        "keys": ["same answer"],
    }
