"""Slack, e-mail and the rest, through apprise: it answers only whether it was taken."""

from __future__ import annotations

import logging
import threading
import warnings
from functools import cache
from typing import Any

from orchestrator.channels.message import AddressError, Message, Outcome
from orchestrator.channels.quiet import TooLongError, within

LIMIT_S = 40.0
CONNECT_S, READ_S = 8.0, 15.0
_LOGGER = "apprise"
_TYPES = {"info": "info", "warning": "warning", "critical": "failure"}
_loading = threading.Lock()
# Attempts that did not end in time, by address: another one would only join them.
_hanging: dict[str, threading.Event] = {}


def send(url: str, message: Message) -> Outcome:
    """Send one message to one address of apprise."""
    hung = _hanging.get(url)
    if hung is not None and not hung.is_set():
        return Outcome("the attempt before has still not ended")
    ended = threading.Event()
    found: list[bool] = []

    def work() -> None:
        try:
            found.append(_notify(url, message))
        finally:
            ended.set()

    try:
        within(LIMIT_S, work)
    except TooLongError as error:
        _hanging[url] = ended
        return Outcome(str(error))
    except AddressError as error:
        return Outcome(str(error))
    except Exception as error:  # noqa: BLE001 - a plugin's own errors, whose texts may hold addresses
        return Outcome(f"the service's plugin failed ({type(error).__name__})")
    return Outcome() if found[0] else Outcome("the service did not take it")


def check(url: str) -> None:
    """Raise AddressError unless apprise knows how to reach an address."""
    _service(url)


def _notify(url: str, message: Message) -> bool:
    made = _service(url)
    return bool(
        made.notify(body=message.text, title=message.title, notify_type=_TYPES[message.severity])
    )


def _service(url: str) -> Any:
    """Return an apprise object for exactly one address."""
    made = _library().Apprise()
    if not made.add(url):
        raise AddressError("apprise does not know such an address; see its list of services")
    if len(made) != 1:
        raise AddressError("it names several services; make a target for each")
    service = made[0]
    service.socket_connect_timeout, service.socket_read_timeout = CONNECT_S, READ_S
    return made


@cache
def _library() -> Any:
    """Return apprise with its plugins loaded and its log, which tells addresses, switched off."""
    with _loading, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its plugins, about modules of Python that will go
        import apprise  # noqa: PLC0415 - it takes long to load, and few processes send

        logger = logging.getLogger(_LOGGER)
        logger.propagate = False
        logger.disabled = True
        apprise.Apprise.instantiate("json://localhost")
    return apprise
