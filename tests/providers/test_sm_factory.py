"""Making the SageMaker driver from the settings of an account."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.providers.base import Provider
from orchestrator.providers.registry import make_provider
from orchestrator.providers.sagemaker.billing import Billing, BillingTerms
from orchestrator.providers.sagemaker.factory import make_sagemaker
from orchestrator.providers.sagemaker.memory import Memory
from orchestrator.providers.sagemaker.options import SageMakerOptions
from tests.providers.aws_wire import AwsWire

ROLE = "arn:aws:iam::123456789012:role/team/runner"


def test_it_is_made_without_any_call() -> None:
    wire = AwsWire()
    provider: Provider = make_provider(wire.account(), wire.hooks())
    assert "123456789012" in repr(provider)
    assert wire.requests == []
    provider.close()


def test_looking_is_bounded_by_options() -> None:
    wire = AwsWire()
    account = wire.account(describes_per_pass="50", sweep_minutes="30")
    found = make_sagemaker(account, wire.hooks()).capabilities
    assert (found.contracts, found.scale_to_zero) == (True, True)
    assert (found.reads_per_pass, found.sweep_seconds) == (50, 1800)
    assert (found.usage_batch, found.billing_granularity_s) == (166, 1)
    assert found.parallel_reads > 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"namespace": "acme"}, "12 digits"),
        ({"region": ""}, "region"),
        ({"region": "US East"}, "region"),
        ({"credential_ref": "aws-profile:"}, "credential reference"),
        ({"options": {"endpiont_url": "x"}}, "unknown option endpiont_url"),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, object], words: str) -> None:
    wire = AwsWire()
    account = replace(wire.account(), **changes)  # type: ignore[arg-type] # by field name
    with pytest.raises(ValueError, match=words):
        make_sagemaker(account, wire.hooks())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"endpoint_url": "ftp://x"}, "endpoint_url"),
        ({"endpoint_url": "http://api.example.com"}, "use https"),
        ({"endpoint_url": "https://ada:pw@host"}, "without a user"),
        ({"execution_role": "runner"}, "execution_role"),
        ({"read_timeout_s": "0"}, "read_timeout_s"),
        ({"max_attempts": "0"}, "max_attempts"),
        ({"describes_per_pass": "many"}, "describes_per_pass"),
        ({"sweep_minutes": "1441"}, "sweep_minutes"),
        ({"failed_billing": "maybe"}, "billed, free, unsure"),
    ],
)
def test_wrong_options_are_named(options: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SageMakerOptions.read(options)


def test_options_are_read() -> None:
    given = {
        "endpoint_url": "http://127.0.0.1:5000/",
        "execution_role": ROLE,
        "connect_timeout_s": "2.5",
        "max_attempts": "7",
        "initializing_billing": "billed",
        "failed_billing": "free",
    }
    found = SageMakerOptions.read(given)
    assert (found.endpoint_url, found.execution_role) == ("http://127.0.0.1:5000", ROLE)
    assert (found.connect_timeout_s, found.max_attempts) == (2.5, 7)
    assert found.terms == BillingTerms(creating=Billing.BILLED, failed=Billing.FREE)
    assert SageMakerOptions.read({}) == SageMakerOptions()


def test_all_services_are_called_at_one_address_if_it_is_given() -> None:
    wire = AwsWire(ListEndpoints={"Endpoints": []})
    account = wire.account(endpoint_url="http://127.0.0.1:5000")
    driver = make_sagemaker(account, wire.hooks())
    driver.list_endpoints()
    assert {request.url.host for request in wire.raw} == {"127.0.0.1"}


def test_a_memory_is_bounded_and_forgets_what_was_not_used() -> None:
    memory: Memory[int] = Memory(2)
    memory.put("a", 1)
    memory.put("b", 2)
    assert memory.get("a") == 1
    memory.put("c", 3)
    assert (len(memory), memory.get("b"), memory.get("a")) == (2, None, 1)
    assert memory.recall("c", lambda: 9) == 3
    assert memory.recall("d", lambda: 4) == 4
