"""Whose request counts are read in a pass: everybody has a turn, and stops have theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

from orchestrator.domain.endpoints import Usage
from orchestrator.engine.evidence import KEPT_FOR_STOPS, USAGE_EVERY, Key, UsageReader
from orchestrator.providers.base import AmbiguousError, Provider, ThrottledError

NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
SPAN = timedelta(minutes=30)
MINUTE = timedelta(minutes=1)


class Capabilities:
    """One endpoint in a call, as at Hugging Face."""

    usage_batch = 1


class Cloud:
    """A cloud that tells counts of all endpoints but the broken ones."""

    capabilities = Capabilities()

    def __init__(self, *broken: str, throttles: bool = False) -> None:
        self.broken, self.throttles = broken, throttles
        self.asked: list[str] = []

    def usage(self, names: Sequence[str], since: datetime, until: datetime) -> Mapping[str, Usage]:
        (name,) = names
        self.asked.append(name)
        if self.throttles:
            raise ThrottledError("slow down")
        if name in self.broken:
            raise AmbiguousError("502 from the metrics")
        return {name: Usage(since, until, 0, int((until - since).total_seconds()), None, 0)}

    def refresh(self, reader: UsageReader, wanted: Mapping[Key, timedelta], at: datetime) -> None:
        reader.begin_pass()
        reader.refresh(cast(Provider, self), wanted, USAGE_EVERY, at)


def wanted(number: int) -> dict[Key, timedelta]:
    return {(f"ep_{place}", f"e{place:03}"): SPAN for place in range(number)}


def test_one_whose_counts_always_fail_holds_back_no_other() -> None:
    cloud, reader = Cloud("e000"), UsageReader()
    cloud.refresh(reader, wanted(3), NOW)
    assert set(reader.fresh) == {"ep_1", "ep_2"}
    assert reader.held(("ep_0", "e000")) is None


def test_many_that_fail_do_not_use_up_every_pass() -> None:
    cloud, reader, read = Cloud(*(f"e{n:03}" for n in range(10))), UsageReader(), set[str]()
    for minute in range(10):
        cloud.refresh(reader, wanted(20), NOW + minute * MINUTE)
        read |= set(reader.fresh)
    assert len(read) == 10


def test_a_cloud_that_throttles_is_asked_once_in_a_pass() -> None:
    cloud = Cloud(throttles=True)
    cloud.refresh(UsageReader(), wanted(3), NOW)
    assert cloud.asked == ["e000"]


def test_of_a_great_many_each_is_read_and_some_calls_are_left_for_stops() -> None:
    cloud, reader, read = Cloud(), UsageReader(), set[str]()
    for minute in range(14):
        at = NOW + minute * MINUTE
        cloud.refresh(reader, wanted(400), at)
        read |= set(reader.fresh)
    assert len(read) == 400
    for place in range(KEPT_FOR_STOPS):
        key = (f"ep_{place}", f"e{place:03}")
        assert reader.read_anew(cast(Provider, cloud), key, SPAN, at) is not None
