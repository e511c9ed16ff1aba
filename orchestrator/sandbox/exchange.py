"""One request and its answer with the faults of the plan; both transports go through here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

from orchestrator.sandbox.accounts import token_id
from orchestrator.sandbox.aws.api import AwsApi
from orchestrator.sandbox.aws.wire import is_aws
from orchestrator.sandbox.calls import Call
from orchestrator.sandbox.faults import Fault
from orchestrator.sandbox.huggingface import HuggingFaceApi
from orchestrator.sandbox.messages import ApiError, Request, Response
from orchestrator.sandbox.spoil import HUGGING_FACE, Layout, spoil
from orchestrator.sandbox.world import World

Ending = Literal["answered", "timeout", "dropped", "truncated"]
_LIMIT = {"ratelimit-policy": '"fixed window";"api";q=500;w=300'}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the caller meets: an ending, the answer if one is sent, and virtual seconds of delay."""

    ending: Ending
    response: Response | None = None
    delay_s: float = 0.0


class Visit(Protocol):
    """One request in the hands of the cloud that it is meant for."""

    @property
    def method(self) -> str:
        """The method by which the faults of a plan know it."""

    @property
    def path(self) -> str:
        """The path by which the faults of a plan know it."""

    @property
    def layout(self) -> Layout:
        """Where the answer keeps what faults spoil."""

    def answer(self, *, seconds_ago: float, shift: int) -> Response:
        """The answer, with faults of reading; it is also written to the log of calls."""

    def refuse(self, fault: Fault) -> Response:
        """The answer that a fault puts in the place of the true one."""

    def log_unreached(self, status: int) -> None:
        """Write down that it never reached the cloud; status 0 is no answer at all."""


class Exchange:
    """Serves requests from a world, faults included."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._hugging_face = HuggingFaceApi(world)
        self._aws = AwsApi(world)

    def serve(self, request: Request) -> Outcome:
        """Answer one request at the present instant of the world."""
        world = self._world
        with world.lock:
            visit = self._visit(request)
            faults = world.faults.hits(visit.method, visit.path, world.instant)
            delay = sum(fault.seconds for fault in faults if fault.kind == "slow")
            early = next((found for fault in faults if (found := _before(visit, fault))), None)
            if early is not None:
                visit.log_unreached(early.response.status if early.response else 0)
                return replace(early, delay_s=delay)
            response = _answer(visit, faults)
            shown = spoil(response, faults, visit.layout)
            outcome = _after(visit, faults, shown)
            if outcome.ending != "answered" or outcome.response is not shown:
                world.calls.mark_last_lost()
            return replace(outcome, delay_s=delay + response.wait_s)

    def _visit(self, request: Request) -> Visit:
        if is_aws(request):
            return self._aws.visit(request)
        return _HuggingFaceVisit(self._world, self._hugging_face, request)


def _answer(visit: Visit, faults: list[Fault]) -> Response:
    stale = max((fault.seconds for fault in faults if fault.kind == "stale_read"), default=0.0)
    shift = sum(fault.items for fault in faults if fault.kind == "shifting_pages")
    return visit.answer(seconds_ago=stale, shift=shift)


def _before(visit: Visit, fault: Fault) -> Outcome | None:
    match fault.kind:
        case "timeout_before":
            return Outcome("timeout")
        case "drop_before":
            return Outcome("dropped")
        case "error" if not fault.after_commit:
            return Outcome("answered", visit.refuse(fault))
        case "page" if not fault.after_commit:
            return Outcome("answered", _page(fault))
    return None


def _page(fault: Fault) -> Response:
    """What a proxy shows to people."""
    headers = {"content-type": "text/html; charset=utf-8"}
    if 300 <= fault.status < 400:
        headers["location"] = "https://login.example.com/"
    return Response(fault.status, headers, b"<!doctype html><title>Sign in</title>")


def _after(visit: Visit, faults: list[Fault], response: Response) -> Outcome:
    for fault in faults:
        match fault.kind:
            case "timeout_after":
                return Outcome("timeout")
            case "drop_after":
                return Outcome("dropped")
            case "truncate":
                # An answer without a body cannot break off half-way.
                return Outcome("truncated", response) if response.body else Outcome("dropped")
            case "error":
                return Outcome("answered", visit.refuse(fault))
            case "page":
                return Outcome("answered", _page(fault))
    return Outcome("answered", response)


@dataclass(frozen=True, slots=True)
class _HuggingFaceVisit:
    world: World
    api: HuggingFaceApi
    request: Request

    @property
    def method(self) -> str:
        return self.request.method

    @property
    def path(self) -> str:
        return self.request.path

    @property
    def layout(self) -> Layout:
        return HUGGING_FACE

    def answer(self, *, seconds_ago: float, shift: int) -> Response:
        return self.api.answer(self.request, seconds_ago=seconds_ago, shift=shift)

    def refuse(self, fault: Fault) -> Response:
        headers: dict[str, str] = {}
        if fault.retry_after is not None:
            headers["retry-after"] = str(fault.retry_after)
        if fault.status == 429:
            headers |= {**_LIMIT, "ratelimit": f'"api";r=0;t={fault.retry_after or 55}'}
        return ApiError(fault.status, fault.text, headers=headers).response()

    def log_unreached(self, status: int) -> None:
        parts = [*self.path.split("/"), "", "", "", ""]
        endpoint = parts[2] == "endpoint"
        self.world.calls.add(
            Call(
                at=self.world.now,
                method=self.method,
                path=self.path,
                namespace=parts[3] if endpoint else "",
                name=parts[4] if endpoint else "",
                token_id=token_id(self.request.token),
                status=status,
                mutating=endpoint and self.method in {"POST", "PUT", "DELETE"},
                committed=False,
                delivered=False,
            )
        )
