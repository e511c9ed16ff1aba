"""Who may do what; quotas; hardware; the Hub's whoami."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from orchestrator.sandbox.accounts import INFER, MANAGE
from orchestrator.sandbox.payloads import endpoint_payload
from orchestrator.sandbox.switches import Switches
from tests.sandbox.scene import READER, STRANGER, Scene

LIST, ONE = "/v2/endpoint/acme", "/v2/endpoint/acme/chat-8b"


class TestTokens:
    @pytest.mark.parametrize("token", [None, "unknown"])
    def test_are_needed(self, scene: Scene, token: str | None) -> None:
        answer = scene.client(token).get(LIST)
        assert answer.status_code == 401
        assert "Bearer" in answer.json()["error"]

    def test_of_strangers_open_nothing(self, scene: Scene) -> None:
        scene.add()
        assert scene.client(STRANGER).get(ONE).status_code == 401

    def test_that_read_do_not_write(self, scene: Scene) -> None:
        scene.add()
        reader = scene.client(READER)
        assert reader.get(ONE).status_code == 200
        for verb in ("pause", "resume", "scale-to-zero"):
            assert reader.post(f"{ONE}/{verb}").status_code == 403
        assert reader.put(ONE, json={}).status_code == 403
        assert reader.delete(ONE).status_code == 403
        assert reader.post(LIST, json=endpoint_payload("new")).status_code == 403
        assert scene.state() == "running"

    @pytest.mark.parametrize(("scope", "status"), [(MANAGE, 200), (INFER, 403)])
    def test_that_are_fine_grained_need_the_scope(
        self, scene: Scene, scope: str, status: int
    ) -> None:
        scene.add()
        scene.world.add_user(
            "robot", token="fine", role="fineGrained", orgs=["acme"], scopes=[scope]
        )
        assert scene.client("fine").get(ONE).status_code == status
        assert scene.client("fine").post(f"{ONE}/pause").status_code == status

    def test_leave_no_trace_in_the_call_log(self, scene: Scene) -> None:
        scene.add()
        scene.post("pause")
        call = scene.world.calls[-1]
        assert (call.method, call.namespace, call.name) == ("POST", "acme", "chat-8b")
        assert (call.status, call.mutating, call.committed) == (200, True, True)
        assert call.token_id
        assert "token" not in call.token_id


class TestPayment:
    def test_is_needed_to_create_and_resume(self, scene: Scene) -> None:
        scene.add(state="paused")
        scene.world.set_payment("acme", can_pay=False)
        assert scene.http.post(LIST, json=endpoint_payload("new")).status_code == 403
        assert scene.post("resume").status_code == 403
        assert scene.post("pause").status_code == 200


class TestQuota:
    def _scene(self, **switches: object) -> Scene:
        scene = Scene(Switches(**switches))  # type: ignore[arg-type]  # a table of switches
        scene.world.add_namespace("acme", kind="org", quotas={"nvidia-l4": 4})
        return scene

    def _used(self, scene: Scene) -> int:
        answer = scene.http.get("/v2/provider/quotas/acme").json()
        (aws,) = [vendor for vendor in answer["vendors"] if vendor["name"] == "aws"]
        rows = {row["instanceType"]: row for row in aws["quotas"]}
        assert rows["nvidia-l4"]["maxAccelerators"] == 4
        return int(rows["nvidia-l4"]["usedAccelerators"])

    @pytest.mark.parametrize(("counts", "used"), [("max", 3), ("target", 2), ("min", 1)])
    def test_counts_replicas_by_the_switch(self, counts: str, used: int) -> None:
        scene = self._scene(quota_counts=counts)
        scene.add(min_replica=2, max_replica=3)
        scene.world.act(
            "acme", "chat-8b", "update", payload={"compute": {"scaling": {"minReplica": 1}}}
        )
        assert self._used(scene) == used

    def test_counts_accelerators_not_replicas(self) -> None:
        scene = self._scene()
        scene.add(hardware="aws-us-east-1-nvidia-l4-x4")
        assert self._used(scene) == 4

    def test_is_held_by_sleepers_and_freed_by_a_pause(self) -> None:
        scene = self._scene()
        scene.add("one", state="scaledToZero", min_replica=0)
        scene.add("two")
        assert self._used(scene) == 2
        scene.post("pause", "two")
        assert self._used(scene) == 1

    @pytest.mark.parametrize("status", [400, 403])
    def test_refuses_what_does_not_fit(self, status: int) -> None:
        scene = self._scene(no_quota_status=status)
        scene.add("one", max_replica=4)
        answer = scene.http.post(LIST, json=endpoint_payload("two"))
        assert answer.status_code == status
        assert "Quota exceeded" in answer.json()["error"]

    def test_is_asked_for_again_by_a_resume(self) -> None:
        scene = self._scene()
        scene.add("one", max_replica=4)
        scene.add("two", state="paused")
        assert scene.post("resume", "two").status_code == 400
        assert scene.state("two") == "paused"
        scene.post("pause", "one")
        assert scene.post("resume", "two").status_code == 200

    def test_is_not_asked_for_by_a_wake(self) -> None:
        scene = self._scene()
        scene.add("one", state="scaledToZero", min_replica=0, max_replica=4)
        scene.world.invoke("acme", "one")
        assert scene.state("one") == "initializing"

    def test_limits_an_update(self) -> None:
        scene = self._scene()
        scene.add(max_replica=2)
        grow = {"compute": {"scaling": {"maxReplica": 5}}}
        assert scene.http.put(ONE, json=grow).status_code == 400
        grow["compute"]["scaling"]["maxReplica"] = 4
        assert scene.http.put(ONE, json=grow).status_code == 200


class TestHardware:
    def _row(self, scene: Scene, path: str = "/v2/provider/acme") -> dict[str, object]:
        vendors = scene.http.get(path).json()["vendors"]
        rows = {
            row["id"]: row
            for vendor in vendors
            for region in vendor["regions"]
            for row in region["computes"]
        }
        found: dict[str, object] = rows["aws-us-east-1-nvidia-l4-x1"]
        return found

    def test_prices_change_at_an_instant(self, scene: Scene) -> None:
        at = scene.world.now + timedelta(hours=1)
        scene.world.set_price("aws-us-east-1-nvidia-l4-x1", Decimal("0.95"), at=at)
        assert self._row(scene)["pricePerHour"] == 0.8
        scene.pass_time(hours=1)
        assert self._row(scene)["pricePerHour"] == 0.95

    def test_status_changes(self, scene: Scene) -> None:
        scene.world.set_hardware_status("aws-us-east-1-nvidia-l4-x1", "not_available")
        assert self._row(scene)["status"] == "not_available"

    def test_is_public_with_zeros_for_quotas(self, scene: Scene) -> None:
        assert scene.client(None).get("/v2/provider").status_code == 200
        assert self._row(scene, "/v2/provider")["quota"] == {
            "maxAccelerators": 0,
            "usedAccelerators": 0,
        }

    def test_of_unknown_hardware_is_an_error(self, scene: Scene) -> None:
        with pytest.raises(KeyError):
            scene.world.set_price("aws-mars-1-x", Decimal(1), at=scene.world.now)

    def test_price_list_is_complete(self, scene: Scene) -> None:
        prices = {offer.id: offer.price for offer in scene.world.catalog.offers()}
        assert len(prices) == 69
        assert prices["aws-us-east-1-nvidia-l40s-x8"] == Decimal("23.5")
        assert prices["azure-eastus-intel-xeon-x8"] == Decimal("0.48")
        assert prices["aws-us-east-1-inf2-x12"] == 12


class TestWhoami:
    def test_is_rate_limited_by_token(self) -> None:
        scene = Scene(Switches(whoami_per_5_minutes=3))
        answers = [scene.http.get("/api/whoami-v2") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[0].headers["ratelimit"] == '"api";r=2;t=300'
        assert answers[3].headers["retry-after"] == "300"
        assert scene.client(READER).get("/api/whoami-v2").status_code == 200
        scene.pass_time(minutes=5)
        assert scene.http.get("/api/whoami-v2").status_code == 200

    def test_says_who_pays_and_what_the_token_may(self, scene: Scene) -> None:
        person = scene.client(READER).get("/api/whoami-v2").json()
        assert (person["type"], person["name"], person["canPay"]) == ("user", "vic", True)
        assert person["orgs"][0]["roleInOrg"] == "read"
        assert person["auth"]["accessToken"]["role"] == "read"


def test_unknown_routes_and_methods(scene: Scene) -> None:
    assert scene.http.get("/v2/nothing").status_code == 404
    assert scene.http.patch(ONE).status_code == 405
