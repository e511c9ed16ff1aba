"""Refusals that carry more than a message, shared by all drivers."""

from __future__ import annotations

from orchestrator.domain.endpoints import Snapshot
from orchestrator.providers.base import RefusedError


class EchoMismatchError(RefusedError):
    """The cloud accepted a change and made something else of it; the endpoint EXISTS.

    `snapshot` is what there is now; `asked` and `echoed` hold the fields that differ.
    """

    def __init__(
        self, message: str, *, snapshot: Snapshot, asked: dict[str, str], echoed: dict[str, str]
    ) -> None:
        super().__init__(message)
        self.snapshot = snapshot
        self.asked = asked
        self.echoed = echoed
