"""The rules of claims: several claimants over one real Postgres, with a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from orchestrator.engine.claims import Claim
from orchestrator.engine.claims_postgres import PostgresClaims
from orchestrator.engine.taking import GRACE_S, PERMIT_S
from orchestrator.providers.permit import NotPermittedError
from orchestrator.store.claims import Fault
from orchestrator.store.database import Database
from orchestrator.store.tables import Account, Event
from tests.support.postgres import PostgresServer

LEASE_S = 15.0


class Ticks:
    """A clock in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Party:
    """Claimants over one store; `url` serves the direct connections of all."""

    def __init__(self, database: Database, accounts: int) -> None:
        self.database, self.ticks = database, Ticks()
        self.url = database.url.render_as_string(hide_password=False)
        self.members: dict[str, PostgresClaims] = {}
        self.ids = [f"acc_{number}" for number in range(accounts)]
        with database.write() as session:
            session.add_all([_account(one) for one in self.ids])

    def join(self, name: str) -> PostgresClaims:
        """Return a new claimant, which has not looked yet."""
        made = PostgresClaims(self.url, name, lease_s=LEASE_S, ticks=self.ticks)
        self.members[name] = made
        return made

    def rounds(self, *members: PostgresClaims, seconds: float = 0.0) -> None:
        """Let time pass while these members look every half second, and once at the end."""
        steps = int(seconds / 0.5)
        for _ in range(steps):
            for member in members:
                member.step()
            self.ticks.now += 0.5
        for member in members:
            member.step()

    def cut(self, name: str) -> None:
        """End the direct connection of a member, unknown to it."""
        with self.database.write() as session:
            session.connection().execute(
                text(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE application_name = :name"
                ),
                {"name": name},
            )

    def owned(self, member: PostgresClaims) -> set[str]:
        return set(member.of(self.ids))

    def permitted(self, member: PostgresClaims, account_id: str) -> bool:
        try:
            claim = member.claim(account_id)
        except NotPermittedError:
            return False
        try:
            claim.check()
        except NotPermittedError:
            return False
        finally:
            claim.close()
        return True

    def close(self) -> None:
        for member in self.members.values():
            member.release()


def _account(account_id: str) -> Account:
    return Account(
        id=account_id,
        name=account_id,
        provider="huggingface",
        namespace=account_id,
        credential_ref="env:NONE",
        created_at=datetime.now(UTC),
    )


@contextmanager
def party(database: Database, accounts: int = 1) -> Iterator[Party]:
    held = Party(database, accounts)
    try:
        yield held
    finally:
        held.close()


def may_write(claim: Claim, database: Database) -> bool:
    try:
        with claim.fenced(database).write() as session:
            session.add(
                Event(at=datetime.now(UTC), kind="test", actor="test", message="a write of a pass")
            )
    except NotPermittedError:
        return False
    return True


def test_the_first_takes_all_at_once_and_gives_a_fair_share(postgres_database: Database) -> None:
    with party(postgres_database, accounts=5) as group:
        one, two = group.join("one"), group.join("two")
        one.step()
        assert group.owned(one) == set(group.ids)
        group.rounds(two, one, two, seconds=1)
        assert (len(group.owned(one)), len(group.owned(two))) == (3, 2)
        assert group.owned(one) | group.owned(two) == set(group.ids)


def test_an_account_under_way_is_not_given_back(postgres_database: Database) -> None:
    with party(postgres_database, accounts=2) as group:
        one, two = group.join("one"), group.join("two")
        one.step()
        held = [one.claim(account_id) for account_id in group.ids]
        group.rounds(two, one, seconds=1)
        assert len(group.owned(one)) == 2
        held[0].close()
        group.rounds(one, two, seconds=1)
        assert (group.owned(one), group.owned(two)) == ({group.ids[1]}, {group.ids[0]})
        held[1].close()


def test_accounts_come_and_go(postgres_database: Database) -> None:
    with party(postgres_database) as group:
        one = group.join("one")
        one.step()
        with postgres_database.write() as session:
            session.add(_account("acc_new"))
            session.get_one(Account, "acc_0").removed_at = datetime.now(UTC)
        one.step()
        assert set(one.epochs()) == {"acc_new"}


def test_a_dead_workers_accounts_are_taken_after_the_grace(postgres_database: Database) -> None:
    with party(postgres_database) as group:
        one, two = group.join("one"), group.join("two")
        group.rounds(one, two)
        group.cut("one")
        found = group.ticks.now
        while not group.owned(two):
            group.rounds(two, seconds=0.5)
        assert PERMIT_S < group.ticks.now - found < 5
        assert two.epochs() == {"acc_0": 2}


def test_who_was_cut_off_may_not_call_once_it_is_followed(postgres_database: Database) -> None:
    with party(postgres_database) as group:
        one, two = group.join("one"), group.join("two")
        group.rounds(one, two)
        claim = one.claim("acc_0")
        group.cut("one")
        while not group.owned(two):
            two.step()
            group.ticks.now += 0.1
        with pytest.raises(NotPermittedError):
            claim.check()


def test_permits_end_before_anybody_takes_over(postgres_database: Database) -> None:
    with party(postgres_database) as group:
        one, two = group.join("one"), group.join("two")
        group.rounds(one, two)
        claim = one.claim("acc_0")
        claim.check()
        group.cut("one")
        assert may_write(claim, postgres_database)  # nobody has it yet
        group.ticks.now += PERMIT_S
        with pytest.raises(NotPermittedError, match="verified"):
            claim.check()
        group.rounds(two, seconds=GRACE_S + 1)
        assert group.owned(two)
        assert not may_write(claim, postgres_database)
        with pytest.raises(Fault):
            one.step()


def test_a_worker_that_does_not_renew_is_ended(postgres_database: Database) -> None:
    with party(postgres_database) as group:
        one, two = group.join("one"), group.join("two")
        group.rounds(one, two)
        claim = one.claim("acc_0")
        group.rounds(two, seconds=LEASE_S)
        assert group.owned(two) == set()
        with postgres_database.write() as session:
            session.connection().execute(
                text("UPDATE claim SET expires_at = clock_timestamp() - interval '1 second'")
            )
        group.rounds(two, seconds=LEASE_S + 1)  # the row was changed: watched from anew
        assert group.owned(two) == {"acc_0"}
        with pytest.raises(NotPermittedError):
            claim.check()
        assert not may_write(claim, postgres_database)


def test_an_owner_that_cannot_renew_stops(postgres_database: Database) -> None:
    with party(postgres_database) as group:
        one = group.join("one")
        one.step()
        claim = one.claim("acc_0")
        with postgres_database.write() as session:
            session.connection().execute(text("SELECT * FROM claim FOR UPDATE"))
            for _ in range(4):
                group.ticks.now += LEASE_S / 4
                one.step()
            with pytest.raises(NotPermittedError, match="verified"):
                claim.check()
        one.step()
        claim.check()


def test_a_database_clock_that_was_set_takes_nothing(postgres_database: Database) -> None:
    with party(postgres_database) as group:
        one, two = group.join("one"), group.join("two")
        group.rounds(one, two)
        with postgres_database.write() as session:
            session.connection().execute(
                text("UPDATE claim SET expires_at = expires_at - interval '1 day'")
            )
        group.rounds(one, two, seconds=2 * LEASE_S)
        assert one.epochs() == {"acc_0": 1}


def test_a_take_over_waits_for_a_write_under_way_or_ends_it(postgres_database: Database) -> None:
    with party(postgres_database) as group:
        one, two = group.join("one"), group.join("two")
        group.rounds(one, two)
        claim = one.claim("acc_0")
        with claim.fenced(postgres_database).write():
            one.step()  # renewing does not wait for our own transaction
            group.cut("one")
            group.rounds(two, seconds=GRACE_S + 1)
            assert group.owned(two) == set()
        group.rounds(two, seconds=1)
        assert group.owned(two) == {"acc_0"}


def test_a_lost_connection_is_made_again_with_the_same_epoch(postgres_database: Database) -> None:
    with party(postgres_database) as group:
        one, two = group.join("one"), group.join("two")
        group.rounds(one, two)
        claim = one.claim("acc_0")
        group.cut("one")
        with pytest.raises(Fault):
            one.step()
        one.lost()
        with pytest.raises(NotPermittedError):
            claim.check()
        one.step()
        claim.check()
        group.rounds(two, one, seconds=2 * GRACE_S)
        claim.check()
        assert one.epochs() == {"acc_0": 1}
        assert may_write(claim, postgres_database)


def test_stopping_gives_everything_back_at_once(postgres_database: Database) -> None:
    with party(postgres_database, accounts=2) as group:
        one, two = group.join("one"), group.join("two")
        one.step()
        busy = one.claim("acc_0")
        one.stop()
        with pytest.raises(NotPermittedError, match="stopping"):
            busy.check()
        group.rounds(one, two)
        assert group.owned(two) == {"acc_1"}
        busy.close()
        one.release()
        two.step()
        assert two.epochs() == {"acc_0": 2, "acc_1": 2}


class ClaimMachine(RuleBasedStateMachine):
    """Three claimants; time passes, connections are cut, passes begin, end, check and write."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        with self.database.write() as session:
            for table in ("claim", "worker", "event", "account"):
                session.connection().execute(text(f"TRUNCATE {table} CASCADE"))
        self.group = Party(self.database, 2)
        self.members = [self.group.join(name) for name in ("one", "two", "three")]
        self.passes: list[tuple[int, str, Claim, int]] = []

    def teardown(self) -> None:
        self.group.close()

    @rule(who=st.integers(0, 2))
    def look(self, who: int) -> None:
        try:
            self.members[who].step()
        except Fault:
            self.members[who].lost()

    @rule(who=st.integers(0, 2))
    def look_on(self, who: int) -> None:
        for _ in range(4):
            self.look(who)
            self.group.ticks.now += 0.1

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 16.0]))
    def wait(self, seconds: float) -> None:
        self.group.ticks.now += seconds

    @rule(who=st.integers(0, 2))
    def cut(self, who: int) -> None:
        self.group.cut(self.members[who].worker)

    @rule(who=st.integers(0, 2), place=st.integers(0, 1))
    def begin(self, who: int, place: int) -> None:
        account_id = self.group.ids[place]
        member = self.members[who]
        epoch = member.epochs().get(account_id)
        if epoch is not None:
            self.passes.append((who, account_id, member.claim(account_id), epoch))

    @precondition(lambda self: self.passes)
    @rule(place=st.integers(0, 9))
    def end(self, place: int) -> None:
        self.passes.pop(place % len(self.passes))[2].close()

    def stored(self) -> dict[str, tuple[str, int]]:
        with self.database.read() as session:
            rows = session.connection().execute(text("SELECT account_id, owner, epoch FROM claim"))
            return {account_id: (owner, epoch) for account_id, owner, epoch in rows}

    @invariant()
    def only_the_owner_may_act(self) -> None:
        stored = self.stored()
        for who, account_id, claim, epoch in self.passes:
            ours = stored[account_id] == (self.members[who].worker, epoch)
            assert may_write(claim, self.database) is ours
            if not ours:
                with pytest.raises(NotPermittedError):
                    claim.check()


def test_no_two_may_act_for_an_account(
    postgres_server: PostgresServer, postgres_template: str
) -> None:
    with postgres_server.copy_of(postgres_template) as url:
        database = Database(url, durable=False)
        machine = type("Machine", (ClaimMachine,), {"database": database})
        run_state_machine_as_test(
            machine, settings=settings(max_examples=40, stateful_step_count=30, deadline=None)
        )
        database.dispose()
