"""The driver of one AWS account and region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from orchestrator.clock import Clock
from orchestrator.domain.endpoints import (
    Contract,
    EndpointChange,
    EndpointSpec,
    Handover,
    HardwareOffer,
    JsonObject,
    LeftBehind,
    Restored,
    Snapshot,
    Usage,
)
from orchestrator.providers.base import (
    NOTHING_KEPT,
    AmbiguousError,
    Capabilities,
    ConflictError,
    Identity,
    Listing,
    ProviderError,
    RefusedError,
    Right,
)
from orchestrator.providers.sagemaker import (
    components,
    contract,
    creating,
    deleting,
    handing,
    pausing,
    restoring,
    specs,
    updating,
)
from orchestrator.providers.sagemaker.desk import Desk
from orchestrator.providers.sagemaker.identity import read_identity
from orchestrator.providers.sagemaker.left import read_left
from orchestrator.providers.sagemaker.listing import read_listing
from orchestrator.providers.sagemaker.prices import read_offers
from orchestrator.providers.sagemaker.quotas import Quotas
from orchestrator.providers.sagemaker.reading import Reader
from orchestrator.providers.sagemaker.rights import read_rights, rights_for
from orchestrator.providers.sagemaker.session import AwsSession
from orchestrator.providers.sagemaker.snapshot import Mapper
from orchestrator.providers.sagemaker.usage import (
    METRICS,
    NANO_PER_METRIC,
    QUERIES_PER_CALL,
    read_usage,
)

# Threads that describe endpoints at once, below what throttles; the pool of connections is larger.
PARALLEL_READS = 8


# Minutes for small models, up to half an hour for the largest; an update starts a new fleet first.
USUAL_S = {
    "create": 900,
    "resume": 900,
    "update": 1200,
    "pause": 300,
    "scale_to_zero": 300,
    "delete": 300,
}


class SageMakerProvider:
    """Speaks the APIs of SageMaker and its neighbours; keeps descriptions that cannot change.

    The looking half is in `listing`, `reading` and `snapshot`; the changing half works at a desk.
    """

    def __init__(
        self,
        *,
        session: AwsSession,
        reader: Reader,
        mapper: Mapper,
        desk: Desk,
        quotas: Quotas,
        clock: Clock,
    ) -> None:
        options = session.options
        self.capabilities = Capabilities(
            scale_to_zero=True,
            contracts=True,
            sweep_seconds=60 * options.sweep_minutes,
            reads_per_pass=options.describes_per_pass,
            parallel_reads=PARALLEL_READS,
            usage_batch=QUERIES_PER_CALL // METRICS,
            usage_nano_per_reading=METRICS * NANO_PER_METRIC,
            billing_granularity_s=1,
            usual_s=USUAL_S,
        )
        self._session = session
        self._reader = reader
        self._mapper = mapper
        self._desk = desk
        self._quotas = quotas
        self._clock = clock

    def __repr__(self) -> str:
        return f"SageMakerProvider({self._session!r})"

    def identity(self) -> Identity:
        """Return whose the credentials are, with the enabled regions and what they lack."""
        return read_identity(self._session, self._clock)

    def rights(self) -> Sequence[Right]:
        """Return each right that the driver needs; about 35 calls that change nothing."""
        return read_rights(self._session, self._clock)

    def rights_for(self, actions: Sequence[str], name: str = "") -> Sequence[Right]:
        """Return the rights to some actions on names that begin with `name`."""
        return rights_for(self._session, self._clock, actions, name)

    def list_endpoints(self) -> Listing:
        """Return every endpoint of the account and region, a call for each 100."""
        return read_listing(self._session, self._reader, self._mapper, self._clock)

    def get_endpoint(self, name: str) -> Snapshot | None:
        """Return one endpoint; None only for AWS's own words that it is not there."""
        facts = self._reader.read(name)
        return None if facts is None else self._mapper.snapshot(facts)

    def left_behind(self) -> Sequence[LeftBehind]:
        """Return the endpoints whose retained configuration says that they were paused by us."""
        return read_left(self._desk, self._mapper)

    def check(
        self, spec: EndpointSpec | EndpointChange, current: JsonObject = NOTHING_KEPT
    ) -> tuple[str, ...]:
        """Return warnings; makes no call. Raises SpecError."""
        return specs.check(self._desk.place, spec, current)

    def create_endpoint(self, spec: EndpointSpec) -> Snapshot:
        """Create an endpoint, or take the next step of one of ours that is not whole.

        Raises ConflictError when the name is taken.
        """
        creating.create(self._desk, spec)
        return self._after(spec.name)

    def update_endpoint(self, name: str, change: EndpointChange) -> Snapshot:
        """Apply what is set by the cheapest call; a new configuration where there is no other."""
        goal = updating.update(self._desk, name, change)
        return replace(self._after(name), goal=goal)

    def shows(self, seen: Snapshot, change: EndpointChange) -> bool:
        """Return False: an update compares with what is in use, and calls only for a difference."""
        del seen, change
        return False

    def contract(self, name: str) -> Contract:
        """Return what a pause would keep and lose, and what forbids it. Changes nothing."""
        return contract.read_contract(self._desk, name)

    def pause_endpoint(self, name: str, kept: JsonObject = NOTHING_KEPT) -> Snapshot | None:
        """Delete a classic endpoint of which `kept` is stored; take a component's copies away.

        Raises ChangedError where `kept` is not what AWS has now, before anything is done.
        """
        pausing.pause(self._desk, name, kept)
        return self._seen(name)

    def resume_endpoint(self, name: str, kept: JsonObject = NOTHING_KEPT) -> Snapshot | None:
        """Start a paused endpoint; None says that a failed one was removed, and to ask again."""
        if not restoring.resume(self._desk, name, kept):
            return None
        return self._after(name)

    def restore(self, name: str, kept: JsonObject) -> Restored:
        """Put back counts, weights and scaling of an endpoint that serves again."""
        return restoring.restore(self._desk, name, kept)

    def handover(self, name: str, kept: JsonObject) -> Handover:
        """Return the commands that make a deleted endpoint again, with its scaling. No call."""
        return handing.handover(name, kept)

    def scale_to_zero(self, name: str) -> Snapshot:
        """Take all copies away; the next request wakes one. Only with inference components."""
        found = self._desk.existing(name)
        config = self._desk.config(str(found.get("EndpointConfigName")))
        if config is None or not self._hosts_components(config):
            raise ConflictError(
                f"endpoint {name} cannot go to zero: only endpoints with inference components can"
            )
        components.components_to_zero(self._desk, name)
        return self._after(name)

    def delete_endpoint(self, name: str, kept: JsonObject = NOTHING_KEPT) -> None:
        """Delete it, and the model and configuration that we made for it."""
        deleting.delete(self._desk, name, kept)

    def hardware(self) -> list[HardwareOffer]:
        """Return the price list for hosting, with quotas of instances."""
        return read_offers(self._session, self._quotas)

    def usage(
        self, names: Sequence[str], start: datetime, end: datetime
    ) -> Mapping[str, Usage | None]:
        """Return counted requests by endpoint, in one call for 500 metrics."""
        return read_usage(self._session, self._reader, names, (start, end), self._clock)

    def calls(self) -> Mapping[str, int]:
        """Return the requests sent since this was asked last, by `service:Operation`."""
        return self._session.calls()

    def close(self) -> None:
        """Release connections."""
        self._session.close()

    def _hosts_components(self, config: Mapping[str, object]) -> bool:
        variants = config.get("ProductionVariants")
        return isinstance(variants, list) and all("ModelName" not in item for item in variants)

    def _seen(self, name: str) -> Snapshot | None:
        """Look after a change; when even that fails the change is in doubt, so look again."""
        try:
            return self.get_endpoint(name)
        except RefusedError:
            raise
        except ProviderError as error:
            raise AmbiguousError(
                f"{name} was changed, and could not be read then: {error}"
            ) from None

    def _after(self, name: str) -> Snapshot:
        """Look after a change that leaves an endpoint; AWS may show a new one a while later."""
        snapshot = self._seen(name)
        if snapshot is None:
            raise AmbiguousError(
                f"the change of endpoint {name} was accepted, but it cannot be seen yet in "
                f"{self._session.region}"
            )
        return snapshot
