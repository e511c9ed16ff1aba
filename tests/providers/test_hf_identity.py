"""Who a token is, and what will stand in its way."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.providers.base import CredentialsError, Identity, ThrottledError
from tests.providers.wire import Wire, refusal

RIGHT = "inference.endpoints.write"


def whoami(role: str = "write", **changes: Any) -> dict[str, Any]:
    raw: dict[str, Any] = {
        "type": "user",
        "name": "ada",
        "email": "ada@example.org",
        "canPay": True,
        "orgs": [{"name": "acme", "canPay": True, "roleInOrg": "write"}],
        "auth": {"type": "access_token", "accessToken": {"displayName": "x", "role": role}},
    }
    return raw | changes


def fine_grained(*scoped: tuple[str, list[str]], everywhere: tuple[str, ...] = ()) -> Any:
    scopes = [{"entity": {"type": "org", "name": name}, "permissions": p} for name, p in scoped]
    raw = whoami("fineGrained")
    rights = {"global": list(everywhere), "scoped": scopes}
    raw["auth"]["accessToken"]["fineGrained"] = rights
    return raw


def identity(raw: dict[str, Any]) -> Identity:
    return Wire(raw).provider().identity()


def test_tells_who_it_is() -> None:
    assert identity(whoami()) == Identity(
        name="ada", kind="user", namespaces=("ada", "acme"), role="write", can_pay=True
    )


def test_asks_the_hub() -> None:
    wire = Wire(whoami())
    wire.provider().identity()
    assert str(wire.requests[0].url) == "https://huggingface.co/api/whoami-v2"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (whoami(orgs=[]), "does not belong to acme"),
        (whoami("read"), "read-only"),
        (whoami(orgs=[{"name": "acme", "canPay": False}]), "cannot pay"),
        (whoami(orgs=[{"name": "acme", "roleInOrg": "read"}]), "role read"),
        (fine_grained(), RIGHT),
        (fine_grained(("other", [RIGHT])), RIGHT),
        (fine_grained(("acme", ["inference.endpoints.infer.write"])), RIGHT),
    ],
)
def test_names_what_stands_in_the_way(raw: dict[str, Any], words: str) -> None:
    (problem,) = identity(raw).problems
    assert words in problem


@pytest.mark.parametrize(
    "raw",
    [
        fine_grained(("acme", [RIGHT])),
        fine_grained(everywhere=(RIGHT,)),
        whoami("fineGrained"),
        whoami(auth=None),
    ],
)
def test_says_nothing_when_the_right_is_there_or_not_told(raw: dict[str, Any]) -> None:
    assert identity(raw).problems == ()


def test_paying_is_that_of_the_namespace() -> None:
    raw = whoami(canPay=False)
    assert identity(raw).can_pay is True
    assert identity(raw | {"orgs": [{"name": "acme"}]}).can_pay is None
    own = identity(raw | {"name": "acme"})
    assert own.can_pay is False
    assert "cannot pay" in own.problems[0]


@pytest.mark.parametrize(
    "changes",
    [{"orgs": None}, {"orgs": [7]}, {"auth": 7}, {"auth": {"accessToken": []}}, {"name": 5}],
)
def test_no_odd_answer_breaks_it(changes: dict[str, Any]) -> None:
    assert identity(whoami() | changes).kind == "user"


def test_a_bad_token_and_throttling_are_errors() -> None:
    with pytest.raises(CredentialsError):
        Wire(refusal(401, "Invalid user token")).provider().identity()
    with pytest.raises(ThrottledError):
        Wire(refusal(429, retry_after="300")).provider().identity()
