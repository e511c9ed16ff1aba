"""Making drivers from the settings of accounts."""

from __future__ import annotations

import pytest

from orchestrator.clock import ManualClock
from orchestrator.providers.base import Capabilities, Provider, RefusedError
from orchestrator.providers.huggingface.billing import Billing, BillingTerms
from orchestrator.providers.huggingface.options import HuggingFaceOptions
from orchestrator.providers.registry import (
    CLOUDS,
    Cloud,
    ProviderAccount,
    ProviderHooks,
    is_reference,
    make_provider,
)
from tests.providers.wire import NOW, TOKEN

HOOKS = ProviderHooks(clock=ManualClock(NOW), resolve=lambda _: TOKEN, digest_key=b"secret-key")


def account(
    provider: str = "huggingface", namespace: str = "acme", **options: str
) -> ProviderAccount:
    return ProviderAccount("1", "main", provider, namespace, "", "env:HF_TOKEN", options)


def test_makes_the_driver_of_a_kind_without_any_call() -> None:
    provider: Provider = make_provider(account(), HOOKS)
    assert provider.capabilities == Capabilities(usual_s=provider.capabilities.usual_s)
    assert provider.capabilities.usual_s["resume"] > 0
    assert "acme" in repr(provider)
    provider.close()


def test_all_kinds_are_listed_in_one_place() -> None:
    assert {"huggingface", "sagemaker"} <= set(CLOUDS)


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'main'.*'floppy'.*huggingface"):
        make_provider(account("floppy"), HOOKS)


def test_a_further_kind_is_one_entry() -> None:
    made: list[str] = []

    def factory(account: ProviderAccount, hooks: ProviderHooks) -> Provider:
        made.append(account.namespace)
        return make_provider(ProviderAccount("1", "x", "huggingface", "acme"), hooks)

    other = Cloud("Other", factory, references="other-cli", reference_help="other-cli")
    make_provider(account("other"), HOOKS, {"other": other})
    assert made == ["acme"]


@pytest.mark.parametrize(
    ("cloud", "text", "good"),
    [
        ("huggingface", "env:HF_TOKEN", True),
        ("huggingface", "hf-cli", True),
        ("huggingface", "aws-default", False),
        ("sagemaker", "aws-profile:prod", True),
        ("sagemaker", "aws-role:arn:aws:iam::123456789012:role/x?external_id=y", True),
        ("sagemaker", "file:/run/keys", True),
        ("sagemaker", "hf-cli", False),
        ("sagemaker", "AKIAEXAMPLE", False),
    ],
)
def test_each_cloud_knows_its_references(cloud: str, text: str, good: bool) -> None:
    assert is_reference(CLOUDS[cloud], text) is good


def test_the_hooks_do_not_show_their_key() -> None:
    assert "secret-key" not in repr(HOOKS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"api_ulr": "x"}, "unknown option api_ulr; known are api_url"),
        ({"api_url": "ftp://x"}, "api_url"),
        ({"api_url": "not a url"}, "api_url"),
        ({"api_url": "https://ada:pw@host/v2"}, "without a user"),
        ({"api_url": "http://api.example.com/v2"}, "use https"),
        ({"hub_url": "http://8.8.8.8"}, "use https"),
        ({"read_timeout_s": "soon"}, "read_timeout_s"),
        ({"read_timeout_s": "0"}, "read_timeout_s"),
        ({"read_timeout_s": "inf"}, "read_timeout_s"),
        ({"initializing_billing": "maybe"}, "billed, free, unsure"),
    ],
)
def test_wrong_options_are_named(options: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_provider(account(**options), HOOKS)


def test_without_a_namespace_nothing_is_read_but_who_the_credentials_are() -> None:
    with pytest.raises(RefusedError, match="cannot be a name"):
        make_provider(account(namespace=""), HOOKS).get_endpoint("demo")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:8000/v2", "http://sandbox:8000", "http://localhost", "https://x.org/v2"],
)
def test_addresses_of_the_own_network_may_be_plain(url: str) -> None:
    assert HuggingFaceOptions.read({"api_url": url + "/"}).api_url == url


def test_billing_terms_are_options() -> None:
    options = {"initializing_billing": "billed", "failed_billing": "unsure"}
    assert HuggingFaceOptions.read(options).terms == BillingTerms(
        initializing=Billing.BILLED, failed=Billing.UNSURE
    )
    assert HuggingFaceOptions.read({}) == HuggingFaceOptions()
