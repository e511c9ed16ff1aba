"""Claims of accounts on Postgres: one direct connection with its locks, rows and notices.

A lock of a session ends with the session, so that holding one proves that its connection lives.
Poolers that share connections between transactions break that, and are refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from secrets import randbits
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from sqlalchemy import URL, make_url, text
from sqlmodel import Session

from orchestrator.store.database import Database

Fault = psycopg.Error
Blocked = psycopg.errors.LockNotAvailable

CHANNEL, CLAIMS, NUDGE = "orchestrator", "claims", "nudge"
LOCK_WAIT_MS, STATEMENT_MS, IDLE_MS = 500, 3_000, 5_000
POOLER_ROUNDS = 12


@dataclass(frozen=True, slots=True)
class Row:
    """The claim of one account as it is stored; `expired` by the database's clock."""

    owner: str
    epoch: int
    expires_at: datetime
    expired: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """All claims at one moment.

    `rows` has every connected account, None where nobody ever claimed it; `holders` the backend
    that holds each lock; `live` the workers that are there, were seen lately and do not stop.
    """

    pid: int
    rows: Mapping[str, Row | None]
    holders: Mapping[int, int]
    live: frozenset[str]


def lock_key(kind: str, name: str) -> int:
    """Return the number of the advisory lock for an account or a worker."""
    digest = hashlib.sha256(f"orchestrator:{kind}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


def fence(session: Session, account_id: str, owner: str, epoch: int) -> bool:
    """Tell whether the claim still stands, and keep it so until the transaction ends.

    A take-over waits for such transactions; renewing a claim does not.
    """
    found = session.connection().execute(
        text(
            "SELECT 1 FROM claim WHERE account_id = :account AND owner = :owner"
            " AND epoch = :epoch FOR KEY SHARE"
        ),
        {"account": account_id, "owner": owner, "epoch": epoch},
    )
    return found.first() is not None


class Direct:
    """One direct connection of one worker; not safe for several threads. Raises Fault."""

    def __init__(self, url: str, worker: str) -> None:
        self.worker = worker
        self._connection = connect(url, worker)
        for setting, value in (
            ("lock_timeout", LOCK_WAIT_MS),
            ("statement_timeout", STATEMENT_MS),
            ("idle_in_transaction_session_timeout", IDLE_MS),
        ):
            self._connection.execute("SELECT set_config(%s, %s, false)", (setting, f"{value}ms"))
        self.pid: int = self._one("SELECT pg_backend_pid()")[0]

    def close(self) -> None:
        """End the session and with it its locks."""
        with suppress(Fault):
            self._connection.close()

    def begin(self, host: str, pid: int, version: str) -> None:
        """Enter the worker, listen to notices, and show presence by a lock."""
        self._connection.execute(
            "INSERT INTO worker (id, host, pid, version, started_at, seen_at, stopping)"
            " VALUES (%s, %s, %s, %s, clock_timestamp(), clock_timestamp(), false)"
            " ON CONFLICT (id) DO UPDATE SET seen_at = clock_timestamp()",
            (self.worker, host, pid, version),
        )
        self._connection.execute(f"LISTEN {CHANNEL}".encode())
        key = lock_key("worker", self.worker)
        if not self._one("SELECT pg_try_advisory_lock(%s)", key)[0]:
            raise Fault("an earlier connection of this worker has not ended yet")
        self._connection.execute(
            "DELETE FROM worker WHERE seen_at < clock_timestamp() - interval '1 day'"
        )

    def seen(self, *, stopping: bool) -> None:
        """Renew the worker's sign of life."""
        self._connection.execute(
            "UPDATE worker SET seen_at = clock_timestamp(), stopping = %s WHERE id = %s",
            (stopping, self.worker),
        )

    def leave(self) -> None:
        """Strike the worker off."""
        self._connection.execute("DELETE FROM worker WHERE id = %s", (self.worker,))

    def look(self, lease_s: float) -> Standing:
        """Return the standing of all claims."""
        rows = self._all(
            "SELECT a.id, c.owner, c.epoch, c.expires_at, c.expires_at < clock_timestamp()"
            " FROM account a LEFT JOIN claim c ON c.account_id = a.id"
            " WHERE a.removed_at IS NULL ORDER BY a.id"
        )
        locks = self._all(
            "SELECT (classid::bigint << 32) | objid::bigint, pid, pg_backend_pid() FROM pg_locks"
            " WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        workers = self._all(
            "SELECT id FROM worker WHERE NOT stopping"
            " AND seen_at > clock_timestamp() - make_interval(secs => %s)",
            lease_s,
        )
        holders = {int(key): int(pid) for key, pid, _ in locks}
        return Standing(
            pid=int(locks[0][2]) if locks else 0,
            rows={row[0]: None if row[1] is None else Row(*row[1:]) for row in rows},
            holders=holders,
            live=frozenset(one for (one,) in workers if lock_key("worker", one) in holders),
        )

    def lock(self, account_id: str) -> bool:
        """Take the lock of an account for this session; False where another has it."""
        key = lock_key("account", account_id)
        return bool(self._one("SELECT pg_try_advisory_lock(%s)", key)[0])

    def unlock(self, account_id: str) -> None:
        """Give the lock of an account back."""
        self._connection.execute(
            "SELECT pg_advisory_unlock(%s)", (lock_key("account", account_id),)
        )

    def take(self, account_id: str, seen: Row | None, lease_s: float) -> int | None:
        """Take the claim as it was seen and return the new epoch; None if it has changed since.

        Raises Blocked while a transaction of the former owner is open.
        """
        if seen is None:
            self._connection.execute(
                "INSERT INTO claim (account_id, owner, epoch, taken_at, expires_at)"
                " VALUES (%s, '', 0, clock_timestamp(), clock_timestamp()) ON CONFLICT DO NOTHING",
                (account_id,),
            )
        owner, epoch = ("", 0) if seen is None else (seen.owner, seen.epoch)
        # One statement, so that a taker who is stopped in it blocks nobody.
        found = self._all(
            "WITH held AS (SELECT account_id FROM claim WHERE account_id = %s AND owner = %s"
            " AND epoch = %s FOR UPDATE)"
            " UPDATE claim SET owner = %s, epoch = claim.epoch + 1, taken_at = clock_timestamp(),"
            " expires_at = clock_timestamp() + make_interval(secs => %s)"
            " FROM held WHERE claim.account_id = held.account_id RETURNING claim.epoch",
            account_id,
            owner,
            epoch,
            self.worker,
            lease_s,
        )
        return int(found[0][0]) if found else None

    def renew(self, account_ids: Collection[str], lease_s: float) -> dict[str, int]:
        """Extend our claims; return the epochs of those that are still ours."""
        rows = self._all(
            "UPDATE claim SET expires_at = clock_timestamp() + make_interval(secs => %s)"
            " WHERE owner = %s AND account_id = ANY(%s) RETURNING account_id, epoch",
            lease_s,
            self.worker,
            list(account_ids),
        )
        return {account_id: int(epoch) for account_id, epoch in rows}

    def give_back(self, account_id: str, epoch: int) -> None:
        """Free a claim that is ours, and its lock."""
        self._connection.execute(
            "UPDATE claim SET owner = '', expires_at = clock_timestamp()"
            " WHERE account_id = %s AND owner = %s AND epoch = %s",
            (account_id, self.worker, epoch),
        )
        self.unlock(account_id)

    def end_backends(self, worker: str) -> int:
        """End all connections of another worker; they are gone a moment later."""
        return int(
            self._one(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE"
                " application_name = %s AND datname = current_database()"
                " AND pid <> pg_backend_pid()",
                worker,
            )[0]
        )

    def end_backend(self, pid: int) -> None:
        """End one earlier connection of our own, if it is still there."""
        self._connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid = %s AND application_name = %s AND pid <> pg_backend_pid()",
            (pid, self.worker),
        )

    def tell(self, what: str) -> None:
        """Tell all workers that there is something to look at."""
        self._connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, what))

    def hear(self, seconds: float) -> set[str]:
        """Wait for notices, at most so long; return what they say."""
        told = self._connection.notifies(timeout=max(seconds, 0.0), stop_after=1)
        return {notice.payload for notice in told}

    def _one(self, statement: str, *values: object) -> tuple[Any, ...]:
        return self._all(statement, *values)[0]

    def _all(self, statement: str, *values: object) -> Sequence[tuple[Any, ...]]:
        return self._connection.execute(statement.encode(), values).fetchall()


def connect(url: str | URL, name: str) -> psycopg.Connection[tuple[Any, ...]]:
    """Open a connection outside of the pool, which notices soon that its server is gone."""
    parsed = make_url(url)
    _, keywords = (
        parsed.set(drivername="postgresql+psycopg").get_dialect()().create_connect_args(parsed)
    )
    kept = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
    wanted = {"connect_timeout": 5, "tcp_user_timeout": 6_000, **kept, **keywords}
    return psycopg.connect(
        **{**wanted, "application_name": name},
        autocommit=True,
        prepare_threshold=None,
        row_factory=tuple_row,
    )


def direct_fault(database: Database, url: str) -> str:
    """Return why workers cannot use an address for locks and notices; empty when they can."""
    fault = pooler_fault(url)
    if not fault and not _same_database(database, url):
        return "it leads to another database than database_url"
    return fault


def pooler_fault(url: str) -> str:
    """Return why locks and notices do not work over an address; empty when they do.

    Tried, not guessed: while one connection rests, others must never be given its session.
    """
    try:
        with connect(url, "orchestrator self-test") as rests, connect(url, "self-test") as other:
            return _sharing(rests, other)
    except psycopg.Error as error:
        return f"it cannot be used: {' '.join(str(error).split())}"


def _sharing(
    rests: psycopg.Connection[tuple[Any, ...]], other: psycopg.Connection[tuple[Any, ...]]
) -> str:
    other.autocommit = False
    key = randbits(62)
    mine = _scalar(rests, "SELECT pg_backend_pid()")
    locked = _scalar(rests, "SELECT CASE WHEN pg_try_advisory_lock(%s) THEN 1 ELSE 0 END", key)
    shared = not locked
    for _ in range(1 if rests.info.backend_pid == mine else POOLER_ROUNDS):
        theirs = _scalar(other, "SELECT pg_backend_pid()")
        free = _scalar(
            other, "SELECT CASE WHEN pg_try_advisory_xact_lock(%s) THEN 1 ELSE 0 END", key
        )
        shared |= theirs == mine or bool(free) or _scalar(rests, "SELECT pg_backend_pid()") != mine
        other.rollback()
        if shared:
            return (
                "a connection pooler is in between that gives one session to several clients, "
                "which breaks the locks and notices of workers"
            )
    rests.execute("SELECT pg_advisory_unlock(%s)", (key,))
    return ""


def _scalar(connection: psycopg.Connection[tuple[Any, ...]], statement: str, *values: int) -> int:
    row = connection.execute(statement.encode(), values).fetchone()
    return int(row[0]) if row is not None else 0


def _same_database(database: Database, url: str) -> bool:
    """Tell whether the direct address leads to the store itself: a lock there shows here."""
    key = randbits(62)
    seen = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
        " AND (classid::bigint << 32) | objid::bigint = %s"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with database.write() as session, connect(url, "orchestrator self-test") as direct:
        session.connection().execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        return _scalar(direct, seen, key) == 1
