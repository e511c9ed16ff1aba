"""Whether a call may still be made: asked right before it is handed to the network.

Before every call whether this process still speaks for the account; before a change, and before
the call of it that decides, also whether the operation behind it is still wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

Check = Callable[[], None]
_CHECK: ContextVar[Check | None] = ContextVar("permit", default=None)


class NotPermittedError(Exception):
    """No further call may be made: another worker has the account, or this one is stopping.

    Not a ProviderError: nothing was sent, and whoever meets it has no say over the account any
    more, so that it passes through every treatment of a cloud's faults.
    """


class WithdrawnError(Exception):
    """The change that a call would begin or decide is not wanted: `for_now`, while all is frozen.

    Not a ProviderError: this call was not sent, and whatever was before it of the same change has
    no effect on an endpoint, so that it passes through every treatment of a cloud's faults.
    """

    def __init__(self, message: str = "", *, for_now: bool = False) -> None:
        super().__init__(message)
        self.for_now = for_now


@contextmanager
def permitted(check: Check) -> Iterator[None]:
    """Let `check` be asked before every call of the block; it raises NotPermittedError.

    A thread that the block starts inherits it only through `contextvars.copy_context`.
    """
    token = _CHECK.set(check)
    try:
        yield
    finally:
        _CHECK.reset(token)


def check_permit() -> None:
    """Raise NotPermittedError when the pass that this belongs to may make no further call.

    Drivers call it last of all before a request is handed to the network. Outside of a pass, such
    as in a person's request, everything is permitted.
    """
    check = _CHECK.get()
    if check is not None:
        check()


@dataclass(slots=True)
class Change:
    """One change at a cloud, of one call or several; `check` raises WithdrawnError.

    `calls` are those that the cloud has carried out for certain, in order, by its own names;
    `effective`, whether one of them has an effect on an endpoint.
    """

    check: Check
    begun: bool = False
    calls: list[str] = field(default_factory=list)
    effective: bool = False


_STANDING: ContextVar[Change | None] = ContextVar("standing", default=None)


@contextmanager
def standing(check: Check) -> Iterator[Change]:
    """Let `check` be asked whether the change of this block is wanted; yield what is done of it."""
    change = Change(check)
    token = _STANDING.set(change)
    try:
        yield change
    finally:
        _STANDING.reset(token)


@contextmanager
def unasked() -> Iterator[None]:
    """Let the calls of the block be no part of any change, such as those that ask for rights."""
    token = _STANDING.set(None)
    try:
        yield
    finally:
        _STANDING.reset(token)


def check_standing() -> None:
    """Raise WithdrawnError when the change that this call begins is not wanted any more.

    Drivers call it last of all before a changing call is handed to the network. What has begun is
    brought to its end: half a change would be nobody's wish. But see `ask_again`.
    """
    change = _STANDING.get()
    if change is not None and not change.begun:
        change.check()
        change.begun = True


def ask_again() -> None:
    """Let the next changing call be asked for too: what was sent so far has no effect by itself.

    Drivers call it before the call of a change that makes, removes or updates an endpoint.
    """
    change = _STANDING.get()
    if change is not None:
        change.begun = False


def note_call(name: str, *, effective: bool = True) -> None:
    """Note that the cloud has carried out a call of the change under way, if one is."""
    change = _STANDING.get()
    if change is not None:
        change.calls.append(name)
        change.effective = change.effective or effective
