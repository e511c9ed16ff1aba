from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from orchestrator.cli.client import ApiClient
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.cli.session import Session
from orchestrator.cli.urls import is_loopback, path


class TestPaths:
    def test_parts_are_quoted_and_an_account_keeps_its_slash(self) -> None:
        assert (
            path("endpoints", "acme/search api", "pause") == "/v1/endpoints/acme/search%20api/pause"
        )
        assert path("operations", "op?x#y") == "/v1/operations/op%3Fx%23y"

    @pytest.mark.parametrize(
        ("url", "local"),
        [
            ("http://127.0.0.1:80", True),
            ("http://localhost", True),
            ("http://[::1]:1", True),
            ("https://127.0.0.1.example.org", False),
            ("https://localhost.example.org", False),
            ("http://0.0.0.0", False),
            ("https://example.org", False),
        ],
    )
    def test_only_this_machine_is_loopback(self, url: str, local: bool) -> None:
        assert is_loopback(url) is local


class TestAdminToken:
    def test_the_admin_token_never_leaves_for_another_machine(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("ORCHESTRATOR_STATE_DIR", str(tmp_path))
        (tmp_path / "admin-token").write_text("orc_only-here")
        near, far = Session(server="http://127.0.0.1:1"), Session(server="https://o.example.org")
        assert "orc_only-here" in str(near.api._http.headers.raw)
        assert "authorization" not in far.api._http.headers
        near.close()
        far.close()


class TestTimeouts:
    @pytest.mark.parametrize(("method", "hint"), [("GET", "try again"), ("POST", "may have been")])
    def test_a_silent_server_is_told_apart_by_what_was_asked(self, method: str, hint: str) -> None:
        def silent(request: httpx2.Request) -> httpx2.Response:
            raise httpx2.ReadTimeout("timed out", request=request)

        with (
            ApiClient("http://127.0.0.1:1", None, httpx2.MockTransport(silent)) as api,
            pytest.raises(CliError) as caught,
        ):
            api.send(method, "/v1/x")
        assert caught.value.code is ExitCode.UNREACHABLE
        assert hint in caught.value.remedy


class TestPages:
    def serve(self, request: httpx2.Request) -> httpx2.Response:
        start = int(request.url.params.get("cursor") or 0)
        count = int(request.url.params["limit"])
        items = list(range(450))[start : start + count]
        following = str(start + count) if start + count < 450 else None
        body = {"items": items, "next_cursor": following, "total": 450}
        return httpx2.Response(200, json=body)

    @pytest.mark.parametrize(("limit", "expected"), [(0, 450), (250, 250), (3, 3), (1000, 450)])
    def test_all_pages_are_read_up_to_the_limit(self, limit: int, expected: int) -> None:
        with ApiClient("http://127.0.0.1:1", None, httpx2.MockTransport(self.serve)) as api:
            page = api.pages("/v1/x", {}, limit)
        assert page["items"] == list(range(expected))
        assert page["total"] == 450
        assert (page["next_cursor"] is None) == (expected == 450)

    def test_empty_filters_are_not_sent_and_lists_repeat(self) -> None:
        seen: list[httpx2.URL] = []

        def answer(request: httpx2.Request) -> httpx2.Response:
            seen.append(request.url)
            return httpx2.Response(200, json={"items": [], "next_cursor": None})

        with ApiClient("http://127.0.0.1:1", None, httpx2.MockTransport(answer)) as api:
            api.get("/v1/x", {"a": None, "b": "", "label": ["x=1", "y=2"], "managed": False})
        assert str(seen[0].query, "ascii") == "label=x%3D1&label=y%3D2&managed=false"
