"""One request and its answer with the faults of the plan; both transports go through here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.sandbox.accounts import token_id
from orchestrator.sandbox.calls import Call
from orchestrator.sandbox.faults import Fault
from orchestrator.sandbox.huggingface import HuggingFaceApi
from orchestrator.sandbox.messages import ApiError, Request, Response
from orchestrator.sandbox.spoil import spoil
from orchestrator.sandbox.world import World

Ending = Literal["answered", "timeout", "dropped", "truncated"]
_LIMIT = {"ratelimit-policy": '"fixed window";"api";q=500;w=300'}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the caller meets: an ending, the answer if one is sent, and virtual seconds of delay."""

    ending: Ending
    response: Response | None = None
    delay_s: float = 0.0


class Exchange:
    """Serves requests from a world, faults included."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._api = HuggingFaceApi(world)

    def serve(self, request: Request) -> Outcome:
        """Answer one request at the present instant of the world."""
        world = self._world
        with world.lock:
            faults = world.faults.hits(request.method, request.path, world.instant)
            delay = sum(fault.seconds for fault in faults if fault.kind == "slow")
            early = next((found for fault in faults if (found := self._before(fault))), None)
            if early is not None:
                self._log_unreached(request, early)
                return replace(early, delay_s=delay)
            response = self._answer(request, faults)
            shown = spoil(response, faults)
            outcome = self._after(faults, shown)
            if outcome.ending != "answered" or outcome.response is not shown:
                world.calls.mark_last_lost()
            return replace(outcome, delay_s=delay + response.wait_s)

    def _answer(self, request: Request, faults: list[Fault]) -> Response:
        stale = max((fault.seconds for fault in faults if fault.kind == "stale_read"), default=0.0)
        shift = sum(fault.items for fault in faults if fault.kind == "shifting_pages")
        return self._api.answer(request, seconds_ago=stale, shift=shift)

    def _before(self, fault: Fault) -> Outcome | None:
        match fault.kind:
            case "timeout_before":
                return Outcome("timeout")
            case "drop_before":
                return Outcome("dropped")
            case "error" if not fault.after_commit:
                return Outcome("answered", _refusal(fault))
        return None

    def _after(self, faults: list[Fault], response: Response) -> Outcome:
        for fault in faults:
            match fault.kind:
                case "timeout_after":
                    return Outcome("timeout")
                case "drop_after":
                    return Outcome("dropped")
                case "truncate":
                    return Outcome("truncated", response)
                case "error":
                    return Outcome("answered", _refusal(fault))
        return Outcome("answered", response)

    def _log_unreached(self, request: Request, outcome: Outcome) -> None:
        parts = [*request.path.split("/"), "", "", "", ""]
        endpoint = parts[2] == "endpoint"
        self._world.calls.add(
            Call(
                at=self._world.now,
                method=request.method,
                path=request.path,
                namespace=parts[3] if endpoint else "",
                name=parts[4] if endpoint else "",
                token_id=token_id(request.token),
                status=outcome.response.status if outcome.response else 0,
                mutating=endpoint and request.method in {"POST", "PUT", "DELETE"},
                committed=False,
                delivered=False,
            )
        )


def _refusal(fault: Fault) -> Response:
    headers: dict[str, str] = {}
    if fault.retry_after is not None:
        headers["retry-after"] = str(fault.retry_after)
    if fault.status == 429:
        headers |= {**_LIMIT, "ratelimit": f'"api";r=0;t={fault.retry_after or 55}'}
    return ApiError(fault.status, fault.text, headers=headers).response()
