"""Keeps libraries from logging addresses, which may be secrets, and from taking too long."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_local = threading.local()
# They log paths of addresses when they are told to log everything.
_TALKATIVE = ("urllib3.connectionpool", "urllib3.util.retry")


class TooLongError(Exception):
    """An attempt did not end in time; whether it arrived is not known."""


class _Hush(logging.Filter):
    """Drops what is logged by a thread while it sends."""

    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return not getattr(_local, "sending", False)


class _Grave(logging.Filter):
    """Drops what is not at least a warning, from any thread."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING


_HUSH, _GRAVE = _Hush(), _Grave()


@contextmanager
def hushed() -> Iterator[None]:
    """Let nothing that this thread logs reach any handler; what counts is in the outcome."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_HUSH)
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_GRAVE)
    _local.sending = True
    try:
        yield
    finally:
        _local.sending = False


@dataclass
class _Attempt:
    work: Callable[[], None]
    error: BaseException | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        try:
            with hushed():
                self.work()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self.error = error
        finally:
            self.ended.set()


def within(seconds: float, work: Callable[[], None]) -> None:
    """Run `work` in a thread of its own and wait for it; what it raises is raised here.

    Raises TooLongError where it takes longer; it then goes on alone, and cannot hold up the exit.
    """
    attempt = _Attempt(work)
    threading.Thread(target=attempt.run, name="notify", daemon=True).start()
    if not attempt.ended.wait(seconds):
        raise TooLongError(f"no answer within {seconds:.0f} s")
    if attempt.error is not None:
        raise attempt.error
