"""Zone rules come from the pinned package and from nowhere else."""

import importlib.resources
import re
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from orchestrator.domain.schedules.errors import ScheduleError
from orchestrator.domain.schedules.zones import (
    UnknownZone,
    zone,
    zone_names,
    zone_rules_version,
)

NOON = datetime(2025, 6, 2, 12, tzinfo=UTC)


@pytest.fixture
def host_that_lies(tmp_path: Path) -> Iterator[None]:
    """A host whose zone files give UTC for Antarctica/Vostok."""
    utc = importlib.resources.files("tzdata").joinpath("zoneinfo", "UTC").read_bytes()
    (tmp_path / "Antarctica").mkdir()
    (tmp_path / "Antarctica" / "Vostok").write_bytes(utc)
    zoneinfo.reset_tzpath(to=[str(tmp_path)])
    yield
    zoneinfo.reset_tzpath()


@pytest.mark.usefixtures("host_that_lies")
def test_the_hosts_files_are_not_asked() -> None:
    from_host = zoneinfo.ZoneInfo.no_cache("Antarctica/Vostok")
    assert NOON.astimezone(from_host).hour == 12
    assert NOON.astimezone(zone("Antarctica/Vostok")).hour == 17


def test_every_listed_zone_can_be_read_and_knows_its_name() -> None:
    assert len(zone_names()) > 400
    assert all(zone(name).key == name for name in zone_names())


def test_a_zone_is_read_once() -> None:
    assert zone("Europe/Berlin") is zone("Europe/Berlin")


def test_version_is_that_of_the_packages_own_files() -> None:
    source = importlib.resources.files("tzdata").joinpath("zoneinfo", "tzdata.zi")
    assert source.read_text(encoding="utf-8").startswith(f"# version {zone_rules_version()}\n")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Factory",
        "Europe",
        "Europe/",
        "Europe/Berlin/",
        "Europe/Berlin\0",
        "Europe\\Berlin",
        "../zones",
        "Europe/../Europe/Berlin",
        "/etc/localtime",
        "zone.tab",
        "__init__.py",
    ],
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(UnknownZone) as refusal:
        zone(name)
    assert isinstance(refusal.value, ScheduleError)
    assert refusal.value.field == "timezone"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Europe/Berln", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        (" Europe/Berlin ", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("Asia/Kolkatta", "Asia/Kolkata"),
        ("lord howe", "Australia/Lord_Howe"),
    ],
)
def test_a_refusal_names_the_closest_zone_first(written: str, meant: str) -> None:
    with pytest.raises(UnknownZone, match=rf"did you mean {meant}[,?]"):
        zone(written)


@pytest.mark.parametrize(
    ("written", "meant", "hours"),
    [("GMT+1", "Etc/GMT-1", 1), ("utc -05:00", "Etc/GMT+5", -5), ("+0200", "Etc/GMT-2", 2)],
)
def test_an_offset_is_told_the_zone_that_has_it(written: str, meant: str, hours: int) -> None:
    """The names of fixed offsets have their sign turned round."""
    with pytest.raises(UnknownZone, match=f"UTC is {re.escape(meant)},") as refused:
        zone(written)
    assert ("ahead of" in str(refused.value)) is (hours > 0)
    assert datetime(2026, 1, 1, tzinfo=zone(meant)).utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize("written", ["CET+1", "UTC5", "GMT+20", "+05:30"])
def test_an_offset_that_no_zone_has_is_not_guessed_at(written: str) -> None:
    with pytest.raises(UnknownZone, match="write it like Europe/Berlin"):
        zone(written)


def test_a_refusal_without_a_close_zone_shows_an_example() -> None:
    with pytest.raises(UnknownZone, match="write it like Europe/Berlin"):
        zone("PDT")


def test_a_refusal_does_not_repeat_a_long_name() -> None:
    with pytest.raises(UnknownZone) as refusal:
        zone("x" * 100_000)
    assert len(str(refusal.value)) < 200
