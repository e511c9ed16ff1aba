"""What is sent to people, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


class AddressError(ValueError):
    """An address or a signing secret cannot be used; the text says why, never what it was."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: `payload` as JSON for programs, `title` and `text` for people.

    Its id is the same at every attempt, so that a receiver drops what it has already.
    """

    id: str
    severity: str
    title: str
    text: str
    payload: bytes = b"{}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt; `error` is empty where the message was taken.

    `refused` means that the receiver works and does not take this very message.
    """

    error: str = ""
    refused: bool = False
    retry_after: timedelta | None = None

    @property
    def delivered(self) -> bool:
        """Whether the receiver has taken the message."""
        return not self.error
