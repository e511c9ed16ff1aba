"""Which addresses may be stored as they are, and which machines may be spoken to."""

from __future__ import annotations

import socket

import pytest

from orchestrator.channels import addresses
from orchestrator.channels.message import AddressError


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.org/in",
        "https://hooks.example.org:8443/teams/search/orchestrator-events-2026",
        "https://hooks.example.org/in?team=search&stage=production",
        "https://example.org/notifications/Deployments/Infrastructure",
        "https://[2606:2800:220:1::1]/in",
    ],
)
def test_plain_addresses_may_be_stored(url: str) -> None:
    addresses.check_clear(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://ada:word@example.org/in",
        "https://ada@example.org/in",
        "https://hooks.slack.com/services/T00/B00/short",
        "https://discord.com/api/webhooks/1/short",
        "https://acme.webhook.office.com/in",
        "https://hooks.example.org/services/T0AB/B0CD/" + "aB3" * 8,
        "https://hooks.example.org/" + "QwErTyUiOpAsDf" * 2,
        "https://hooks.example.org/5f0c1b2e-1111-2222-3333-444455556666/in",
        "https://hooks.example.org/" + "123456789012" * 2,
        "https://example.org/in?token=x",
        "https://example.org/in?sig=",
        "https://example.org/in?id=" + "a1" * 10,
        "https://example.org/in#part",
        "ftp://example.org/in",
        "https:///in",
        "https://example.org:99999/in",
        "https://example.org/a b",
        "https://exämple.org/in",
        "other.test",
    ],
)
def test_addresses_with_secrets_or_faults_may_not(url: str) -> None:
    with pytest.raises(AddressError) as caught:
        addresses.check_clear(url)
    assert url not in str(caught.value)


@pytest.mark.parametrize(
    "number",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "224.0.0.1", "::1", "::", "fe80::1%eth0", "fd00::1", "ff02::1"),
        *("::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "fec0::1"),
    ],
)
def test_private_machines_are_known_however_they_are_written(number: str) -> None:
    assert not addresses.is_public(number)


@pytest.mark.parametrize("number", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_public_machines_are_public(number: str) -> None:
    assert addresses.is_public(number)


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.org/in", "https://127.0.0.1/in", "https://[::1]/in"),
        *("https://localhost/in", "https://metadata.localhost/in"),
    ],
)
def test_what_shows_that_it_is_private_is_refused_unasked(url: str) -> None:
    with pytest.raises(AddressError, match="allow_private_webhooks"):
        addresses.check_allowed(url, private=False)
    addresses.check_allowed(url, private=True)


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f.1", "0x7f000001", "127.1", "0177.0.0.1", "127.1.", "010.0.0.1"]
)
def test_other_spellings_of_a_number_are_refused_unasked(host: str) -> None:
    with pytest.raises(AddressError, match="unusual way to write a number"):
        addresses.check_allowed(f"https://{host}/in", private=False)


@pytest.mark.parametrize("host", ["1.2.example.org", "93.184.216.34", "0x7f.example.org", "a1.io"])
def test_names_with_digits_are_names(host: str) -> None:
    addresses.check_allowed(f"https://{host}/in", private=False)


def test_a_name_is_looked_up_and_one_private_answer_is_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(*args: object, **kwargs: object) -> list[tuple[object, ...]]:
        del args, kwargs
        return [(2, 1, 6, "", (number, 443)) for number in ("93.184.216.34", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    with pytest.raises(AddressError, match="private machine"):
        addresses.reachable("https://rebinds.example.org/in", private=False)
    found = addresses.reachable("https://rebinds.example.org/in", private=True)
    assert found == ["93.184.216.34", "10.0.0.1"]
