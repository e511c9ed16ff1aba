"""What the cloud said of one endpoint, as a Snapshot."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.endpoints import Scaling, Snapshot
from orchestrator.domain.status import Status
from orchestrator.providers.huggingface.billing import BillingTerms
from orchestrator.providers.huggingface.snapshot import STATUSES, Mapper
from orchestrator.providers.redaction import MARKER, Redactor
from tests.providers.wire import KEY, L4, endpoint

PASSWORD = "correct-horse-battery"


def read(raw: Mapping[str, Any]) -> Snapshot:
    return Mapper(BillingTerms(), Redactor(KEY)).snapshot(raw)


def endpoint_with(path: str, value: Any) -> dict[str, Any]:
    changes: dict[str, Any] = {path: value}
    return endpoint(**changes)


def paths_of(raw: Mapping[str, Any], at: str = "") -> Iterator[str]:
    for key, value in raw.items():
        yield f"{at}{key}"
        if isinstance(value, Mapping):
            yield from paths_of(value, f"{at}{key}__")


class TestMapping:
    def test_reads_every_field(self) -> None:
        snapshot = read(endpoint())
        assert snapshot.name == "demo"
        assert snapshot.hardware == L4
        assert snapshot.scaling == Scaling(1, 3, None, "pendingRequests", "1.5")
        assert (snapshot.ready_replicas, snapshot.target_replicas) == (1, 1)
        assert snapshot.url == "https://abc.endpoints.huggingface.cloud"
        assert (snapshot.access, snapshot.engine) == ("authenticated", "vLLM")
        assert (snapshot.repository, snapshot.task) == ("org/model-7b", "text-generation")
        assert snapshot.tags == ("a", "b")
        assert (snapshot.created_by, snapshot.updated_by) == ("ada", "ben")
        assert snapshot.created_at == datetime(2026, 8, 1, 8, 0, 0, 123456, UTC)
        assert snapshot.last_used_at == datetime(2026, 9, 1, 11, 59, tzinfo=UTC)
        assert snapshot.observe_only is None
        assert snapshot.gaps == ()

    @pytest.mark.parametrize(
        ("word", "status"),
        [
            ("pending", Status.PENDING),
            ("initializing", Status.INITIALIZING),
            ("updating", Status.UPDATING),
            ("updateFailed", Status.UPDATE_FAILED),
            ("running", Status.RUNNING),
            ("paused", Status.PAUSED),
            ("failed", Status.FAILED),
            ("scaledToZero", Status.SCALED_TO_ZERO),
            ("hibernating", Status.UNKNOWN),
            ("RUNNING", Status.UNKNOWN),
        ],
    )
    def test_states_keep_the_clouds_word(self, word: str, status: Status) -> None:
        snapshot = read(endpoint(status__state=word))
        assert (snapshot.status, snapshot.cloud_state) == (status, word)

    def test_all_states_of_the_official_client_are_known(self) -> None:
        assert len(STATUSES) == len(set(STATUSES.values())) == 8

    def test_an_error_stands_beside_the_message(self) -> None:
        raw = endpoint(status__message="Endpoint failed to deploy", status__errorMessage="exit 1")
        assert read(raw).message == "Endpoint failed to deploy; exit 1"

    def test_a_token_in_a_message_is_masked(self) -> None:
        text = "cannot pull with hf_" + "abcdefghijklmnop"
        assert "hf_" not in read(endpoint(status__message=text)).message

    @pytest.mark.parametrize(
        ("scaling", "expected"),
        [
            ({"minReplica": 0, "maxReplica": 2}, Scaling(0, 2)),
            (
                {"minReplica": 0, "maxReplica": 2, "scaleToZeroTimeout": 15},
                Scaling(0, 2, 15),
            ),
            (
                {"minReplica": 0, "maxReplica": 2, "measure": {"hardwareUsage": None}},
                Scaling(0, 2, None, "hardwareUsage", None),
            ),
            (
                {
                    "minReplica": 0,
                    "maxReplica": 2,
                    "measure": {"hardwareUsage": None, "pendingRequests": 2},
                },
                Scaling(0, 2, None, "pendingRequests", "2"),
            ),
            (
                {"minReplica": 0, "maxReplica": 2, "metric": "hardwareUsage", "threshold": 80},
                Scaling(0, 2, None, "hardwareUsage", "80"),
            ),
        ],
    )
    def test_scaling_in_its_several_forms(self, scaling: Any, expected: Scaling) -> None:
        assert read(endpoint(compute__scaling=scaling)).scaling == expected


class TestGaps:
    def test_an_empty_answer_is_all_gaps(self) -> None:
        snapshot = read({})
        assert snapshot.status is Status.UNKNOWN
        assert snapshot.hardware.key == "?/?/?/?"
        assert snapshot.scaling is None
        assert {"name", "status.state", "status.readyReplica", "type"} <= set(snapshot.gaps)

    @pytest.mark.parametrize("path", sorted(paths_of(endpoint())))
    @pytest.mark.parametrize("value", [..., None, 7, "x", [], {}, True, [None], -1])
    def test_no_single_field_can_break_it(self, path: str, value: object) -> None:
        snapshot = read(endpoint_with(path, value))
        json.dumps(snapshot.spec)
        assert isinstance(snapshot.status, Status)

    @pytest.mark.parametrize(
        "path",
        [
            "name",
            "type",
            "provider__vendor",
            "compute__instanceType",
            "compute__scaling__minReplica",
            "model__repository",
            "model__revision",
            "model__task",
            "status__state",
            "status__createdAt",
            "status__updatedAt",
            "status__readyReplica",
            "status__targetReplica",
        ],
    )
    def test_a_missing_field_is_named(self, path: str) -> None:
        assert path.replace("__", ".") in read(endpoint_with(path, ...)).gaps

    @pytest.mark.parametrize("path", ["status__url", "status__lastUsedAt", "status__message"])
    def test_fields_that_may_be_absent_are_no_gaps(self, path: str) -> None:
        assert read(endpoint_with(path, ...)).gaps == ()

    @pytest.mark.parametrize("value", ["7", 1.5, -1, True, None, [1]])
    def test_an_odd_count_is_unknown_not_zero(self, value: object) -> None:
        snapshot = read(endpoint(status__readyReplica=value))
        assert snapshot.ready_replicas is None
        assert "status.readyReplica" in snapshot.gaps
        assert snapshot.billed.high == 3

    @settings(deadline=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from([*sorted(endpoint()), "state", "image", "env"]), inner
                )
            ),
            max_leaves=12,
        )
    )
    def test_no_answer_breaks_it(self, value: object) -> None:
        raw = dict.fromkeys(endpoint(), value)
        assert isinstance(read(raw), Snapshot)


class TestSpec:
    def test_keeps_what_is_needed_to_create_it_again(self) -> None:
        spec = read(endpoint()).spec
        assert spec["compute"] == {
            "accelerator": "gpu",
            "instanceType": "nvidia-l4",
            "instanceSize": "x1",
            "scaling": {
                "minReplica": 1,
                "maxReplica": 3,
                "scaleToZeroTimeout": None,
                "measure": {"pendingRequests": 1.5},
            },
        }
        assert spec["model"]["image"] == {
            "vLLM": {"url": "vllm/vllm-openai:v0.9", "tensorParallelSize": 1}
        }
        assert spec["model"]["env"] == {"MAX_BATCH": "8"}
        assert spec["model"]["args"] == ["--max-model-len", "4096"]
        assert spec["tags"] == ["a", "b"]
        assert "omitted" not in spec

    def test_status_is_not_part_of_it(self) -> None:
        changed = endpoint(status__state="paused", status__readyReplica=0)
        assert read(changed).spec == read(endpoint()).spec

    def test_secrets_are_names_only(self) -> None:
        spec = read(endpoint(model__secrets={"B": PASSWORD, "A": "x"})).spec
        assert spec["model"]["secrets"] == ["A", "B"]

    @pytest.mark.parametrize(
        "changes",
        [
            {"model__env": {"DB_PASSWORD": PASSWORD}},
            {"model__env": {"HF_TOKEN": PASSWORD}},
            {"model__env": {"OPENAI_API_KEY": PASSWORD}},
            {"model__env": {"DATABASE": f"postgres://ada:{PASSWORD}@db/x"}},
            {"model__env": {"OPTIONS": "sk-" + PASSWORD}},
            {"model__env": {"OPTIONS": {"value": PASSWORD}}},
            {"model__args": [{"value": PASSWORD}]},
            {"model__args": ["sh", "-c", f"HF_TOKEN={PASSWORD} serve"]},
            {"model__secrets": {"X": PASSWORD}},
            {"model__args": ["--api-key", PASSWORD]},
            {"model__args": [f"--hf-token={PASSWORD}"]},
            {"model__command": ["run", "--password", PASSWORD]},
            {"model__image": {"custom": {"url": "x", "credentials": {"password": PASSWORD}}}},
            {"model__image": {"custom": {"url": f"https://ada:{PASSWORD}@registry/x"}}},
            {"model__image": {"custom": {"url": "x", "pullWord": PASSWORD}}},
            {"customRouter": {"tag": "t", "env": {"ROUTER_TOKEN": PASSWORD}}},
            {"somethingNew": {"deep": PASSWORD}},
            {"model__somethingNew": PASSWORD},
            {"provider__somethingNew": [PASSWORD]},
            {"experimentalFeatures": {"kvRouter": {"tag": "x", "key": PASSWORD}}},
        ],
    )
    def test_no_secret_value_is_kept(self, changes: dict[str, Any]) -> None:
        snapshot = read(endpoint(**changes))
        assert PASSWORD not in repr(snapshot)
        assert PASSWORD not in json.dumps(snapshot.spec)

    def test_a_changed_secret_is_seen_and_an_equal_one_is_not(self) -> None:
        def env_of(value: str) -> Any:
            return read(endpoint(model__env={"API_TOKEN": value})).spec["model"]["env"]["API_TOKEN"]

        assert env_of("one-secret").startswith(MARKER)
        assert env_of("one-secret") == env_of("one-secret") != env_of("another-secret")

    def test_what_is_left_out_is_named(self) -> None:
        raw = endpoint(
            somethingNew=1,
            model__image={"custom": {"url": "x", "credentials": {"username": "u"}}},
        )
        assert read(raw).spec["omitted"] == ["model.image.custom.credentials", "somethingNew"]
