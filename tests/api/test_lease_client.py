"""The Python client: a lease for the length of a block, renewed by the clock, lost with a word."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx2
import pytest

from orchestrator.client import Client, ClientError, LeaseLostError, NotServingError
from orchestrator.store.tables import Endpoint
from tests.api.site import NOON, ORIGIN, Site

LEASES = "/v1/leases"


class HandTimer:
    """The timer of the site's clock; `pass_` moves it, and waits until the renewer has settled."""

    def __init__(self, site: Site) -> None:
        self._clock = site.clock
        self._waits = 0

    def now(self) -> float:
        return (self._clock.now() - NOON).total_seconds()

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        until = self.now() + seconds
        self._waits += 1
        while self.now() < until and not stop.wait(0.001):
            pass
        return stop.is_set()

    def pass_(self, **span: float) -> None:
        """Let more time pass than the renewer waits for; it looks, and waits again or has ended."""
        before = self._waits
        self._clock.set(self._clock.now() + timedelta(**span))
        for _ in range(5000):
            if self._waits > before or not renewers():
                return
            threading.Event().wait(0.002)
        raise AssertionError("the renewer does nothing")


def renewers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("lease-")]


class Wire(httpx2.BaseTransport):
    """Carries requests to the application; may lose some."""

    def __init__(self, site: Site) -> None:
        self._inner = site.client._transport
        self.lost: Callable[[httpx2.Request], bool] = lambda _: False

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.lost(request):
            raise httpx2.ConnectError("no route")
        return self._inner.handle_request(request)


@pytest.fixture
def wire(lab: Site) -> Wire:
    return Wire(lab)


@pytest.fixture
def timer(lab: Site) -> HandTimer:
    return HandTimer(lab)


@pytest.fixture
def client(lab: Site, wire: Wire, timer: HandTimer) -> Iterator[Client]:
    with Client(ORIGIN, lab.secrets["operate"], transport=wire, timer=timer) as made:
        yield made
    assert renewers() == []


def change(site: Site, **values: object) -> None:
    with site.database.write() as session:
        row = session.get_one(Endpoint, "ep_search")
        for name, value in values.items():
            setattr(row, name, value)
        session.add(row)


def kinds(site: Site) -> list[str]:
    return [event.kind for event in site.events() if event.kind.startswith("lease.")]


def test_it_is_renewed_while_the_block_lasts_and_released_after(
    lab: Site, client: Client, timer: HandTimer
) -> None:
    with client.lease("lab/search", ttl="10m", reason="nightly eval") as lease:
        assert not lease.lost
        for _ in range(6):
            timer.pass_(minutes=4)
        assert (lease.renewals, lease.lost) == (6, False)
        (held,) = lab.get(LEASES)["items"]
        assert (held["reason"], held["until"]) == ("nightly eval", "2026-03-02T12:34:00Z")
    assert lab.get(LEASES)["items"] == []
    assert kinds(lab) == ["lease.acquired", "lease.renewed", "lease.released"]
    released = lab.events()[-1]
    assert (released.data["renewals"], "renewed 6 times" in released.message) == (6, True)


def test_an_error_of_the_block_releases_it_too_and_goes_on(lab: Site, client: Client) -> None:
    with pytest.raises(ZeroDivisionError), client.lease("lab/search"):
        1 / 0  # noqa: B018 - it is the error
    assert kinds(lab) == ["lease.acquired", "lease.released"]


def test_entry_waits_until_it_serves(lab: Site, client: Client) -> None:
    change(lab, status="paused", wish="paused", ready_replicas=0, url="https://x.example.org")

    async def soon(seconds: float) -> None:
        lab.clock.set(lab.clock.now() + timedelta(seconds=20 * seconds))
        if lab.clock.now() > NOON + timedelta(minutes=12):
            change(lab, status="running", ready_replicas=1)

    lab.app.state.sleep = soon
    with client.lease("lab/search", ttl="10m") as lease:
        assert lab.clock.now() > NOON + timedelta(minutes=12)
        assert (lease.url, lease.lost, lease.renewals > 0) == ("https://x.example.org", False, True)


def test_entry_gives_up_in_the_end_and_leaves_nothing(lab: Site, client: Client) -> None:
    change(lab, status="paused", wish="paused", ready_replicas=0)

    async def never(seconds: float) -> None:
        lab.clock.set(lab.clock.now() + timedelta(seconds=seconds))

    lab.app.state.sleep = never
    with (
        pytest.raises(NotServingError, match="does not serve: it is paused"),
        client.lease("lab/search", wait="1m"),
    ):
        raise AssertionError("it never served")
    assert kinds(lab)[-1] == "lease.released"


def test_a_failed_endpoint_is_told_at_once(lab: Site, client: Client) -> None:
    change(lab, status="failed", message="out of memory", ready_replicas=0)
    with pytest.raises(NotServingError, match="out of memory"), client.lease("lab/search"):
        raise AssertionError("it never served")


def test_what_a_person_holds_is_refused_with_the_remedy(lab: Site, client: Client) -> None:
    body = {"endpoint": "lab/search", "wish": "paused", "until": "2026-03-02T18:00:00Z"}
    lab.post("/v1/holds", body | {"reason": "maintenance"})
    with pytest.raises(ClientError, match=r"maintenance.*DELETE /v1/holds") as refused:
        client.lease("lab/search").__enter__()
    assert (refused.value.code, refused.value.status) == ("held_by_person", 409)


def test_a_person_may_end_it_and_the_block_learns_of_it(
    lab: Site, client: Client, timer: HandTimer
) -> None:
    def work() -> None:
        with client.lease("lab/search", ttl="10m") as lease:
            lab.post("/v1/endpoints/ep_search/pause")
            timer.pass_(minutes=4)
            assert lease.lost
            with pytest.raises(LeaseLostError):
                lease.check()

    with pytest.raises(LeaseLostError, match="admin ended it"):
        work()


class StillTimer:
    """A timer beside which the server's clock runs ahead: here no time passes."""

    def now(self) -> float:
        return 0.0

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        return stop.wait(seconds)


def test_a_lease_that_the_servers_clock_has_ended_is_told_at_the_end(lab: Site, wire: Wire) -> None:
    change(lab, status="running", ready_replicas=1)
    with Client(ORIGIN, lab.secrets["operate"], transport=wire, timer=StillTimer()) as client:
        lease = client.lease("lab/search", ttl="10m")

        def work() -> None:
            with lease:
                lab.clock.set(lab.clock.now() + timedelta(minutes=11))
                assert not lease.lost

        with pytest.raises(LeaseLostError, match="the server says that it is expired"):
            work()
        assert lease.lost
        with client.lease("lab/search", ttl="10m") as other:
            pass
        assert not other.lost


def test_a_lost_server_is_borne_until_the_lease_is_over(
    lab: Site, client: Client, wire: Wire, timer: HandTimer
) -> None:
    with client.lease("lab/search", ttl="10m") as lease:
        wire.lost = lambda _: True
        timer.pass_(minutes=4)
        assert not lease.lost
        wire.lost = lambda _: False
        timer.pass_(minutes=1)
        assert (lease.lost, lease.renewals) == (False, 1)
    wire.lost = lambda request: request.url.path.endswith("/renew")

    def work() -> None:
        with client.lease("lab/search", ttl="10m") as lease:
            timer.pass_(minutes=4)
            timer.pass_(minutes=5.5)
            assert not lease.lost
            timer.pass_(minutes=0.6)
            assert lease.lost

    with pytest.raises(LeaseLostError, match="not renewed in time"):
        work()
    assert lab.get(LEASES)["items"] == []


@pytest.mark.parametrize("error", [httpx2.ReadTimeout, httpx2.ReadError, httpx2.DecodingError])
def test_a_silent_server_leaves_a_short_lease_time_for_more_tries(
    lab: Site, client: Client, wire: Wire, timer: HandTimer, error: type[httpx2.RequestError]
) -> None:
    waited: list[float] = []

    def silent(request: httpx2.Request) -> bool:
        if not request.url.path.endswith("/renew"):
            return False
        waited.append(request.extensions["timeout"]["read"])
        raise error("nothing")

    def work() -> None:
        with client.lease("lab/search", ttl="30s") as lease:
            wire.lost = silent
            for seconds in (11, 6, 6, 6):
                assert not lease.lost
                timer.pass_(seconds=seconds)
            timer.pass_(seconds=2)
            assert lease.lost

    with pytest.raises(LeaseLostError, match="not renewed in time"):
        work()
    assert len(waited) >= 4
    assert max(waited) <= 5
    assert kinds(lab) == ["lease.acquired"]


def test_an_answer_without_an_end_is_no_renewal(
    client: Client, wire: Wire, timer: HandTimer
) -> None:
    with client.lease("lab/search", ttl="10m") as lease:
        odd = httpx2.MockTransport(lambda _: httpx2.Response(200, json={"seconds_left": "soon"}))
        inner, wire._inner = wire._inner, odd
        timer.pass_(minutes=4)
        assert (lease.renewals, lease.lost) == (0, False)
        wire._inner = inner
        timer.pass_(minutes=1)
        assert (lease.renewals, lease.lost) == (1, False)


def test_lengths_are_checked_before_anything_is_asked(client: Client) -> None:
    with pytest.raises(ClientError, match="ttl: 'soon' is no length of time"):
        client.lease("lab/search", ttl="soon")
