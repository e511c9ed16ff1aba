"""What a cloud says about a refused change shows none of the secret values sent to it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import cast

import pytest

from orchestrator.domain.endpoints import (
    EndpointChange,
    EndpointSpec,
    Hardware,
    Scaling,
    Snapshot,
)
from orchestrator.domain.plan import Kind
from orchestrator.engine.calls import Calls
from orchestrator.providers.base import Provider, ProviderError, RefusedError, ThrottledError
from orchestrator.providers.errors import EchoMismatchError
from orchestrator.services import specs
from orchestrator.services.context import Vault
from orchestrator.store.tables import Operation
from tests.support import rows

KEY = 'correct "horse"\n battery'
SPEC = EndpointSpec(
    name="search",
    repository="acme/model",
    hardware=Hardware("aws", "us-east-1", "nvidia-l4", "x1", "gpu"),
    scaling=Scaling(0, 1),
    environment={"MODE": "fast", "DB_PASSWORD": "staple-of-words"},
    secrets={"KEY": KEY, "SHORT": "correct"},
)


class Refusing:
    """A driver that refuses every create and update with one error."""

    def __init__(self, error: ProviderError) -> None:
        self.error = error

    def create_endpoint(self, spec: EndpointSpec) -> Snapshot:
        assert spec == SPEC
        raise self.error

    def update_endpoint(self, name: str, change: EndpointChange) -> Snapshot:
        assert name == "search"
        assert change.secrets == SPEC.secrets
        raise self.error


def refused(kind: Kind, error: ProviderError) -> ProviderError:
    """Return the error that comes out of sending a create or an update."""
    change = EndpointChange(environment=SPEC.environment, secrets=SPEC.secrets)
    parcel = specs.pack(SPEC if kind is Kind.CREATE else change)
    operation: Operation = rows.operation(kind=kind, request={"spec": parcel.stored})
    vault = Vault()
    vault.put(operation.id, parcel.secrets)
    with pytest.raises(type(error)) as caught:
        Calls(cast("Provider", Refusing(error)), vault).send(operation, None)
    return caught.value


@pytest.mark.parametrize("kind", [Kind.CREATE, Kind.UPDATE])
@pytest.mark.parametrize(
    "echo",
    [
        KEY,
        json.dumps({"KEY": KEY}),
        'KEY=correct "horse" battery',
        "DB_PASSWORD=staple-of-words",
        "DB_PASSWORD=staple-of-w",
        'KEY=correct "hor; try again',
    ],
)
def test_an_echoed_secret_is_masked(kind: Kind, echo: str) -> None:
    found = str(refused(kind, RefusedError(f"400: bad value {echo} in mode fast", status=400)))
    for part in ("horse", "hor", "correct", "staple", "battery"):
        assert part not in found
    assert "***" in found
    assert found.startswith("400: bad value ")
    assert found.endswith(" in mode fast")


def test_what_else_an_error_tells_stays() -> None:
    wait = timedelta(seconds=7)
    error = ThrottledError("correct", retry_after=wait, status=429, request_id="r1")
    found = refused(Kind.CREATE, error)
    assert isinstance(found, ThrottledError)
    assert (str(found), found.status, found.request_id) == ("***", 429, "r1")
    assert found.retry_after == wait


def test_a_mismatch_keeps_its_snapshot() -> None:
    seen = cast("Snapshot", object())
    error = EchoMismatchError(
        "got staple-of-words", snapshot=seen, asked={"task": "a"}, echoed={"task": "b"}
    )
    found = refused(Kind.UPDATE, error)
    assert isinstance(found, EchoMismatchError)
    assert (str(found), found.asked, found.echoed) == ("got ***", {"task": "a"}, {"task": "b"})
    assert found.snapshot is seen
