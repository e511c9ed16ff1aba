"""Sends one message to one target: references are resolved now, and kept nowhere."""

from __future__ import annotations

import re
from collections.abc import Callable

from orchestrator.channels import push, webhook
from orchestrator.channels.message import Message, Outcome
from orchestrator.channels.webhook import Webhook
from orchestrator.clock import Clock, SystemClock
from orchestrator.providers.base import CredentialsError
from orchestrator.providers.credentials import SHARED_REFERENCES, resolve_credential
from orchestrator.store.tables import NotificationTarget

WEBHOOK, APPRISE = "webhook", "apprise"
Send = Callable[[NotificationTarget, Message], Outcome]


def is_reference(text: str) -> bool:
    """Tell whether a text is `env:NAME` or `file:/path`."""
    return re.fullmatch(SHARED_REFERENCES, text) is not None


class Sender:
    """Sends to targets of every kind.

    Receivers compare the time of a signature with their own, so that it is of the real clock.
    """

    def __init__(self, *, private: bool, clock: Clock | None = None) -> None:
        self._private, self._clock = private, clock or SystemClock()

    def __call__(self, target: NotificationTarget, message: Message) -> Outcome:
        """Send a message; what goes wrong is in the outcome."""
        try:
            address = _value(target.address)
            if target.kind == APPRISE:
                return push.send(address, message)
            references = (target.secret_ref, target.old_secret_ref)
            secrets = [resolve_credential(reference) for reference in references if reference]
        except CredentialsError as error:
            return Outcome(str(error))
        return webhook.send(Webhook(address, secrets, self._private), message, self._clock)


def _value(address: str) -> str:
    return resolve_credential(address) if is_reference(address) else address
