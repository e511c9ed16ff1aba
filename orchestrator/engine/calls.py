"""From an operation's record to the one call on the driver that carries it out."""

from __future__ import annotations

from orchestrator.domain.endpoints import EndpointChange, Scaling, Snapshot
from orchestrator.domain.plan import Kind
from orchestrator.providers.base import Provider, RefusedError
from orchestrator.services import specs
from orchestrator.services.context import Vault
from orchestrator.store.tables import Endpoint, Operation


class Calls:
    """Sends the call of an operation; secret values come from the vault or by reference."""

    def __init__(self, provider: Provider, vault: Vault) -> None:
        self._provider = provider
        self._vault = vault

    def send(self, operation: Operation, endpoint: Endpoint | None) -> Snapshot | None:
        """Make the call. Raises ProviderError; RefusedError when secret values are lost."""
        name = operation.endpoint_name
        match Kind(operation.kind):
            case Kind.PAUSE:
                return self._provider.pause_endpoint(name)
            case Kind.RESUME:
                return self._provider.resume_endpoint(name)
            case Kind.SCALE_TO_ZERO:
                return self._provider.scale_to_zero(name)
            case Kind.DELETE:
                self._provider.delete_endpoint(name)
                return None
            case Kind.CREATE:
                return self._provider.create_endpoint(specs.to_spec(*self._material(operation)))
            case Kind.UPDATE:
                change = specs.to_change(*self._material(operation))
                del endpoint
                return self._provider.update_endpoint(name, change)

    def set_scaling(self, name: str, scaling: Scaling) -> Snapshot:
        """Set the replica bounds and nothing else."""
        return self._provider.update_endpoint(name, EndpointChange(scaling=scaling))

    def _material(self, operation: Operation) -> specs.Material:
        try:
            return specs.material(operation, self._vault.look(operation.id))
        except specs.SecretsLostError as error:
            raise RefusedError(str(error)) from error


def restored_scaling(operation: Operation, endpoint: Endpoint) -> Scaling | None:
    """Return the bounds that were there before the pause, when the resume has changed them."""
    before = endpoint.scaling_before_pause
    if operation.kind != Kind.RESUME or not before:
        return None
    wanted = Scaling(
        before["min_replicas"], before["max_replicas"], before["scale_to_zero_minutes"]
    )
    if endpoint.min_replicas is None or endpoint.max_replicas is None:
        return None
    now = Scaling(endpoint.min_replicas, endpoint.max_replicas, endpoint.scale_to_zero_minutes)
    return None if wanted == now else wanted
