"""The control loop as `step(now) -> next_at`: observe, meter, decide, plan, act.

It has no threads and reads no clock but the injected one. Level-triggered: every pass works
from what is, so that a pass may be lost, repeated or run late without harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from orchestrator.costs import rates
from orchestrator.domain.plan import Limits
from orchestrator.domain.status import IN_TRANSITION
from orchestrator.engine.apply import ENGINE
from orchestrator.engine.deciding import Decider
from orchestrator.engine.observe import Look, observe
from orchestrator.engine.operate import Operator
from orchestrator.providers.base import Provider, ProviderError
from orchestrator.services.context import Context
from orchestrator.store import events, observation
from orchestrator.store.tables import Account, Operation

log = structlog.get_logger(__name__)

FIRST_BACK_OFF = timedelta(seconds=10)
LONGEST_BACK_OFF = timedelta(minutes=5)
HURRY_FOR = timedelta(hours=1)


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
    """Works through all accounts; one instance per store at a time."""

    def __init__(
        self, context: Context, cadence: Cadence | None = None, limits: Limits | None = None
    ) -> None:
        self._context = context
        self._cadence = cadence or Cadence()
        self._decider = Decider(context, limits or Limits())
        self._due: dict[str, datetime] = {}
        self._rates_retry: dict[str, datetime] = {}
        self._stepped_at: datetime | None = None

    def nudge(self) -> None:
        """Make every account due at the next step; safe to call from any thread."""
        self._due = {}

    def step(self, now: datetime) -> datetime:
        """Give every account that is due one pass; return when to call again."""
        with self._context.database.read() as session:
            accounts = observation.active_accounts(session)
        if self._stepped_at is not None and now < self._stepped_at:
            self._due = {}  # the clock was set back: what was due by it may be far off now
        self._stepped_at = now
        due = dict(self._due)
        for account in accounts:
            if due.get(account.id, now) <= now:
                self._due[account.id] = due[account.id] = self._guarded_pass(account, now)
        times = [due[account.id] for account in accounts]
        return max(min(times, default=now + self._cadence.rest), now)

    def _guarded_pass(self, account: Account, now: datetime) -> datetime:
        """Keep the fault of one account from stopping the others; it is tried again soon."""
        try:
            return self._pass(account, now)
        except Exception as error:
            log.exception("the pass of an account failed", account=account.name)
            return self._unwell(account, "failing", f"{type(error).__name__}, see the log", now)

    def _pass(self, account: Account, now: datetime) -> datetime:
        try:
            provider = self._context.provider_for(account)
        except ProviderError as error:
            return self._unwell(account, "no_credentials", str(error), now)
        self._read_rates(account, provider, now)
        look = observe(self._context, account, provider, self._cadence.gap_limit)
        account = self._reload(account)
        # Decided by the time it is now: the listing took a while, and people click meanwhile.
        verdicts = self._decider.run(account, provider, look, self._context.clock.now())
        active = Operator(self._context, account, provider, look).run()
        return self._next(account, look, active, verdicts.next_edge, now)

    def _reload(self, account: Account) -> Account:
        with self._context.database.read() as session:
            return session.get_one(Account, account.id)

    def _unwell(self, account: Account, health: str, detail: str, now: datetime) -> datetime:
        """Note that an account could not be worked; tell it once, and try again later."""
        with self._context.database.write() as session:
            row = session.get_one(Account, account.id)
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

    def _read_rates(self, account: Account, provider: Provider, now: datetime) -> None:
        known = account.rates_at is not None and now - account.rates_at < self._cadence.rates
        if known or self._rates_retry.get(account.id, now) > now:
            return
        asked_at = self._context.clock.now()
        try:
            offers = provider.hardware()
        except ProviderError as error:
            log.warning("price list could not be read", account=account.name, error=str(error))
            self._rates_retry[account.id] = now + LONGEST_BACK_OFF
            return
        at = self._context.clock.now()
        with self._context.database.write() as session:
            row = session.get_one(Account, account.id)
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
        self,
        account: Account,
        look: Look,
        active: Sequence[Operation],
        edge: datetime | None,
        now: datetime,
    ) -> datetime:
        if look.retry_after is not None:
            return now + max(look.retry_after, FIRST_BACK_OFF)
        if look.more:
            return now + timedelta(seconds=1)
        if not look.complete:
            return now + min(_back_off(account.failures), self._cadence.rest)
        fresh = [op for op in active if now - op.created_at < HURRY_FOR]
        moving = bool(fresh) or self._moves(account, now)
        times = [now + (self._cadence.transition if moving else self._cadence.rest)]
        times += [at for at in (op.next_attempt_at for op in active) if at is not None and at > now]
        if edge is not None:
            times.append(edge)
        return max(min(times), now + timedelta(seconds=1))

    def _moves(self, account: Account, now: datetime) -> bool:
        """Tell whether something changes soon; what has hung for long is no reason to hurry."""
        with self._context.database.read() as session:
            return observation.any_moving(session, account.id, IN_TRANSITION, now - HURRY_FOR)


def _back_off(failures: int) -> timedelta:
    return min(FIRST_BACK_OFF * (1 << min(max(failures - 1, 0), 10)), LONGEST_BACK_OFF)
