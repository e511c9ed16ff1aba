"""The state machine of an endpoint, with AWS's words for its status.

CreateEndpoint -> Creating -> InService or Failed; UpdateEndpoint -> Updating with both fleets ->
InService, or RollingBack and what the switch says; a change of capacity -> Updating -> InService,
or RollingBack -> InService; DeleteEndpoint -> Deleting -> gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.sandbox.aws.containers import UNHEALTHY, container_of, fault
from orchestrator.sandbox.aws.core import Core
from orchestrator.sandbox.aws.endpoint import AwsEndpoint, Variant
from orchestrator.sandbox.aws.errors import NO_CAPACITY, in_progress, invalid
from orchestrator.sandbox.aws.fit import needed
from orchestrator.sandbox.aws.hardware import instance
from orchestrator.sandbox.aws.timing import DEFAULT_HEALTH_TIMEOUT_S

BUSY = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
Document = Mapping[str, Any]


class EndpointLife:
    """Moves endpoints from status to status, on request and by timers."""

    def __init__(self, core: Core) -> None:
        self.core = core

    # Requests of people and programs

    def start(self, endpoint: AwsEndpoint) -> None:
        """Begin a creation: instances first."""
        endpoint.starts += 1
        self.core.arm(endpoint, "boot", self._boot_s(endpoint))

    def update(self, endpoint: AwsEndpoint, config: str, fleet: tuple[Variant, ...]) -> None:
        """Bring up a new fleet beside the old one."""
        endpoint.starts += 1
        fleet = tuple(self._roomy(endpoint, one) for one in fleet)
        values = {"incoming": fleet, "incoming_config": config, "failure": ""}
        self._enter(endpoint, "Updating", **values)
        self.core.arm(endpoint, "boot", self._boot_s(endpoint))

    def _roomy(self, endpoint: AwsEndpoint, variant: Variant) -> Variant:
        """With room for the inference components that the endpoint has."""
        if variant.model or not variant.instance_type:
            return variant
        count = max(variant.desired, needed(self.core, endpoint, variant))
        return replace(variant, desired=count)

    def rescale(self, endpoint: AwsEndpoint, fleet: tuple[Variant, ...]) -> None:
        """Go to other weights and numbers of instances, which `desired` of the variants tell."""
        endpoint.starts += 1
        grows = any(one.desired > one.current for one in fleet)
        self._enter(endpoint, "Updating", variants=fleet)
        if grows:
            self.core.arm(endpoint, "grow", self._boot_s(endpoint))
        else:
            self.core.arm(endpoint, "resized", self.core.timing.shrink(endpoint))

    def set_instances(self, endpoint: AwsEndpoint, variant: str, count: int) -> None:
        """Give one variant another number of instances."""
        fleet = (
            replace(one, desired=count) if one.name == variant else one for one in endpoint.variants
        )
        self.rescale(endpoint, tuple(fleet))

    def delete(self, endpoint: AwsEndpoint) -> None:
        """Begin to delete; raises AwsError while something is in progress."""
        require_settled(endpoint)
        self._enter(endpoint, "Deleting")
        self.core.arm(endpoint, "gone", self.core.timing.delete(endpoint))

    def force(
        self, endpoint: AwsEndpoint, status: str, failure: str, seconds: float | None
    ) -> None:
        """Put an endpoint into a status; after `seconds` it is InService again."""
        self._enter(endpoint, status, failure=failure, incoming=(), incoming_config="")
        if status == "Failed":
            endpoint.change(self.core.now, variants=emptied(endpoint.variants))
        if seconds is not None:
            self.core.arm(endpoint, "settled", seconds)

    # Timers

    def fire(self, endpoint: AwsEndpoint, kind: str) -> None:
        """Run the handler of a timer."""
        getattr(self, f"on_{kind}")(endpoint)

    def on_boot(self, endpoint: AwsEndpoint) -> None:
        """The instances of a creation or an update are there, unless there is no capacity."""
        fleet = self._fresh(endpoint)
        plan = self.core.planned(endpoint)
        if plan == "capacity" or self._without_capacity(endpoint, fleet):
            self.core.arm(endpoint, "unprovided", self.core.timing.no_capacity(endpoint))
            return
        self._set_fresh(endpoint, (replace(one, instances=one.desired) for one in fleet))
        seconds = max((self._load_s(endpoint, one) for one in fleet), default=0.0)
        limit = self._health_s(endpoint)
        if plan == "fail" or self.reason(endpoint) or seconds > limit:
            self.core.arm(endpoint, "broken", min(limit, self.core.timing.give_up(endpoint)))
        elif plan == "ok":
            self.core.arm(endpoint, "ready", seconds)

    def on_ready(self, endpoint: AwsEndpoint) -> None:
        """Creating or Updating -> InService, with the new fleet."""
        config = endpoint.stretch.incoming_config or endpoint.stretch.config
        fleet = tuple(in_service(one) for one in self._fresh(endpoint))
        self._enter(
            endpoint, "InService", variants=fleet, config=config, incoming=(), incoming_config=""
        )
        self.release_later(endpoint)

    def on_unprovided(self, endpoint: AwsEndpoint) -> None:
        """There were no instances."""
        self._fail(endpoint, NO_CAPACITY)

    def on_broken(self, endpoint: AwsEndpoint) -> None:
        """The container did not come up in time."""
        first = self._fresh(endpoint)[0].name
        detail = self.reason(endpoint)
        text = UNHEALTHY.format(first)
        self._fail(endpoint, f"{text} The last line of the log was: {detail}" if detail else text)

    def on_grow(self, endpoint: AwsEndpoint) -> None:
        """More instances of the same fleet are there, unless there is no capacity."""
        growing = (one for one in endpoint.variants if one.desired > one.instances)
        found = [text for one in growing if (text := self.core.shortage(endpoint, one))]
        if found:
            back = tuple(replace(one, desired=one.current) for one in endpoint.variants)
            self._enter(endpoint, "RollingBack", variants=back, failure=found[0])
            self.core.arm(endpoint, "settled", self.core.timing.roll_back(endpoint))
            return
        grown = tuple(
            replace(one, instances=max(one.instances, one.desired)) for one in endpoint.variants
        )
        endpoint.change(self.core.now, variants=grown)
        seconds = max((self._load_s(endpoint, one) for one in grown), default=0.0)
        self.core.arm(endpoint, "resized", seconds)

    def on_resized(self, endpoint: AwsEndpoint) -> None:
        """Updating -> InService, with other numbers of instances."""
        self._enter(
            endpoint, "InService", variants=tuple(in_service(one) for one in endpoint.variants)
        )

    def on_rolled_back(self, endpoint: AwsEndpoint) -> None:
        """RollingBack -> what is left of an update that failed."""
        status = self.core.switches.failed_update
        values = {"incoming": (), "incoming_config": "", "failure": self._told_after(endpoint)}
        self._enter(endpoint, status, **values)

    def on_settled(self, endpoint: AwsEndpoint) -> None:
        """Back to InService."""
        fleet = tuple(in_service(one) for one in endpoint.variants)
        self._enter(endpoint, "InService", variants=fleet, failure=self._told_after(endpoint))

    def _told_after(self, endpoint: AwsEndpoint) -> str:
        """What FailureReason tells of a change that was rolled back."""
        kept = self.core.switches.rollback_reason == "kept"
        return endpoint.stretch.failure if kept else ""

    def on_release(self, endpoint: AwsEndpoint) -> None:
        """Let go of instances that no inference component needs, down to the floor."""
        for one in endpoint.variants:
            if one.floor is not None and endpoint.status == "InService":
                count = max(one.floor, needed(self.core, endpoint, one))
                if count < one.instances:
                    values = {"current": count, "desired": count, "instances": count}
                    endpoint.resize(self.core.now, one.name, **values)

    def release_later(self, endpoint: AwsEndpoint) -> None:
        """Look some ten minutes from now whether instances can be released."""
        if any(one.floor is not None for one in endpoint.variants):
            self.core.arm(endpoint, "release", self.core.timing.release(endpoint))

    def on_gone(self, endpoint: AwsEndpoint) -> None:
        """Deleting -> not there any more; the name is free."""
        self.core.timeline.clear(endpoint)
        endpoint.deleted_at = self.core.now
        place = self.core.home(endpoint)
        place.gone.append(place.endpoints.pop(endpoint.name))

    # Inner workings

    def _enter(self, endpoint: AwsEndpoint, status: str, **values: Any) -> None:
        self.core.timeline.clear(endpoint)
        now = self.core.now
        endpoint.change(now, status=status, modified_at=now, **values)

    def _fail(self, endpoint: AwsEndpoint, reason: str) -> None:
        if endpoint.status == "Creating":
            kept = endpoint.variants if self.core.switches.failed_billed else ()
            fleet = kept or emptied(endpoint.variants)
            self._enter(endpoint, "Failed", failure=reason, variants=fleet)
            return
        self._enter(endpoint, "RollingBack", failure=reason)
        self.core.arm(endpoint, "rolled_back", self.core.timing.roll_back(endpoint))

    def _fresh(self, endpoint: AwsEndpoint) -> tuple[Variant, ...]:
        return endpoint.stretch.incoming or endpoint.variants

    def _set_fresh(self, endpoint: AwsEndpoint, fleet: Iterable[Variant]) -> None:
        key = "incoming" if endpoint.stretch.incoming else "variants"
        endpoint.change(self.core.now, **{key: tuple(fleet)})

    def _without_capacity(self, endpoint: AwsEndpoint, fleet: tuple[Variant, ...]) -> bool:
        return any(
            self.core.lacks_capacity(endpoint.region, one.instance_type)
            for one in fleet
            if one.desired
        )

    def _document(self, endpoint: AwsEndpoint) -> Document:
        return endpoint.documents[endpoint.stretch.incoming_config or endpoint.stretch.config]

    def _rows(self, endpoint: AwsEndpoint) -> dict[str, Document]:
        document = self._document(endpoint)
        shadows = document.get("ShadowProductionVariants", ())
        return {row["VariantName"]: row for row in (*document["ProductionVariants"], *shadows)}

    def _model(self, endpoint: AwsEndpoint, variant: Variant) -> Document | None:
        known = self.core.home(endpoint).models.get(variant.model)
        return known.document if known else None

    def reason(self, endpoint: AwsEndpoint) -> str | None:
        """Why a container of the newest fleet will never serve, None if all will."""
        rows = self._rows(endpoint)
        for one in self._fresh(endpoint):
            if one.model and one.instance_type:
                ami = rows[one.name].get("InferenceAmiVersion", "")
                model = self._model(endpoint, one)
                text = fault(container_of(model, instance(one.instance_type), ami))
                if text is not None:
                    return text
        return None

    def _boot_s(self, endpoint: AwsEndpoint) -> float:
        seconds = self.core.timing.boot(endpoint)
        return seconds if endpoint.startup_s is None else min(seconds, endpoint.startup_s / 2)

    def _load_s(self, endpoint: AwsEndpoint, variant: Variant) -> float:
        if endpoint.startup_s is not None:
            return endpoint.startup_s - self._boot_s(endpoint)
        machine = instance(variant.instance_type)
        environment = container_of(self._model(endpoint, variant), machine).environment
        return self.core.timing.load(endpoint, machine, environment)

    def _health_s(self, endpoint: AwsEndpoint) -> float:
        key = "ContainerStartupHealthCheckTimeoutInSeconds"
        limits = [row.get(key, DEFAULT_HEALTH_TIMEOUT_S) for row in self._rows(endpoint).values()]
        return float(max(limits))


def require_settled(endpoint: AwsEndpoint) -> None:
    """Raises AwsError while the endpoint is being created, updated or deleted."""
    if endpoint.status in BUSY:
        raise in_progress(endpoint.arn)


def require_changeable(endpoint: AwsEndpoint) -> None:
    """Raises AwsError while something is in progress, and for a failed endpoint."""
    require_settled(endpoint)
    if endpoint.status == "Failed":
        raise invalid(
            f'Cannot update endpoint "{endpoint.arn}" in status Failed. '
            "DeleteEndpoint is the only operation that can be performed on a failed endpoint."
        )


def in_service(variant: Variant) -> Variant:
    """The variant with all that it wants."""
    return replace(
        variant,
        current=variant.desired,
        instances=variant.desired,
        weight=variant.desired_weight,
    )


def emptied(variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
    """The variants without instances."""
    return tuple(replace(one, current=0, instances=0) for one in variants)
