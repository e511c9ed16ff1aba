"""Whether a call may still be made: asked right before it is handed to the network.

Before every call whether this process still speaks for the account; before one that changes
something also whether the operation that it is a part of is still wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Check = Callable[[], None]
_CHECK: ContextVar[Check | None] = ContextVar("permit", default=None)
_STANDING: ContextVar[Check | None] = ContextVar("standing", default=None)


class NotPermittedError(Exception):
    """No further call may be made: another worker has the account, or this one is stopping.

    Not a ProviderError: nothing was sent, and whoever meets it has no say over the account any
    more, so that it passes through every treatment of a cloud's faults.
    """


class WithdrawnError(Exception):
    """The change that this call is a part of is not wanted any more, or everything is frozen.

    Not a ProviderError: this call was not sent, and none is to follow it, so that it passes
    through every treatment of a cloud's faults. Earlier calls of the same change may have been.
    """


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


@contextmanager
def standing(check: Check) -> Iterator[None]:
    """Let `check` be asked before every changing call of the block; it raises WithdrawnError."""
    token = _STANDING.set(check)
    try:
        yield
    finally:
        _STANDING.reset(token)


def check_standing() -> None:
    """Raise WithdrawnError when the operation behind a changing call is not wanted any more.

    Drivers call it before each changing call, after what that call may have had to wait for.
    """
    check = _STANDING.get()
    if check is not None:
        check()
