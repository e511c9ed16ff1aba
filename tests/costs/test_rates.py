"""Rates: changes only, the rate of its time, and what a price does to intervals."""

from __future__ import annotations

from sqlmodel import select

from orchestrator.costs.rates import rate_at, record_offers
from orchestrator.domain.endpoints import HardwareOffer
from orchestrator.domain.status import Status
from orchestrator.store.tables import Offer, Rate
from tests.costs.fleet import A100, DOLLAR, L4, START, Fleet, after, seen

RUNNING = Status.RUNNING


def rates(fleet: Fleet) -> list[tuple[str, int]]:
    with fleet.database.read() as session:
        return [(each.hardware_key, each.nano_per_hour) for each in session.exec(select(Rate))]


def test_a_rate_is_stored_only_when_a_price_is_new_or_changed(fleet: Fleet) -> None:
    fleet.account("acc")
    first = fleet.prices("acc", START, (L4, DOLLAR), (A100, None))
    again = fleet.prices("acc", after(hours=1), (L4, DOLLAR))
    changed = fleet.prices("acc", after(hours=2), (L4, 2 * DOLLAR))
    assert [(each.before, each.after) for each in first + again + changed] == [
        (None, DOLLAR),
        (DOLLAR, 2 * DOLLAR),
    ]
    assert len(rates(fleet)) == 2


def test_the_price_list_is_kept_as_last_read(fleet: Fleet) -> None:
    fleet.account("acc")
    fleet.prices("acc", START, (L4, DOLLAR), (A100, None))
    fleet.prices("acc", after(hours=1), (L4, DOLLAR))
    with fleet.database.read() as session:
        offers = {each.hardware_key: each for each in session.exec(select(Offer))}
    assert offers[L4.key].read_at == after(hours=1)
    assert offers[A100.key].nano_per_hour is None


def test_a_past_instant_keeps_the_rate_of_its_time(priced: Fleet) -> None:
    priced.prices("acc", after(hours=2), (L4, 3 * DOLLAR))
    with priced.database.read() as session:
        found = [
            rate_at(session, "acc", L4.key, instant)
            for instant in (after(hours=-1), after(hours=1), after(hours=2))
        ]
    assert [each and each.nano_per_hour for each in found] == [None, DOLLAR, 3 * DOLLAR]


def test_two_accounts_may_have_two_prices(priced: Fleet) -> None:
    priced.account("other")
    priced.prices("other", START, (L4, 7 * DOLLAR))
    with priced.database.read() as session:
        found = rate_at(session, "acc", L4.key, after(hours=1))
    assert found is not None
    assert found.nano_per_hour == DOLLAR


def test_a_new_price_splits_and_widens_back_to_the_last_reading(priced: Fleet) -> None:
    priced.endpoints("acc", "ep")
    priced.look("acc", START, [seen("ep", RUNNING, 2)])
    priced.prices("acc", after(hours=1), (L4, DOLLAR))
    (change,) = priced.prices("acc", after(hours=2), (L4, 3 * DOLLAR))
    assert change.endpoints == 1
    assert [
        (each.started_at, each.burn_low, each.burn, each.burn_high) for each in priced.ledger("ep")
    ] == [
        (START, 2 * DOLLAR, 2 * DOLLAR, 2 * DOLLAR),
        (after(hours=1), 2 * DOLLAR, 2 * DOLLAR, 6 * DOLLAR),
        (after(hours=2), 6 * DOLLAR, 6 * DOLLAR, 6 * DOLLAR),
    ]


def test_a_first_price_counts_from_when_it_was_read(fleet: Fleet) -> None:
    fleet.account("acc")
    fleet.endpoints("acc", "ep")
    fleet.look("acc", START, [seen("ep", RUNNING, 1)])
    fleet.prices("acc", after(hours=1), (L4, DOLLAR))
    assert [(each.started_at, each.burn) for each in fleet.ledger("ep")] == [
        (START, None),
        (after(hours=1), DOLLAR),
    ]


def test_a_price_after_the_clock_went_back_is_still_the_newest(priced: Fleet) -> None:
    priced.prices("acc", after(hours=-1), (L4, 2 * DOLLAR))
    priced.endpoints("acc", "ep")
    priced.look("acc", after(minutes=1), [seen("ep", RUNNING, 1)])
    assert [each.burn for each in priced.ledger("ep")] == [2 * DOLLAR]


def test_a_price_of_other_hardware_changes_nothing(priced: Fleet) -> None:
    priced.endpoints("acc", "ep")
    priced.look("acc", START, [seen("ep", RUNNING, 1)])
    before = priced.ledger("ep")
    priced.prices("acc", after(hours=1), (A100, 9 * DOLLAR))
    assert priced.ledger("ep") == before


def _listing(fleet: Fleet, minutes: int, *offers: HardwareOffer) -> dict[str, Offer]:
    """Read a price list and return what is known after it."""
    with fleet.database.write() as session:
        record_offers(session, "acc", offers, after(minutes=minutes), "api")
    with fleet.database.read() as session:
        return {each.hardware_key: each for each in session.exec(select(Offer))}


def test_a_dated_copy_does_not_take_the_place_of_the_clouds_own_price(fleet: Fleet) -> None:
    fleet.account("acc")
    own = HardwareOffer(L4, DOLLAR, "available", 1)
    copy = HardwareOffer(L4, 2 * DOLLAR, "available", 1, source="a copy")
    newer = HardwareOffer(L4, 3 * DOLLAR, "available", 1, source="a newer copy")
    told = [
        _listing(fleet, minutes, offer)[L4.key]
        for minutes, offer in enumerate((copy, newer, own, newer))
    ]
    assert [(each.nano_per_hour, each.source) for each in told] == [
        (2 * DOLLAR, "a copy"),
        (3 * DOLLAR, "a newer copy"),
        (DOLLAR, ""),
        (DOLLAR, ""),
    ]
    assert told[3].read_at == told[2].read_at
    assert [nano for _, nano in rates(fleet)] == [2 * DOLLAR, 3 * DOLLAR, DOLLAR]


def test_quotas_that_cannot_be_read_stay_as_they_were_told(fleet: Fleet) -> None:
    fleet.account("acc")
    told = HardwareOffer(L4, DOLLAR, "available", 1, quota_max=4, quota_each=1)
    unread = HardwareOffer(L4, DOLLAR, "available", 1, quota_each=1, quota_told=False)
    none = HardwareOffer(L4, DOLLAR, "available", 1, quota_each=1)
    found = [
        _listing(fleet, minutes, offer)[L4.key].quota_max
        for minutes, offer in enumerate((unread, told, unread, none))
    ]
    assert found == [None, 4, 4, None]
