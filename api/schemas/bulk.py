"""What many endpoints are changed with at once, and what became of each."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from orchestrator.api.schemas.base import Answer, AskedInstant, Body, Instant, Labels, Reason
from orchestrator.api.schemas.money import Price, price
from orchestrator.api.schemas.operations import Ref
from orchestrator.domain.status import Status
from orchestrator.services import lengths
from orchestrator.services.bulk import Blast, Done, Item
from orchestrator.services.bulk_acts import Action, Order, Verdict
from orchestrator.services.bulk_selection import Selection
from orchestrator.services.clicks import Terms
from orchestrator.settings import Settings


class BulkSelector(Body):
    """Which endpoints: all conditions that are given must hold."""

    account: Annotated[str, Field(max_length=120)] | None = Field(None, examples=["acme"])
    labels: Annotated[dict[str, str], Field(max_length=20)] = Field(
        default_factory=dict, examples=[{"team": "search"}]
    )
    ids: Annotated[list[Annotated[str, Field(max_length=60)]], Field(max_length=2000)] | None = (
        Field(None, description="Ids of endpoints; each must exist.")
    )
    statuses: Annotated[list[Status], Field(max_length=20)] = Field(default_factory=list)
    managed: bool | None = Field(None, description="Only those that are managed, or are not.")
    all: bool = Field(default=False, description="Stands for no other condition.")

    def value(self) -> Selection:
        """Return it as the use case takes it."""
        return Selection(
            account=self.account,
            labels=self.labels,
            ids=None if self.ids is None else tuple(dict.fromkeys(self.ids)),
            statuses=tuple(self.statuses),
            managed=self.managed,
            everything=self.all,
        )


class BulkBody(Body):
    """One change of many endpoints."""

    action: Action = Field(examples=["pause"])
    selector: BulkSelector
    until: AskedInstant | None = Field(
        None, description="Hold them so until then; for pause, resume and scale_to_zero."
    )
    set_labels: Labels = Field(
        default_factory=dict, description="For the action label: added to those they have."
    )
    grace: Annotated[str, Field(max_length=20)] | None = Field(
        None,
        description="For delete: paused so long, so that all can come back, such as 24h or 7d; 0 "
        "is at once. As usual if it is left out.",
        examples=["7d"],
    )
    reason: Reason = ""
    confirm: str = Field(
        "", max_length=64, description="`confirm` of the preview (dry_run=true) of this request."
    )

    def order(self, settings: Settings) -> Order:
        """Return what is asked of every endpoint. Raises ServiceError for a bad `grace`."""
        usual = timedelta(hours=settings.max_click_hold_hours)
        terms = Terms(self.until, usual, timedelta(days=settings.max_hold_days))
        if self.grace is not None:
            grace = lengths.parse(self.grace, "grace")
        else:
            hours = settings.delete_grace_hours if self.action is Action.DELETE else 0
            grace = timedelta(hours=hours)
        return Order(self.action, terms, self.set_labels, grace)


class BulkItemOut(Answer):
    """What became of one endpoint, or would."""

    endpoint: Ref
    account: Ref
    status: Status
    outcome: Verdict = Field(examples=["accepted"])
    detail: str = Field(examples=["pause asked for"])
    code: str | None = Field(None, description="Why it is refused.", examples=["not_managed"])
    remedy: str | None = None
    operation: str | None = Field(None, examples=["op_01jd2w9k4v8m5r0aq7t3xzbcde"])
    held_until: Instant | None = None
    cost_change: Price | None = Field(
        None, description="Dollars per hour more, negative for less; null where it is not known."
    )
    unpriced: bool = Field(
        default=False, description="Whether a price of it, or of a part, is missing."
    )


class BlastOut(Answer):
    """How much it changes; shares are in per cent, costs per hour."""

    changed: int = Field(examples=[4])
    share_of_managed: int = Field(examples=[20])
    share_of_awake: int = Field(
        description="Of the managed endpoints that have replicas.", examples=[40]
    )
    stopped_per_hour: Price
    started_per_hour: Price
    unpriced: int = Field(description="Endpoints whose price is missing, whole or in part.")


class BulkOut(Answer):
    """A bulk request: one outcome per endpoint, and what all of it amounts to."""

    id: str | None = Field(
        description="Groups its operations: GET /v1/operations?bulk=…; null in a preview.",
        examples=["blk_01jd2w9k4v8m5r0aq7t3xzbcde"],
    )
    action: Action
    until: Instant | None
    accepted: int
    unchanged: int
    refused: int
    blast_radius: BlastOut
    confirm: str = Field(description="Stands for exactly this list.")
    confirm_needed: str | None = Field(
        None, description="Why the request needs `confirm`; null where it does not."
    )
    items: list[BulkItemOut]


def bulk_out(done: Done, *, rehearsal: bool) -> BulkOut:
    """Return a bulk request as it is answered."""
    return BulkOut(
        id=None if rehearsal else done.id,
        action=done.order.action,
        until=done.order.terms.until,
        accepted=done.count(Verdict.ACCEPTED),
        unchanged=done.count(Verdict.UNCHANGED),
        refused=done.count(Verdict.REFUSED),
        blast_radius=_blast(done.blast),
        confirm=done.confirm,
        confirm_needed=done.why_confirm or None,
        items=[_item(item, rehearsal=rehearsal) for item in done.items],
    )


def _blast(blast: Blast) -> BlastOut:
    return BlastOut.model_validate(
        {
            "changed": blast.changed,
            "share_of_managed": blast.share,
            "share_of_awake": blast.share_awake,
            "stopped_per_hour": price(blast.stopped),
            "started_per_hour": price(blast.started),
            "unpriced": blast.unpriced,
        }
    )


def _item(item: Item, *, rehearsal: bool) -> BulkItemOut:
    row, outcome = item.endpoint, item.outcome
    operation = None if rehearsal or outcome.operation is None else outcome.operation.id
    return BulkItemOut(
        endpoint=Ref(id=row.id, name=row.name),
        account=Ref(id=row.account_id, name=item.account),
        status=Status(row.status),
        outcome=outcome.verdict,
        detail=outcome.detail,
        code=outcome.code or None,
        remedy=outcome.remedy or None,
        operation=operation,
        held_until=outcome.held_until,
        cost_change=price(item.effect.nano),
        unpriced=item.effect.incomplete,
    )
