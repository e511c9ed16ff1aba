"""From an operation's record to the one call on the driver that carries it out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from orchestrator.domain.endpoints import EndpointChange, Scaling, Snapshot
from orchestrator.domain.plan import Kind
from orchestrator.domain.status import Status
from orchestrator.providers.base import Provider, ProviderError, RefusedError
from orchestrator.providers.redaction import redact
from orchestrator.services import specs
from orchestrator.services.context import Secrets, Vault
from orchestrator.store.tables import Endpoint, Json, Operation

# A message that was cut short may end within a secret; less than this much of it tells little.
SHORTEST_PART = 8
LONGEST_PART = 1000
# States in which a creation that found no capacity is made again from what was kept of it.
DOWN = (Status.PAUSED, Status.STOPPING, Status.FAILED, Status.WAITING_FOR_CAPACITY)


class Calls:
    """Sends the call of an operation; secret values come from the vault or by reference."""

    def __init__(self, provider: Provider, vault: Vault) -> None:
        self._provider = provider
        self._vault = vault

    def send(self, operation: Operation, endpoint: Endpoint | None) -> Snapshot | None:
        """Make the call. Raises ProviderError, whose message shows none of the secret values
        that were sent; RefusedError when they are lost.
        """
        kept: Json = {} if endpoint is None else endpoint.kept
        stored: Json = {}
        secrets = Secrets()
        if operation.kind == Kind.CREATE and (endpoint is None or endpoint.status not in DOWN):
            kept = {}  # it is up: what it still lacks is made as it was asked for
        if operation.kind == Kind.UPDATE or (operation.kind == Kind.CREATE and not kept):
            stored, secrets = self._material(operation)
        try:
            return self._make(operation, stored, secrets, kept)
        except ProviderError as error:
            error.args = (masked(str(error), specs.hidden(stored, secrets)), *error.args[1:])
            raise

    def _make(  # noqa: PLR0911 - one return per kind of call
        self, operation: Operation, stored: Json, secrets: Secrets, kept: Json
    ) -> Snapshot | None:
        name = operation.endpoint_name
        match Kind(operation.kind):
            case Kind.PAUSE:
                return self._provider.pause_endpoint(name, kept)
            case Kind.RESUME:
                return self._provider.resume_endpoint(name, kept)
            case Kind.SCALE_TO_ZERO:
                return self._provider.scale_to_zero(name)
            case Kind.DELETE:
                self._provider.delete_endpoint(name, kept)
                return None
            case Kind.CREATE if kept:  # it failed for want of capacity: made again as it was
                return self._provider.resume_endpoint(name, kept)
            case Kind.CREATE:
                return self._provider.create_endpoint(specs.to_spec(stored, secrets))
            case Kind.UPDATE:
                change = specs.to_change(stored, secrets)
                return self._provider.update_endpoint(name, change)

    def shows(self, operation: Operation, seen: Snapshot) -> bool:
        """Tell whether an endpoint is as an update asks, so that it need not be sent again."""
        try:
            change = specs.to_change(*self._material(operation))
        except ProviderError:
            return False  # sending it tells why
        return self._provider.shows(seen, change)

    def set_scaling(self, name: str, scaling: Scaling) -> Snapshot:
        """Set the replica bounds and nothing else."""
        return self._provider.update_endpoint(name, EndpointChange(scaling=scaling))

    def _material(self, operation: Operation) -> specs.Material:
        try:
            return specs.material(operation, self._vault.look(operation.id))
        except specs.SecretsLostError as error:
            raise RefusedError(str(error)) from error


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return a cloud's words without the secrets, also where they are escaped or cut short."""
    found = {part for secret in secrets for part in _parts(secret) if part in text}
    return redact(text, sorted(found, key=len, reverse=True))


def _parts(secret: str) -> Iterator[str]:
    """Yield the forms of a secret, and their beginnings as a cut leaves them."""
    for form in _forms(secret):
        yield form
        for size in range(SHORTEST_PART, min(len(form), LONGEST_PART)):
            yield form[:size]


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it is, in JSON, and with its white space folded."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield " ".join(secret.split())


def restored_scaling(operation: Operation, endpoint: Endpoint) -> Scaling | None:
    """Return the bounds that were there before the pause, when the resume has changed them.

    An update may have taken the place of that resume.
    """
    before = endpoint.scaling_before_pause
    updated = operation.kind == Kind.UPDATE and endpoint.status == Status.RUNNING
    if not before or not (operation.kind == Kind.RESUME or updated):
        return None
    wanted = Scaling(
        before["min_replicas"], before["max_replicas"], before["scale_to_zero_minutes"]
    )
    if endpoint.min_replicas is None or endpoint.max_replicas is None:
        return None
    now = Scaling(endpoint.min_replicas, endpoint.max_replicas, endpoint.scale_to_zero_minutes)
    return None if wanted == now else wanted
