"""The rules in force over an account, turned into the facts that `decide` looks at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator.domain.asked import HoldFact, Standing, Tombstone
from orchestrator.domain.decide import Facts
from orchestrator.domain.endpoints import Stop
from orchestrator.domain.expiry import Expiry
from orchestrator.domain.idle import Activity, IdleRule, quiet_end, quiet_until
from orchestrator.domain.plan import Means
from orchestrator.domain.schedules.occurrences import AT_ONCE
from orchestrator.domain.status import Status, Wish
from orchestrator.services import warnings
from orchestrator.services.schedule_book import CRON, ScheduleBook
from orchestrator.services.windows import quiet_hours_of
from orchestrator.store import expiry, freeze, observation
from orchestrator.store import holds as hold_rows
from orchestrator.store.observation import ManagedRow
from orchestrator.store.tables import Account, Binding, Endpoint, Hold, IdlePolicy, Json, Schedule

# So long before a grace ends people are told once more, or half the grace where that is less.
LONGEST_NOTICE = timedelta(hours=1)


@dataclass(slots=True)
class Rulebook:
    """All rules of one account at one reading; evaluates each schedule once per instant."""

    frozen: str | None
    schedules: dict[str, Schedule]
    timetable: ScheduleBook
    policies: dict[str, IdlePolicy]
    bound: dict[str, list[Binding]]
    holds: dict[str, list[Hold]]
    # Why deletions that are due have to wait, by endpoint.
    held_back: Mapping[str, str] = field(default_factory=dict)
    # When the last lease of an endpoint ended: until then it was in use.
    leased: Mapping[str, datetime] = field(default_factory=dict)
    read_at: datetime | None = None
    _quiet: dict[tuple[str, datetime], datetime | None] = field(default_factory=dict)

    @classmethod
    def load(
        cls,
        session: Session,
        account: Account,
        now: datetime,
        endpoint_id: str | None = None,
        *,
        require_warned: bool = False,
    ) -> Rulebook:
        """Read the rules of `account`, or of one endpoint of it, that are in force at `now`."""
        bound: dict[str, list[Binding]] = defaultdict(list)
        of_kind: dict[str, set[str]] = defaultdict(set)
        for binding in observation.bindings(session, account.id, endpoint_id):
            bound[binding.endpoint_id].append(binding)
            of_kind[binding.rule_kind].add(binding.rule_id)
        holds: dict[str, list[Hold]] = defaultdict(list)
        for hold in observation.holds_in_force(session, account.id, now, endpoint_id):
            holds[hold.endpoint_id].append(hold)
        schedules = observation.schedules_in_force(session, of_kind["schedule"])
        policies = observation.idle_policies_in_force(session, of_kind["idle"])
        return cls(
            frozen=_frozen(session, account),
            schedules={row.id: row for row in schedules},
            timetable=ScheduleBook.load(session, account, schedules, bound, now),
            policies={row.id: row for row in policies},
            bound=bound,
            holds=holds,
            held_back=_held_back(session, account, now, require=require_warned),
            leased=hold_rows.lease_ends(session, account.id, now, endpoint_id),
            read_at=now,
        )

    def facts(self, row: ManagedRow, activity: Activity, now: datetime) -> Facts:
        """Return what `decide` may look at for one endpoint."""
        return Facts(
            status=Status(row.status),
            managed=True,
            standing=_standing(row),
            frozen=self.frozen,
            observe_only=row.observe_only,
            protected=row.protected,
            holds=self._holds(row, now),
            schedules=self.timetable.facts(row.id, row.hardware_key, now),
            idle_rules=self._idle_rules(row.id, now),
            activity=_after_lease(activity, self.leased.get(row.id)),
            asleep_rule=row.asleep_rule,
            asleep_since=row.asleep_since,
            tombstone=self._tombstone(row),
            expiry=self._expiry(row, now),
        )

    def _holds(self, row: ManagedRow, now: datetime) -> tuple[HoldFact, ...]:
        """Return what holds an endpoint; a look ahead knows the cron points that come first."""
        found = tuple(_hold(hold) for hold in self.holds.get(row.id, ()))
        if self.read_at is None or now <= self.read_at or row.protected:
            return found
        coming = self.timetable.coming_hold(row.id, row.hardware_key, now)
        return found if coming is None else (*found, coming)

    def _tombstone(self, row: ManagedRow) -> Tombstone | None:
        if row.delete_after is None:
            return None
        stone = row.tombstone
        return Tombstone(
            due=row.delete_after,
            actor=stone["actor"],
            reason=stone["reason"],
            held_back=self.held_back.get(row.id, ""),
        )

    def _expiry(self, row: ManagedRow, now: datetime) -> Expiry | None:
        """Return its expiry; a look ahead takes it that people are warned in time."""
        found = expiry.read(row)
        if found is None or self.read_at is None or now <= self.read_at:
            return found
        return found.assuming_warned(self.read_at)

    def _idle_rules(self, endpoint_id: str, now: datetime | None = None) -> tuple[IdleRule, ...]:
        rules = []
        for binding in self.bound.get(endpoint_id, ()):
            policy = self.policies.get(binding.rule_id)
            if policy is not None:
                quiet = None if now is None else self._quiet_until(policy, now)
                rules.append(_idle_rule(policy, binding, quiet))
        return tuple(sorted(rules, key=lambda rule: rule.timeout))

    def _quiet_until(self, policy: IdlePolicy, now: datetime) -> datetime | None:
        if not policy.quiet_timezone:
            return None
        shelf = self.timetable.shelf
        if shelf is not None:
            hours = shelf.of(shelf.made(policy, quiet_hours_of))
            return quiet_end(hours.state(now, AT_ONCE)[0], now)
        key = (policy.id, now)
        if key not in self._quiet:
            self._quiet[key] = quiet_until(quiet_hours_of(policy), now)
        return self._quiet[key]

    def has_idle_rule(self, endpoint_id: str) -> bool:
        """Tell whether any idle policy covers the endpoint."""
        return any(b.rule_id in self.policies for b in self.bound.get(endpoint_id, ()))

    def longest_idle_timeout(self, endpoint_id: str) -> timedelta:
        """Return over how long a span its idle policies want evidence; zero without any."""
        rules: Sequence[IdleRule] = self._idle_rules(endpoint_id)
        return max((rule.timeout for rule in rules), default=timedelta(0))


def told_at(due: datetime, stone: Json) -> datetime:
    """Return when people are told that the end of a grace is near."""
    return due - min(LONGEST_NOTICE, timedelta(seconds=stone["grace_s"]) / 2)


def means_of(row: ManagedRow | Endpoint) -> Means:
    """Return how an endpoint can be stopped, and whether its owner allowed what that takes."""
    return Means(Stop(row.stop), row.to_zero, row.allow_recreate)


def listed_activity(row: ManagedRow, read_at: datetime | None) -> Activity:
    """Return the evidence that a listing gives: the time of the last request, or nothing.

    `read_at` is when the listing that named it was asked for, None where the latest named none:
    such an endpoint may never have been used or may not tell, and an old time proves nothing.
    """
    started = max(
        (t for t in (row.ready_at, row.managed_since, row.resumed_at) if t is not None),
        default=None,
    )
    held, every = row.held_awake.get("detail", ""), row.held_awake.get("every_s")
    if row.last_used_at is None or read_at is None:
        return Activity(
            last_request_at=row.last_used_at,
            started_at=started,
            held_awake=held,
            held_every_s=every,
        )
    return Activity(
        last_request_at=row.last_used_at,
        covered_to=read_at,
        started_at=started,
        source="the cloud's time of last use",
        held_awake=held,
        held_every_s=every,
    )


def _after_lease(activity: Activity, ended_at: datetime | None) -> Activity:
    """A lease is use: the idle clock starts at its end, where that is later."""
    if ended_at is None or activity.started_at is None or ended_at <= activity.started_at:
        return activity
    return replace(activity, started_at=ended_at)


def _frozen(session: Session, account: Account) -> str | None:
    found = freeze.everywhere(session) or freeze.of_account(account)
    return None if found is None else f"{found.reason} (by {found.by})"


def _held_back(
    session: Session, account: Account, now: datetime, *, require: bool
) -> Mapping[str, str]:
    due = observation.due_deletions(session, account.id, now)
    return warnings.undelivered(session, due, require=require) if due else {}


def _standing(row: ManagedRow) -> Standing | None:
    if not row.wish or row.wish_at is None:
        return None
    return Standing(Wish(row.wish), row.wish_actor, row.wish_reason, row.wish_at)


def _hold(hold: Hold) -> HoldFact:
    return HoldFact(
        wish=Wish(hold.wish),
        until=hold.until,
        actor=hold.actor,
        reason=hold.reason,
        by_program=hold.source in (hold_rows.LEASE, CRON),
        point_at=hold.starts_at if hold.source == CRON else None,
    )


def _idle_rule(policy: IdlePolicy, binding: Binding, quiet: datetime | None) -> IdleRule:
    return IdleRule(
        id=policy.id,
        name=policy.name,
        timeout=timedelta(minutes=policy.timeout_minutes),
        min_awake=timedelta(minutes=policy.min_awake_minutes),
        matched_at=max(binding.matched_at, policy.effective_from),
        pauses=policy.action == "pause",
        shadow=policy.shadow,
        quiet_until=quiet,
    )
