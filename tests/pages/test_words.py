from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from orchestrator.api.pages import charts, words
from orchestrator.costs.figures import Figure
from orchestrator.domain.money import NANO
from orchestrator.domain.schedules.text import parse_window
from orchestrator.domain.status import Status

NOW = datetime(2026, 11, 19, 15, 0, tzinfo=UTC)
CENT = NANO // 100


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (Figure(), "$0.00"),
        (Figure(1_234_500_000_000, 1_234_200_000_000, 1_234_800_000_000), "$1,234.50 ±0.30"),
        (Figure(NANO, NANO - 10 * CENT, NANO), "$1.00 \N{MINUS SIGN}0.10"),
        (Figure(NANO, NANO, NANO + 10 * CENT), "$1.00 +0.10"),
        (Figure(0, 0, 0, 3600), "unpriced"),
        (Figure(NANO, NANO, NANO, 3600), "$1.00 + unpriced"),
        (Figure(4_000_000, 4_000_000, 4_000_000), "$0.0040"),
        (None, "unpriced"),
    ],
)
def test_money_says_its_uncertainty(figure: Figure | None, said: str) -> None:
    assert str(words.money(figure)) == said


def test_the_title_has_the_bounds() -> None:
    assert words.money(Figure(NANO, NANO // 2, 2 * NANO)).title == "Between $0.50 and $2.00."


@pytest.mark.parametrize(
    ("nano", "said"),
    [
        (None, "unpriced"),
        (0, "$0.00"),
        (800_000_000, "$0.80"),
        (134_000_000, "$0.134"),
        (33_500_000, "$0.034"),
        (12_345 * NANO, "$12,345.00"),
    ],
)
def test_prices(nano: int | None, said: str) -> None:
    assert words.price(nano) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (2, "just now"),
        (-20, "just now"),
        (-7200, "in 2 h"),
        (12, "12 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (47 * 3600, "47 h ago"),
        (48 * 3600, "2 days ago"),
    ],
)
def test_ages(seconds: int, said: str) -> None:
    assert words.ago(NOW - timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (3, "18:00 UTC today"),
        (9, "00:00 UTC tomorrow"),
        (-16, "23:00 UTC yesterday"),
        (3 * 24, "Sun 15:00 UTC"),
        (30 * 24, "19 Dec 15:00 UTC"),
        (60 * 24, "18 Jan 2027 15:00 UTC"),
    ],
)
def test_instants_read_as_people_say_them(hours: int, said: str) -> None:
    assert words.when(NOW + timedelta(hours=hours), NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(40, "40 s"), (720, "12 min"), (3600, "1 h"), (12_600, "3.5 h"), (3_600_000, "1,000 h")],
)
def test_lengths(seconds: int, said: str) -> None:
    assert words.hours(seconds) == said


def test_every_status_has_words_and_a_place_in_the_order() -> None:
    assert set(words.STATE_ORDER) == set(Status)
    assert all(words.state(one).meaning for one in Status)
    assert words.state("something new").text == "Unknown"


@pytest.mark.parametrize(
    ("peak", "steps"),
    [
        (0, [0, 1]),
        (1, [0, 0.5, 1]),
        (187, [0, 50, 100, 150, 200]),
        (1000, [0, 500, 1000]),
        (2001, [0, 1000, 2000, 3000]),
    ],
)
def test_scales_are_round_and_reach_over_the_peak(peak: int, steps: list[float]) -> None:
    assert [one / NANO for one in charts.scale_steps(peak * NANO, NANO)] == steps


def test_columns_stand_on_each_other() -> None:
    slot = charts.Slot("today", (("a", 60), ("b", 0), ("c", 40)), 80, 130, "title")
    chart = charts.stack([slot], [(0, "$0"), (130, "top")])
    first, second = chart.columns[0].boxes
    assert (first.fill, second.fill) == ("a", "c")
    assert first.y + first.height == pytest.approx(chart.floor)
    assert second.y + second.height == pytest.approx(first.y, abs=0.02)
    assert first.height / second.height == pytest.approx(1.5, abs=0.01)
    whisker = chart.columns[0].whisker
    assert whisker is not None
    assert whisker[0] == pytest.approx(chart.y_ticks[1].at, abs=0.1)


def test_a_bar_of_time_is_cut_to_its_span() -> None:
    start, end = NOW - timedelta(days=2), NOW
    long = charts.Stretch(start - timedelta(days=9), end + timedelta(days=9), "on", "")
    before = charts.Stretch(start - timedelta(days=9), start, "off", "")
    (box,) = charts.time_bar([before, long], start, end, width=100).boxes
    assert (box.x, box.width, box.fill) == (0, 100, "on")


def test_a_window_over_midnight_is_drawn_on_both_days() -> None:
    grid = charts.week_grid([parse_window("sun 22:00-02:00", keep_running=True)])
    drawn = {lane.name: lane.boxes for lane in grid.lanes if lane.boxes}
    assert set(drawn) == {"Sun", "Mon"}
    hour = (grid.width - grid.left) / 24
    assert [round(box.width / hour, 1) for lane in drawn.values() for box in lane] == [2.0, 2.0]
    assert drawn["Mon"][0].x == grid.left
    assert {box.fill for lane in drawn.values() for box in lane} == {"keep"}
