"""Whether this process may still speak for an account: asked right before every call of a pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Check = Callable[[], None]
_CHECK: ContextVar[Check | None] = ContextVar("permit", default=None)


class NotPermittedError(Exception):
    """No further call may be made: another worker has the account, or this one is stopping.

    Not a ProviderError: nothing was sent, and whoever meets it has no say over the account any
    more, so that it passes through every treatment of a cloud's faults.
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
