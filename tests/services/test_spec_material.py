"""Requests on their way to the cloud: what is stored, what is kept in memory, what comes back."""

from __future__ import annotations

import json

import pytest

from orchestrator.domain.endpoints import EndpointChange, EndpointSpec, Hardware, Scaling
from orchestrator.providers.base import CredentialsError
from orchestrator.services import specs
from orchestrator.services.context import Secrets
from orchestrator.services.specs import SecretsLostError
from orchestrator.store.tables import Json, Operation
from tests.support import rows

SPEC = EndpointSpec(
    name="fresh",
    repository="acme/model",
    hardware=Hardware("aws", "us-east-1", "nvidia-l4", "x1", "gpu"),
    scaling=Scaling(0, 2, 15),
    task="text-generation",
    image={"vLLM": {"url": "registry/vllm"}},
    environment={"PLAIN": "value-0", "API_KEY": "value-1", "FROM": "env:MODEL_FLAGS"},
    secrets={"KEY": "value-2"},
    command=("serve",),
    arguments=("--fast", "yes"),
)


def operation(stored: Json) -> Operation:
    """Return an operation as it comes back from the store."""
    return rows.operation(kind="create", request=json.loads(json.dumps({"spec": stored})))


def resolve(reference: str) -> str:
    return f"resolved {reference}"


def test_a_create_comes_back_as_it_was_asked_for() -> None:
    parcel = specs.pack(SPEC)
    found = specs.to_spec(*specs.material(operation(parcel.stored), parcel.secrets, resolve))
    expected = {"PLAIN": "value-0", "API_KEY": "value-1", "FROM": "resolved env:MODEL_FLAGS"}
    assert found.environment == expected
    assert found.secrets == {"KEY": "value-2"}
    for name in ("name", "repository", "hardware", "scaling", "task", "image", "command"):
        assert getattr(found, name) == getattr(SPEC, name)
    assert (found.arguments, found.revision, found.framework) == (SPEC.arguments, None, "pytorch")


def test_secret_values_are_not_in_what_is_stored() -> None:
    parcel = specs.pack(SPEC)
    text = json.dumps(parcel.stored)
    assert "value-1" not in text
    assert "value-2" not in text
    assert parcel.stored["environment"] == {
        "references": {"FROM": "env:MODEL_FLAGS"},
        "values": ["API_KEY"],
        "plain": {"PLAIN": "value-0"},
    }
    assert parcel.secrets == Secrets({"API_KEY": "value-1"}, {"KEY": "value-2"})


@pytest.mark.parametrize(
    ("key", "value", "plain"),
    [
        ("MAX_TOKENS", "4096", True),
        ("MODE", "fast", True),
        ("HF_TOKEN", "correct-horse", False),
        ("URL", "https://ada:horse@example.com", False),
    ],
)
def test_only_values_that_look_harmless_are_stored(key: str, value: str, plain: bool) -> None:
    change = EndpointChange(environment={key: value}, secrets={key: value})
    parcel = specs.pack(change)
    assert parcel.stored["secrets"] == {"references": {}, "values": [key]}
    assert (value in json.dumps(parcel.stored["environment"])) is plain
    assert parcel.secrets == Secrets({} if plain else {key: value}, {key: value})
    found = specs.material(operation(parcel.stored), parcel.secrets, resolve)
    assert specs.to_change(*found) == change


def test_plain_environment_values_survive_a_restart() -> None:
    change = EndpointChange(environment={"MODE": "fast"})
    stored = specs.pack(change).stored
    assert specs.to_change(*specs.material(operation(stored), None, resolve)) == change


def test_only_what_is_stored_plainly_may_be_shown() -> None:
    parcel = specs.pack(SPEC)
    found = specs.material(operation(parcel.stored), parcel.secrets, resolve)
    assert set(specs.hidden(*found)) == {"value-1", "value-2", "resolved env:MODEL_FLAGS"}


@pytest.mark.parametrize("kept", [None, Secrets(), Secrets({"API_KEY": "value-1"})])
def test_lost_values_fail_with_a_remedy(kept: Secrets | None) -> None:
    with pytest.raises(SecretsLostError, match="ask again, or give references"):
        specs.material(operation(specs.pack(SPEC).stored), kept, resolve)


def test_references_survive_a_restart() -> None:
    change = EndpointChange(secrets={"KEY": "file:/run/key"})
    stored = specs.pack(change).stored
    found = specs.to_change(*specs.material(operation(stored), None, resolve))
    assert found == EndpointChange(secrets={"KEY": "resolved file:/run/key"})


def test_a_reference_that_leads_nowhere_is_a_credentials_error() -> None:
    stored = specs.pack(EndpointChange(secrets={"KEY": "env:NOT_SET_ANYWHERE"})).stored
    with pytest.raises(CredentialsError, match="NOT_SET_ANYWHERE"):
        specs.material(operation(stored), None)


@pytest.mark.parametrize(
    "change",
    [
        EndpointChange(),
        EndpointChange(scaling=Scaling(1, 1)),
        EndpointChange(hardware=SPEC.hardware, revision="main"),
        EndpointChange(command=(), arguments=("a",), image={"tgi": {}}),
        EndpointChange(environment={}),
    ],
)
def test_a_change_comes_back_with_nothing_added(change: EndpointChange) -> None:
    stored = specs.pack(change).stored
    assert specs.to_change(*specs.material(operation(stored), None, resolve)) == change
