"""What becomes of an operation under way when a newer one is asked for. Pure.

Nothing is ever queued: a wish is stored apart from its operation, so that the rules take it up
again. What a newer request would lose for good is refused with a remedy instead, and rules wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.domain.plan import Kind


class State(StrEnum):
    """How far an operation under way has come."""

    PENDING = "pending"
    """Nothing was sent."""
    RUNNING = "running"
    """A call was or may have been sent: it is in doubt."""
    UNTOUCHED = "untouched"
    """It was tried, and the cloud has certainly carried nothing of it out."""
    CONFIRMING = "confirming"
    """The cloud has accepted it."""


class Turn(StrEnum):
    """What a newer request does to the operation under way."""

    SUPERSEDE = "supersede"
    """It ends, and the newer one begins by looking at what is."""
    JOIN = "join"
    """It serves the newer request too."""
    REFUSE = "refuse"
    """The newer request has to wait."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What happens, and where it is a refusal, why and what would help."""

    turn: Turn
    why: str = ""
    remedy: str = ""


WAIT = "Wait for it, then ask again"
_SUPERSEDE, _JOIN = Answer(Turn.SUPERSEDE), Answer(Turn.JOIN)
_STARTING = frozenset({Kind.CREATE, Kind.RESUME})


def turn(active: Kind, state: State, newer: Kind, *, in_parts: bool = False) -> Answer:
    """Return what a request for `newer` does to `active`.

    `in_parts`: the endpoint is being made, or made again, by several calls that only the active
    operation knows to finish.
    """
    if Kind.DELETE in (active, newer):
        return _deletion(active, newer)
    if newer is Kind.CREATE:
        return _refused("an endpoint of this name is there")
    if newer is Kind.UPDATE:
        return _update(active, state, in_parts=in_parts)
    return _power(active, state, newer, in_parts=in_parts)


def _power(active: Kind, state: State, newer: Kind, *, in_parts: bool) -> Answer:
    """A wish outlives its operation, so that the newest may take the place of an older one."""
    if active is newer or (active is Kind.CREATE and newer is Kind.RESUME):
        return _JOIN
    if active is Kind.CREATE and in_parts:
        return _refused("it is not whole yet", f"{WAIT}, or delete it")
    if active is Kind.UPDATE and state is State.PENDING:
        return _refused("its change has not been sent yet", f"{WAIT}, or cancel it")
    if active is Kind.UPDATE and newer is not Kind.PAUSE and state is State.RUNNING:
        return _refused("its change has not been settled")
    return _SUPERSEDE


def _deletion(active: Kind, newer: Kind) -> Answer:
    if newer is not Kind.DELETE:
        return _refused("it is being deleted", "Wait until it is gone")
    return _JOIN if active is Kind.DELETE else _SUPERSEDE


def _update(active: Kind, state: State, *, in_parts: bool) -> Answer:
    """A change of fields must not be lost, nor take the place of what has to be put back.

    One that the cloud has carried nothing out of may be corrected.
    """
    if active in _STARTING and in_parts:
        return _refused("it is not whole yet")
    if active in _STARTING or active is Kind.UPDATE:
        if state is State.CONFIRMING or (active is Kind.UPDATE and state is State.UNTOUCHED):
            return _SUPERSEDE
        remedy = f"{WAIT}, or cancel it" if state is State.PENDING else WAIT
        return _refused("the cloud has not accepted it yet", remedy)
    return _refused("it is on its way down")


def _refused(why: str, remedy: str = WAIT) -> Answer:
    return Answer(Turn.REFUSE, why, remedy)
