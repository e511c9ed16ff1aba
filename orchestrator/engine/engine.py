"""The control loop as `step(now) -> next_at`: observe, meter, decide, plan, act.

It has no threads and reads no clock but the injected one. Level-triggered: every pass works
from what is, so that a pass may be lost, repeated or run late without harm.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import DBAPIError

from orchestrator.costs import rates
from orchestrator.domain.plan import Limits
from orchestrator.domain.status import IN_TRANSITION
from orchestrator.engine import expiries
from orchestrator.engine.apply import ENGINE
from orchestrator.engine.claims import Claim, Claims, SoleOwner
from orchestrator.engine.deciding import Decider
from orchestrator.engine.observe import SHORT_WAIT, Pass, observe
from orchestrator.engine.operate import Operator
from orchestrator.engine.recording import Recorder
from orchestrator.engine.watching import AwakeWatch
from orchestrator.providers.base import Provider, ProviderError
from orchestrator.providers.pacing import patient
from orchestrator.providers.permit import NotPermittedError, permitted
from orchestrator.services.context import Context
from orchestrator.store import events, locks, observation
from orchestrator.store.tables import Account, Operation

log = structlog.get_logger(__name__)

FIRST_BACK_OFF = timedelta(seconds=10)
LONGEST_BACK_OFF = timedelta(minutes=5)
# So many passes in a row may give way to people who change the same rows; then it is a fault.
MOST_CONTENDED = 5
HURRY_FOR = timedelta(hours=1)
# So long one pass goes on waiting for the pace of its calls; the next one looks afresh.
PATIENCE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often to look: at rest, while something moves, and at the price list.

    A gap between looks longer than `gap_limit` counts as unobserved in the ledger.
    """

    rest: timedelta = timedelta(seconds=60)
    transition: timedelta = timedelta(seconds=10)
    rates: timedelta = timedelta(hours=1)

    @property
    def gap_limit(self) -> timedelta:
        """Return the longest gap between two looks that still counts as watching."""
        return 3 * self.rest + timedelta(seconds=60)


class Engine:
    """Works through the accounts that this process has claimed.

    `due` and `work` are what a timer with several threads calls; one account is worked by one
    thread at a time. `step` does both in turn, without threads.
    """

    def __init__(
        self,
        context: Context,
        cadence: Cadence | None = None,
        limits: Limits | None = None,
        claims: Claims | None = None,
    ) -> None:
        self._context = context
        self._cadence = cadence or Cadence()
        self._limits = limits or Limits()
        self._claims = claims or SoleOwner()
        self._deciders: dict[str, Decider] = {}
        self._recorders: dict[str, Recorder] = {}
        self._watches: dict[str, AwakeWatch] = {}
        self._due: dict[str, datetime] = {}
        self._nudges = 0
        # Held where `_due` and `_nudges` are changed, by passes in several threads and by nudges.
        self._agenda = threading.Lock()
        self._contended: dict[str, int] = {}
        self._held: frozenset[str] = frozenset()
        self._rates_retry: dict[str, datetime] = {}
        self._looked_at: datetime | None = None
        self._ours_then: Sequence[str] = ()

    def nudge(self) -> None:
        """Make every account due at the next step; safe to call from any thread."""
        with self._agenda:
            self._nudges += 1
            self._due = {}

    def due(self, now: datetime) -> Sequence[str]:
        """Return the claimed accounts that are due now, the longest due first."""
        if self._looked_at is not None and now < self._looked_at:
            self.nudge()  # the clock was set back: what was due by it may be far off now
        self._looked_at = now
        self._ours_then, due = self._ours(), self._due
        found = [(due.get(one, now), one) for one in self._ours_then]
        return [account_id for at, account_id in sorted(found) if at <= now]

    def next_at(self, now: datetime, *, without: Collection[str] = ()) -> datetime:
        """Return when an account that `due` found is due next, at the latest after a rest.

        Those of `without` are left aside.
        """
        due = self._due
        times = [due.get(one, now) for one in self._ours_then if one not in without]
        return max(min(times, default=now + self._cadence.rest), now)

    def work(self, account_id: str, now: datetime) -> None:
        """Give one account its pass; a nudge meanwhile makes it due again at once.

        What goes wrong is told with the account, which is tried again later.
        """
        with self._agenda:
            nudges = self._nudges
            self._due[account_id] = now + FIRST_BACK_OFF  # should the store fail this pass
        with self._context.database.read() as session:
            account = observation.account_by_id(session, account_id)
        with self._context.instruments.passing(account.name):
            next_at = self._guarded_pass(account, now)
        with self._agenda:
            self._due[account_id] = next_at if nudges == self._nudges else now

    def step(self, now: datetime) -> datetime:
        """Give every account that is due one pass; return when to call again."""
        for account_id in self.due(now):
            self.work(account_id, now)
        return self.next_at(now)

    def _ours(self) -> Sequence[str]:
        with self._context.database.read() as session:
            ids = observation.active_account_ids(session)
        claimed = frozenset(self._claims.of(ids))
        with self._agenda:
            for account_id in self._held - claimed:  # what was known of it may be old by then
                self._due.pop(account_id, None)
                self._deciders.pop(account_id, None)
                self._recorders.pop(account_id, None)
                self._watches.pop(account_id, None)
            self._held = claimed
        return [account_id for account_id in ids if account_id in claimed]

    def _guarded_pass(self, account: Account, now: datetime) -> datetime:
        """Keep the fault of one account from stopping the others; it is tried again soon."""
        try:
            with closing(self._claims.claim(account.id)) as claim:
                return self._claimed_pass(account, claim, now)
        except NotPermittedError as lost:
            self._context.instruments.outcome("broken_off")
            log.info("a pass was broken off", account=account.name, reason=str(lost))
            return now + FIRST_BACK_OFF

    def _claimed_pass(self, account: Account, claim: Claim, now: datetime) -> datetime:
        context = replace(self._context, database=claim.fenced(self._context.database))
        until = self._context.clock.now() + PATIENCE
        with permitted(claim.check), patient(until):
            try:
                next_at = self._pass(context, account, now)
            except NotPermittedError:
                raise
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise  # the store is away, which says nothing of the account
                if self._gives_way(account, error):
                    return now + SHORT_WAIT
                log.exception("the pass of an account failed", account=account.name)
                return self._failing(context, account, error, now)
            except Exception as error:
                log.exception("the pass of an account failed", account=account.name)
                return self._failing(context, account, error, now)
            else:
                self._contended.pop(account.id, None)
                return next_at

    def _gives_way(self, account: Account, error: DBAPIError) -> bool:
        """Tell whether others only wanted the same rows, a few times in a row at most."""
        times = self._contended.get(account.id, 0) + 1
        if not locks.is_contention(error) or times > MOST_CONTENDED:
            return False
        self._contended[account.id] = times
        self._context.instruments.outcome("broken_off")
        log.info("a pass gave way to another change", account=account.name, error=str(error.orig))
        return True

    def _failing(
        self, context: Context, account: Account, error: Exception, now: datetime
    ) -> datetime:
        why = f"{type(error).__name__}, see the log"
        return self._unwell(context, account, "failing", why, now)

    def _pass(self, context: Context, account: Account, now: datetime) -> datetime:
        try:
            provider = context.provider_for(account)
        except ProviderError as error:
            return self._unwell(context, account, "no_credentials", str(error), now)
        self._read_rates(context, account, provider, now)
        look = observe(context, account, provider, self._cadence.gap_limit)
        work = Pass(context, look.account, provider, look)
        warning_at = expiries.settle(context, account)
        decider = self._deciders.setdefault(account.id, Decider(self._limits))
        recorder = self._recorders.setdefault(account.id, Recorder())
        recorder.listed(look.tells_use, look.standing, look.asked_at)
        # Decided by the time it is now: the listing took a while, and people click meanwhile.
        verdicts = decider.run(work, context.clock.now())
        context.instruments.outcome(work.account.health)
        context.instruments.decided(account.name, verdicts.lags)
        context.instruments.evidence(account.name, verdicts.evidence)
        try:
            active = Operator(work).run()
            decider.count_for_record(work)
        except Exception:  # what was read is known, whatever came of acting on it
            self._keep(work, decider, recorder)
            raise
        if self._keep(work, decider, recorder):
            watch = self._watches.setdefault(account.id, AwakeWatch())
            watch.look(context, account.id, provider, recorder)
        due = [at for at in (verdicts.next_edge, warning_at) if at is not None]
        return self._next(work, active, min(due, default=None), now)

    def _keep(self, work: Pass, decider: Decider, recorder: Recorder) -> bool:
        """Keep what this pass has read of use; True when it was a time to write that down."""
        now = work.context.clock.now()
        recorder.counted(decider.counted, now)
        return recorder.flush(work.context, now, work.look.standing)

    def _unwell(
        self, context: Context, account: Account, health: str, detail: str, now: datetime
    ) -> datetime:
        """Note that an account could not be worked; tell it once, and try again later."""
        context.instruments.outcome(health)
        with context.database.write() as session:
            row = observation.account_by_id(session, account.id)
            if row.health != health:
                events.record(
                    session,
                    at=now,
                    kind=f"account.{health}",
                    actor=ENGINE,
                    message=f"{row.name} is {health.replace('_', ' ')}: {detail}",
                    account_id=row.id,
                )
                row.health, row.health_since = health, now
            row.health_detail = detail
            row.failures += 1
            session.add(row)
            return now + _back_off(row.failures)

    def _read_rates(
        self, context: Context, account: Account, provider: Provider, now: datetime
    ) -> None:
        known = account.rates_at is not None and now - account.rates_at < self._cadence.rates
        if known or self._rates_retry.get(account.id, now) > now:
            return
        asked_at = context.clock.now()
        try:
            offers = provider.hardware()
        except ProviderError as error:
            log.warning("price list could not be read", account=account.name, error=str(error))
            self._rates_retry[account.id] = now + LONGEST_BACK_OFF
            return
        at = context.clock.now()
        with context.database.write() as session:
            row = observation.account_by_id(session, account.id)
            changes = rates.record_offers(
                session,
                row.id,
                offers,
                at,
                f"{row.provider} price list",
                asked_at=asked_at,
                granularity_s=provider.capabilities.billing_granularity_s,
            )
            row.rates_at = at
            account.rates_at = at
            session.add(row)
            for change in changes:
                if change.before is not None:
                    events.record(
                        session,
                        at=at,
                        kind="rate.changed",
                        actor="cloud",
                        message=f"{change.hardware_key} changed its price",
                        account_id=row.id,
                        data={"before_nano": change.before, "after_nano": change.after},
                    )

    def _next(
        self, work: Pass, active: Sequence[Operation], edge: datetime | None, now: datetime
    ) -> datetime:
        look = work.look
        if look.retry_after is not None:
            return work.context.clock.now() + max(look.retry_after, SHORT_WAIT)
        if look.more:
            return now + timedelta(seconds=1)
        if not look.complete:
            return now + min(_back_off(work.account.failures), self._cadence.rest)
        fresh = [op for op in active if now - op.created_at < HURRY_FOR]
        moving = bool(fresh) or _moves(work.context, work.account, now)
        times = [now + (self._cadence.transition if moving else self._cadence.rest)]
        times += [at for at in (op.next_attempt_at for op in active) if at is not None and at > now]
        if edge is not None:
            times.append(edge)
        return max(min(times), now + timedelta(seconds=1))


def _moves(context: Context, account: Account, now: datetime) -> bool:
    """Tell whether something changes soon; what has hung for long is no reason to hurry."""
    with context.database.read() as session:
        return observation.any_moving(session, account.id, IN_TRANSITION, now - HURRY_FOR)


def _back_off(failures: int) -> timedelta:
    return min(FIRST_BACK_OFF * (1 << min(max(failures - 1, 0), 10)), LONGEST_BACK_OFF)
