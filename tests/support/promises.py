"""A promise that holds at the end of any story on a stage: operations are explained (I7)."""

from __future__ import annotations

from tests.support.stage import Stage


def check_explained(stage: Stage) -> None:
    """Each operation that was begun was announced with its reason, and sent no more than tried."""
    told = {event.operation_id for event in stage.events("operation.requested")}
    operations = stage.operations()
    assert {op.id for op in operations} <= told
    assert all(op.reason for op in operations)
    assert len(stage.changes()) <= sum(max(op.attempts, 1) for op in operations)
