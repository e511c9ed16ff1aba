"""Lists, pages, filters, and the shape of an item."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from orchestrator.sandbox.traffic import Traffic
from tests.sandbox.scene import START, Scene


def _pages(scene: Scene, **query: Any) -> list[dict[str, Any]]:
    pages = [scene.http.get("/v2/endpoint/acme", params=query).json()]
    while pages[-1]["nextCursor"]:
        more = {**query, "cursor": pages[-1]["nextCursor"]}
        pages.append(scene.http.get("/v2/endpoint/acme", params=more).json())
    return pages


def _names(pages: list[dict[str, Any]]) -> list[str]:
    return [item["name"] for page in pages for item in page["items"]]


class TestPaging:
    def test_is_by_twenty_unless_told_otherwise(self, scene: Scene) -> None:
        for number in range(45):
            scene.add(f"e-{number:02}")
        pages = _pages(scene)
        assert [len(page["items"]) for page in pages] == [20, 20, 5]
        assert _names(pages) == [f"e-{number:02}" for number in range(45)]
        assert {page["totalItems"] for page in pages} == {45}

    def test_ends_without_an_empty_page(self, scene: Scene) -> None:
        for number in range(40):
            scene.add(f"e-{number:02}")
        assert [len(page["items"]) for page in _pages(scene)] == [20, 20]

    def test_gives_at_most_a_hundred(self, scene: Scene) -> None:
        for number in range(130):
            scene.add(f"e-{number}")
        assert [len(page["items"]) for page in _pages(scene, limit=1000)] == [100, 30]

    def test_survives_a_deletion_between_two_pages(self, scene: Scene) -> None:
        for number in range(30):
            scene.add(f"e-{number:02}")
        first = scene.http.get("/v2/endpoint/acme", params={"limit": 10}).json()
        scene.world.act("acme", "e-03", "delete")
        rest = _pages(scene, limit=10, cursor=first["nextCursor"])
        assert _names(rest) == [f"e-{number:02}" for number in range(10, 30)]

    @pytest.mark.parametrize("limit", ["0", "-1", "many"])
    def test_refuses_a_bad_limit(self, scene: Scene, limit: str) -> None:
        assert scene.http.get("/v2/endpoint/acme", params={"limit": limit}).status_code == 400

    def test_refuses_a_bad_cursor(self, scene: Scene) -> None:
        answer = scene.http.get("/v2/endpoint/acme", params={"cursor": "%%%"})
        assert answer.status_code == 400

    def test_of_nothing_is_an_empty_page(self, scene: Scene) -> None:
        page = scene.http.get("/v2/endpoint/acme").json()
        assert page == {"items": [], "nextCursor": None, "totalItems": 0}


class TestFilters:
    def test_by_part_of_the_name(self, scene: Scene) -> None:
        for name in ("chat-a", "search", "chat-b"):
            scene.add(name)
        assert _names(_pages(scene, search="chat")) == ["chat-a", "chat-b"]

    def test_by_tags_wants_all_of_them(self, scene: Scene) -> None:
        scene.add("one", tags=["team=a", "env=prod"])
        scene.add("two", tags=["team=a"])
        assert _names(_pages(scene, tags="team=a")) == ["one", "two"]
        assert _names(_pages(scene, tags="team=a,env=prod")) == ["one"]

    def test_have_pages_too(self, scene: Scene) -> None:
        for number in range(9):
            scene.add(f"chat-{number}")
            scene.add(f"other-{number}")
        pages = _pages(scene, search="chat", limit=4)
        assert [len(page["items"]) for page in pages] == [4, 4, 1]
        assert _names(pages) == [f"chat-{number}" for number in range(9)]
        assert pages[0]["totalItems"] == 9


class TestItem:
    def test_has_everything_that_the_client_insists_on(self, scene: Scene) -> None:
        scene.add()
        item = scene.get()
        assert item["healthRoute"] == "/health"
        assert re.fullmatch(r"[0-9a-f]{40}", item["model"]["revision"])
        assert item["model"].keys() >= {"repository", "task", "framework", "image"}
        assert item["compute"]["scaling"]["measure"] == {"hardwareUsage": None}
        assert item["status"].keys() >= {"createdAt", "updatedAt", "state", "message"}
        assert item["tags"] == []

    def test_is_the_same_in_a_list_and_alone(self, scene: Scene) -> None:
        scene.add(traffic=Traffic.steady(3))
        scene.pass_time(hours=5)
        assert scene.http.get("/v2/endpoint/acme").json()["items"] == [scene.get()]

    def test_has_no_last_use_before_the_first_request(self, scene: Scene) -> None:
        scene.add()
        assert "lastUsedAt" not in scene.get()["status"]
        scene.pass_time(seconds=90)
        scene.world.invoke("acme", "chat-8b")
        assert scene.get()["status"]["lastUsedAt"] == "2026-03-02T00:01:30Z"

    def test_shows_a_request_at_the_instant_of_a_change(self, scene: Scene) -> None:
        scene.add()
        scene.world.invoke("acme", "chat-8b")
        assert scene.get()["status"]["lastUsedAt"] == "2026-03-02T00:00:00Z"

    def test_shows_each_recorded_request_as_time_passes(self, scene: Scene) -> None:
        traffic = Traffic.steady(4)
        scene.add(traffic=traffic)
        start = scene.world.instant
        for _ in range(200):
            scene.pass_time(seconds=37)
            latest = traffic.last(start, scene.world.instant)
            shown = scene.get()["status"].get("lastUsedAt")
            assert (latest is None) == (shown is None)
            if latest is not None:
                assert shown == scene.world.renderer.when(latest)

    def test_prints_up_to_nine_fractional_digits(self, scene: Scene) -> None:
        scene.world.advance_to(START + timedelta(microseconds=123_456))
        scene.add()
        assert re.fullmatch(r".*T00:00:00\.\d{7,9}Z", scene.get()["status"]["createdAt"])

    def test_masks_secrets_and_credentials(self, scene: Scene) -> None:
        credentials = {"username": "u", "password": "pass-9"}
        scene.add(image={"custom": {"url": "img:1", "credentials": credentials}})
        scene.http.put("/v2/endpoint/acme/chat-8b", json={"model": {"secrets": {"KEY": "value-9"}}})
        text = scene.http.get("/v2/endpoint/acme/chat-8b").text
        assert "pass-9" not in text
        assert "value-9" not in text
        assert set(scene.get()["model"]["secrets"]) == {"KEY"}

    def test_gives_tags_in_no_promised_order(self, scene: Scene) -> None:
        scene.add(tags=["a", "b", "c"])
        orders = {tuple(scene.get()["tags"])}
        for verb in ("pause", "resume", "pause"):
            scene.pass_time(minutes=5)
            scene.post(verb)
            orders.add(tuple(scene.get()["tags"]))
        assert len(orders) > 1
        assert {frozenset(order) for order in orders} == {frozenset("abc")}


class TestReplicas:
    def test_are_listed_with_their_stage(self, scene: Scene) -> None:
        scene.add(min_replica=2, max_replica=2, state=None)
        scene.pass_time(seconds=20)
        starting = scene.http.get("/v2/endpoint/acme/chat-8b/replica").json()["items"]
        assert [item["status"]["live"] for item in starting] == [False, False]
        scene.pass_time(minutes=5)
        items = scene.http.get("/v2/endpoint/acme/chat-8b/replica").json()["items"]
        assert [item["status"]["live"] for item in items] == [True, True]
        assert len({item["id"] for item in items}) == 2
