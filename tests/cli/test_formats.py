from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli import formats
from tests.cli.conftest import NOW, money

BERLIN = ZoneInfo("Europe/Berlin")


class TestMoney:
    @pytest.mark.parametrize(
        ("figure", "shown"),
        [
            (money("12.300000000"), "$12.30"),
            (money("12.300000000", "0.100000000"), "$12.30 ±0.10"),
            (money("12.3", "0.0001"), "$12.30 ±0.01"),
            ({**money("12.30"), "low": "12.00", "high": "12.40"}, "$12.30 ±0.30"),
            ({**money("12.30"), "high": "12.40"}, "$12.30 +0.10"),
            ({**money("12.30"), "low": "12.00"}, "$12.30 -0.30"),
            (money("1234.5"), "$1,234.50"),
            (money("0"), "$0.00"),
            (money("0", unpriced=3600), "unpriced"),
            (money("1.5", unpriced=7200), "$1.50 + 2 h unpriced"),
            ({**money("3"), "currency": "EUR"}, "3.00 EUR"),
            (None, "unpriced"),
        ],
    )
    def test_an_amount_shows_its_band_and_never_hides_what_has_no_price(
        self, figure: formats.Json | None, shown: str
    ) -> None:
        assert formats.money(figure) == shown

    @given(st.integers(0, 10**12), st.integers(0, 10**12))
    def test_the_shown_band_is_never_smaller_than_the_true_one(self, nano: int, side: int) -> None:
        amount, band = Decimal(nano) / 10**9, Decimal(side) / 10**9
        shown = formats.money({**money(str(amount)), "high": str(amount + band)})
        upper = shown.partition("+")[2] or "0"
        assert Decimal(upper) >= band

    @pytest.mark.parametrize(
        ("figure", "shown"),
        [
            ({"amount": "0.800000000", "currency": "USD"}, "$0.80/h"),
            ({"amount": "0.033000000", "currency": "USD"}, "$0.033/h"),
            ({"amount": "0", "currency": "USD"}, "$0.00/h"),
            ({"amount": None, "currency": "USD"}, "unpriced"),
            (None, "unpriced"),
        ],
    )
    def test_an_unknown_price_is_never_zero(self, figure: formats.Json | None, shown: str) -> None:
        assert formats.price(figure) == shown


class TestTimes:
    def test_an_instant_is_shown_in_the_chosen_zone_with_its_name(self) -> None:
        assert formats.instant("2026-03-02T12:00:00Z", UTC) == "2026-03-02 12:00 UTC"
        assert formats.instant("2026-07-02T12:00:00Z", BERLIN) == "2026-07-02 14:00 CEST"
        assert formats.instant(None, UTC) == "-"

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("2026-03-02T11:59:30Z", "30 s ago"),
            ("2026-03-02T09:00:00Z", "3 h ago"),
            ("2026-03-01T08:00:00Z", "1 d ago"),
            ("2026-02-20T08:00:00Z", "10 d ago"),
            ("2026-03-02T12:20:00Z", "in 20 min"),
            (None, "-"),
        ],
    )
    def test_the_age_of_an_instant(self, text: str | None, shown: str) -> None:
        assert formats.ago(text, NOW) == shown

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2h30m", NOW + timedelta(hours=2, minutes=30)),
            ("+45min", NOW + timedelta(minutes=45)),
            ("90d", NOW + timedelta(days=90)),
            ("18:00", datetime(2026, 3, 2, 17, tzinfo=UTC)),
            ("12:30", datetime(2026, 3, 3, 11, 30, tzinfo=UTC)),
            ("2026-03-05", datetime(2026, 3, 4, 23, tzinfo=UTC)),
            ("2026-03-05T10:00Z", datetime(2026, 3, 5, 10, tzinfo=UTC)),
            ("2026-07-05T10:00", datetime(2026, 7, 5, 8, tzinfo=UTC)),
        ],
    )
    def test_people_write_instants_in_their_zone(self, text: str, expected: datetime) -> None:
        assert formats.parse_instant(text, NOW, BERLIN) == expected

    @pytest.mark.parametrize("text", ["", "soon", "25:00", "2026-13-01", "h", "+"])
    def test_what_is_no_instant_is_refused_with_the_forms_that_are(self, text: str) -> None:
        with pytest.raises(ValueError, match="write 2026-03-01T18:00Z"):
            formats.parse_instant(text, NOW, UTC)

    @pytest.mark.parametrize(
        "text", ["99999999d", "9" * 30 + "h", "9999-12-31", "0001-01-01T00:00Z", "2201-01-01"]
    )
    @pytest.mark.parametrize("zone", [None, UTC, BERLIN])
    def test_what_is_too_far_away_is_refused(self, text: str, zone: tzinfo | None) -> None:
        with pytest.raises(ValueError, match="name years from 1900 to 2200"):
            formats.parse_instant(text, NOW, zone)
        with pytest.raises(ValueError, match="too far away"):
            formats.parse_month("9999-12", zone)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2026-03-29T02:30", datetime(2026, 3, 29, 1, tzinfo=UTC)),
            ("2026-03-29T02:00", datetime(2026, 3, 29, 1, tzinfo=UTC)),
            ("2026-03-29T03:00", datetime(2026, 3, 29, 1, tzinfo=UTC)),
            ("2026-03-29T01:59", datetime(2026, 3, 29, 0, 59, tzinfo=UTC)),
            ("2026-10-25T02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ],
    )
    def test_a_time_that_the_clocks_skip_is_the_first_instant_after_it(
        self, text: str, expected: datetime, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert formats.parse_instant(text, NOW, BERLIN) == expected
        with monkeypatch.context() as patch:
            patch.setenv("TZ", "Europe/Berlin")
            time.tzset()
            assert formats.parse_instant(text, NOW, None) == expected
        time.tzset()

    def test_a_month_starts_and_ends_in_the_zone(self) -> None:
        start, end = formats.parse_month("2026-12", BERLIN)
        assert start == datetime(2026, 11, 30, 23, tzinfo=UTC)
        assert end == datetime(2026, 12, 31, 23, tzinfo=UTC)
        with pytest.raises(ValueError, match="no month"):
            formats.parse_month("December", UTC)

    @given(st.datetimes(timezones=st.just(UTC)))
    def test_an_instant_survives_being_written_for_the_api(self, moment: datetime) -> None:
        text = formats.rfc3339(moment)
        assert text.endswith("Z")
        assert datetime.fromisoformat(text) == moment


class TestPlain:
    @given(st.text())
    def test_no_text_can_steer_a_terminal(self, text: str) -> None:
        assert not set(formats.plain(text)) & {"\x1b", "\x07", "\r", "\n", "\x9b", "\u202e"}

    def test_ordinary_text_stays(self) -> None:
        assert formats.plain("größer: 名前") == "größer: 名前"

    def test_labels_are_sorted_and_none_is_a_dash(self) -> None:
        assert formats.labels({"team": "search", "stage": "prod"}) == "stage=prod team=search"
        assert formats.labels({}) == "-"
