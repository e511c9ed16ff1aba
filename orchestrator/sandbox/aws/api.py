"""The simulated AWS: the door through which every request that is signed for AWS goes.

For faults and in the log of calls a request has method POST and the path
`/aws/{account}/{region}/{service}/{operation}`, whatever its protocol; its namespace is the
account, its name that of the endpoint that it is about, if it names one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.sandbox.accounts import token_id
from orchestrator.sandbox.aws import access, sts
from orchestrator.sandbox.aws.accounts import AwsAccount
from orchestrator.sandbox.aws.calls import AwsCall
from orchestrator.sandbox.aws.errors import AwsError
from orchestrator.sandbox.aws.operations import HANDLERS
from orchestrator.sandbox.aws.throttle import Throttle
from orchestrator.sandbox.aws.wire import (
    Envelope,
    answer,
    read_envelope,
    read_params,
    refusal,
    require_valid,
)
from orchestrator.sandbox.calls import Call
from orchestrator.sandbox.faults import Fault
from orchestrator.sandbox.instants import SECOND, hex_id, http_date
from orchestrator.sandbox.messages import Request, Response
from orchestrator.sandbox.spoil import Layout

if TYPE_CHECKING:
    from orchestrator.sandbox.world import World

_STRANGER = "unknown"
_NAMES = ("EndpointName", "InferenceComponentName", "ModelName", "EndpointConfigName", "ResourceId")
_STATES = ("EndpointStatus", "InferenceComponentStatus")
_CODES = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "TooManyRequestsException",
    503: "ServiceUnavailable",
}


class AwsApi:
    """The AWS of a world at its present instant; it does not move time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.throttle = Throttle()

    def visit(self, request: Request) -> AwsVisit:
        """A request, read as far as AWS can read it."""
        envelope = read_envelope(request)
        account = sts.account_of(self.world.aws, envelope.access_key)
        try:
            params = read_params(envelope, request) if envelope.operation else {}
        except AwsError as error:
            return AwsVisit(self, envelope, account, {}, error)
        return AwsVisit(self, envelope, account, params, None)


@dataclass(frozen=True, slots=True)
class AwsVisit:
    """One request and what is needed to answer it; `unreadable` tells what its form lacks."""

    api: AwsApi
    envelope: Envelope
    account: AwsAccount | None
    params: Mapping[str, Any]
    unreadable: AwsError | None

    @property
    def method(self) -> str:
        """The method by which the faults of a plan know it."""
        return "POST"

    @property
    def path(self) -> str:
        """The path by which the faults of a plan know it."""
        account = self.account.id if self.account else _STRANGER
        known = self.envelope
        return f"/aws/{account}/{known.region}/{known.service}/{known.named or _STRANGER}"

    @property
    def layout(self) -> Layout:
        """Where the answer keeps what faults spoil: its first list, if it comes in pages."""
        shape = self.envelope.model.output_shape if self.envelope.operation else None
        members = {} if shape is None else shape.members
        cursor = next((name for name in ("NextToken", "PaginationToken") if name in members), "")
        lists = [name for name, member in members.items() if member.type_name == "list"]
        return Layout(lists[0] if cursor and lists else "", cursor, "", _NAMES, _STATES)

    def answer(self, *, seconds_ago: float = 0.0, shift: int = 0) -> Response:
        """The answer, which is also written to the log of calls.

        A read shows what was so many seconds ago; pages after the first begin `shift` places later.
        """
        identity = self._request_id()
        try:
            account = self._admitted()
            call = self._call(account, seconds_ago, shift)
            response = answer(self.envelope, HANDLERS[self._key][0](call), identity)
            committed = self._mutating
            self._count_metrics(account)
        except AwsError as error:
            response = refusal(self.envelope, error, identity)
            committed = self._mutating and error.kept
        self._log(response.status, committed=committed, delivered=True)
        return self._finish(response, identity)

    def refuse(self, fault: Fault) -> Response:
        """The answer that a fault puts in the place of the true one."""
        default = "InternalFailure" if fault.status >= 500 else "ValidationException"
        code = fault.code or _CODES.get(fault.status, default)
        identity = self._request_id()
        response = refusal(self.envelope, AwsError(code, fault.text, fault.status), identity)
        wait = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
        headers = {**response.headers, **wait}
        return self._finish(Response(fault.status, headers, response.body), identity)

    def log_unreached(self, status: int) -> None:
        """Write down that it never reached the cloud; status 0 is no answer at all."""
        self._log(status, committed=False, delivered=False)

    @property
    def _key(self) -> tuple[str, str]:
        return self.envelope.service, self.envelope.operation

    @property
    def _mutating(self) -> bool:
        """Whether it asks for a change; a request to a model is traffic, not a change."""
        changes = self._key in HANDLERS and HANDLERS[self._key][1]
        return changes and self.envelope.service != "sagemaker-runtime"

    def _admitted(self) -> AwsAccount:
        """Key, operation, rights, rate and form, in this order; raises AwsError."""
        query = self.envelope.protocol == "query"
        if self.account is None or not self._region_is_open(self.account):
            raise access.unknown_key(query=query)
        if self._key not in HANDLERS:
            raise access.unknown_operation(self.envelope.named, query=query)
        self._require_right(self.account, query=query)
        self._require_rate(self.account)
        if self.unreadable is not None:
            raise self.unreadable
        require_valid(self.envelope, self.params)
        return self.account

    def _region_is_open(self, account: AwsAccount) -> bool:
        """Keys open no region that the account has not switched on, except for STS."""
        return self.envelope.service == "sts" or self.envelope.region in account.regions

    def _require_right(self, account: AwsAccount, *, query: bool) -> None:
        needed = access.action(*self._key)
        if needed in account.denied and not access.is_free(needed):
            who = sts.principal(account, self.envelope.access_key)
            on = access.resource(self.envelope.region, account.id, self.params)
            raise access.denied(who, needed, on, query=query)

    def _require_rate(self, account: AwsAccount) -> None:
        switches = self.api.world.aws.switches
        self.api.throttle.take(
            (account.id, self.envelope.region, *self._key),
            self.api.world.instant,
            switches.calls_per_second,
            switches.call_burst,
        )

    def _count_metrics(self, account: AwsAccount) -> None:
        if self._key == ("cloudwatch", "GetMetricData"):
            asked = len(self.params["MetricDataQueries"])
            self.api.world.calls.metrics_requested[account.id] += asked

    def _call(self, account: AwsAccount, seconds_ago: float, shift: int) -> AwsCall:
        world = self.api.world
        return AwsCall(
            cloud=world.aws,
            account=account,
            region=self.envelope.region,
            service=self.envelope.service,
            operation=self.envelope.operation,
            params=self.params,
            instant=world.instant - round(seconds_ago * SECOND),
            past=seconds_ago > 0,
            shift=shift,
            access_key=self.envelope.access_key,
        )

    def _request_id(self) -> str:
        world = self.api.world
        digits = hex_id(world.seed, "aws-request", len(world.calls), digits=32)
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def _log(self, status: int, *, committed: bool, delivered: bool) -> None:
        self.api.world.calls.add(
            Call(
                at=self.api.world.now,
                method=self.method,
                path=self.path,
                namespace=self.account.id if self.account else "",
                name=access.endpoint_name(self.params),
                token_id=token_id(self.envelope.access_key),
                status=status,
                mutating=self._mutating,
                committed=committed,
                delivered=delivered,
            )
        )

    def _finish(self, response: Response, identity: str) -> Response:
        world = self.api.world
        headers = {
            "date": http_date(world.instant + world.renderer.skew),
            "x-amzn-requestid": identity,
            **response.headers,
        }
        return Response(response.status, headers, response.body, response.wait_s)
