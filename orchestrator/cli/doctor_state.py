"""What `doctor` reads from the store: workers, nets, notifications, operations, freezes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from orchestrator import __version__
from orchestrator.cli import formats
from orchestrator.cli.checks import Check, Level, fail, found, ok, warn
from orchestrator.cli.doctor_clouds import SKEW_WARNS, WRONG_CLOCK, Looked
from orchestrator.cli.doctor_exam import Exam
from orchestrator.domain.money import format_dollars
from orchestrator.logs import redact_text
from orchestrator.store import freeze, metrics, operations
from orchestrator.store.metrics import Netless, Presence, TargetState
from orchestrator.store.operations import OperationFilter
from orchestrator.store.tables import Operation

# More than so many of one kind are only counted.
MOST = 20
_UNSENT_FAILS = timedelta(minutes=10)
_RUN_WORKER = "orchestrator serve, or orchestrator worker"


def check_workers(exam: Exam) -> Iterator[Check]:
    """Check who works on the store, who owns which account, and whether each is looked at."""
    if exam.store.dialect == "postgresql":
        with exam.store.read() as session:
            yield from _workers(exam, session)
    for looked in exam.looked:
        yield _look(exam, looked)
    if not exam.looked:
        yield ok("accounts looked at", "no account has to be looked at")


def _workers(exam: Exam, session: Session) -> Iterator[Check]:
    lease = exam.settings.claim_lease_s
    present = [one for one in metrics.presences(session) if one.seen_s <= 2 * lease]
    if not present:
        level: Level = "fail" if exam.looked else "warn"
        yield found(level, "workers", "none runs", _RUN_WORKER)
    for one in present:
        yield _worker(one)
    for claim in metrics.ownerships(session):
        name = f"owner of {claim.account}"
        if claim.owner and claim.lease_s > 0:
            yield ok(name, f"{claim.owner}, epoch {claim.epoch}")
        else:
            yield fail(name, "nobody works on it", f"{_RUN_WORKER}; see the log of the workers")


def _worker(one: Presence) -> Check:
    name, worker = f"worker {one.worker.id}", one.worker
    told = f"version {worker.version}, {one.accounts} accounts, seen {one.seen_s:.0f} s ago"
    if worker.version != __version__:
        return warn(name, f"{told}; this is {__version__}", "upgrade all to the same version")
    if worker.stopping:
        return warn(name, f"{told}; it is stopping", "wait until others have taken its accounts")
    return ok(name, told)


def _look(exam: Exam, looked: Looked) -> Check:
    account, name = looked.account, f"look at {looked.account.name}"
    fresh_for = timedelta(seconds=3 * exam.settings.observe_interval_s + 60)
    age = exam.now - (account.confirmed_at or account.created_at)
    told = formats.age(age)
    told = f"last whole look {told}" if account.confirmed_at else f"not yet; connected {told}"
    if account.health not in ("ok", "new"):
        told = redact_text(f"{told}; {account.health}: {account.health_detail}")
        return fail(name, told, "see its lines under clouds")
    if age > fresh_for:
        return fail(name, told, f"is the engine running? {_RUN_WORKER}")
    if age < -SKEW_WARNS:
        return warn(name, told, WRONG_CLOCK)
    return ok(name, told)


def check_nets(exam: Exam) -> Iterator[Check]:
    """List what would run on for ever, dearest first: no cloud and no rule of ours stops it."""
    with exam.store.read() as session:
        rows = metrics.netless(session)
    bare = [one for one in rows if one.net == "none"]
    for one in bare[:MOST]:
        yield _bare(one)
    if len(bare) > MOST:
        rest = f"{len(bare) - MOST} more, {_burn(bare[MOST:])}"
        yield warn("endpoints without a net", rest, "see -o json of `orchestrator endpoints list`")
    if not bare:
        yield ok("endpoints without a net", "none: something stops whatever is billed")
    ours = [one for one in rows if one.net == "ours"]
    if ours:
        told = f"{len(ours)} billed endpoints ({_burn(ours)}) have no timer of their cloud"
        yield ok("endpoints on our net", f"{told}; rules stop them while this service runs")


def _bare(one: Netless) -> Check:
    row = one.endpoint
    if not row.managed:
        remedy = "adopt it and give it a schedule or an idle policy, or set a timer in its cloud"
    elif row.protected:
        remedy = "it is protected, so that rules only propose: set a timer in its cloud, or allow"
    else:
        remedy = "give it a schedule or an idle policy, or a timer of its cloud"
    return warn(
        f"no net: {one.account}/{row.name}", f"{_burn([one])}; nothing would stop it", remedy
    )


def _burn(rows: Sequence[Netless]) -> str:
    known = sum(one.burn for one in rows if one.burn is not None)
    unpriced = sum(1 for one in rows if one.burn is None)
    if unpriced == len(rows):
        return "unpriced"
    return f"{format_dollars(known)}/h" + (f" and {unpriced} unpriced" if unpriced else "")


def check_notifications(exam: Exam) -> Iterator[Check]:
    """Check whether people are told, and whether what they are to be told is on its way."""
    with exam.store.read() as session:
        targets = metrics.targets(session)
        number, oldest = metrics.notices_waiting(session)
    if not targets:
        yield warn("notifications", "nobody is told of anything", "orchestrator notifications add")
    for one in targets:
        yield _target(one, exam.now)
    if oldest is not None and exam.now - oldest > _UNSENT_FAILS:
        told = f"{number} notices wait, the oldest for {_since(oldest, exam.now)}"
        yield fail("outbox", told, f"nobody sends them: {_RUN_WORKER}")
    else:
        yield ok("outbox", f"{number} notices have just been written" if number else "empty")


def _target(one: TargetState, now: datetime) -> Check:
    target, name = one.target, f"target {one.target.name}"
    waits = f"{one.pending} messages wait" if one.pending else "nothing waits"
    if one.failed:
        waits += f", {one.failed} were given up"
    if not target.enabled:
        return found("warn" if one.pending else "ok", name, f"switched off; {waits}", "")
    if target.failing_since is not None:
        told = f"fails since {_since(target.failing_since, now)}: {target.last_error}; {waits}"
        return fail(name, redact_text(told), "correct its address or secret, then test it")
    return ok(name, waits)


def check_work(exam: Exam) -> Iterator[Check]:
    """Check what is frozen and what is stuck."""
    with exam.store.read() as session:
        everywhere = freeze.everywhere(session)
        stuck = operations.page(
            session, OperationFilter(statuses=operations.ACTIVE, stuck=True), None, MOST
        )
        late = metrics.overdue_edges(session, exam.now)
        kept = metrics.overdue_deletions(session, exam.now)
    if everywhere is not None:
        told = f"everything since {everywhere.at:%Y-%m-%d %H:%M} UTC by {everywhere.by}"
        yield warn("frozen", f"{told}: {everywhere.reason}", "orchestrator freeze off")
    for one in exam.looked:
        held = freeze.of_account(one.account)
        if held is not None:
            told = f"since {held.at:%Y-%m-%d %H:%M} UTC by {held.by}: {held.reason}"
            remedy = f"orchestrator freeze off --account {one.account.name}"
            yield warn(f"frozen {one.account.name}", told, remedy)
    if everywhere is None and not any(freeze.of_account(one.account) for one in exam.looked):
        yield ok("frozen", "nothing is")
    names = {one.account.id: one.account.name for one in exam.looked}
    for operation in stuck:
        yield _stuck(operation, names.get(operation.account_id, ""), exam.now)
    if not stuck:
        yield ok("operations", "none is stuck")
    for name, overdue in late.items():
        if exam.now - overdue.oldest > timedelta(seconds=3 * exam.settings.observe_interval_s):
            told = f"an edge of {_since(overdue.oldest, exam.now)} ago is not decided on"
            yield fail(f"decisions of {name}", told, f"is the engine running? {_RUN_WORKER}")
    for name, overdue in kept.items():
        told = f"{overdue.number} are kept beyond their grace, by up to "
        remedy = "see `orchestrator endpoints list`: a warning may not have been delivered"
        yield warn(f"deletions of {name}", told + _since(overdue.oldest, exam.now), remedy)


def _stuck(operation: Operation, account: str, now: datetime) -> Check:
    since = operation.stuck_since or operation.created_at
    told = f"under way for {_since(operation.created_at, now)}, stuck for {_since(since, now)}"
    if operation.cloud_state or operation.cloud_message:
        told += f"; its cloud says {operation.cloud_state} {operation.cloud_message}".rstrip()
    name = f"{operation.kind} of {account}/{operation.endpoint_name}"
    remedy = f"orchestrator operations show {operation.id}"
    return warn(name, redact_text(told), remedy)


def _since(at: datetime, now: datetime) -> str:
    return formats.duration(max((now - at).total_seconds(), 0))
