"""Web addresses that may be stored, and machines that may be spoken to."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, parse_qsl, urlsplit

from orchestrator.channels.message import AddressError

MOST_CHARACTERS = 500
_SETTING = "the setting allow_private_webhooks permits that"
BY_REFERENCE = "put the address into a variable or a file and give env:NAME or file:/path"
_TRANSLATED = ip_network("64:ff9b::/96")  # IPv4 behind NAT64: RFC 6052
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_CHUNK = re.compile(r"[A-Za-z0-9]+")
_TOKEN_LENGTH = 12
# What `inet_aton` takes for an address: one to four numbers, also octal or hexadecimal.
_OLD_NUMBER = re.compile(r"(?:(?:0x[0-9a-f]*|[0-9]+)(?:\.|$)){1,4}", re.IGNORECASE)
# Services whose web addresses are the secret: the path from the second part on.
_SECRET_PATHS = {
    "hooks.slack.com": "/",
    "discord.com": "/api/webhooks/",
    "discordapp.com": "/api/webhooks/",
    "chat.googleapis.com": "/v1/spaces/",
    "api.telegram.org": "/bot",
}
_SECRET_DOMAINS = (".webhook.office.com", ".logic.azure.com")
_SECRET_NAME = re.compile(r"key|token|secret|sig|auth|pass|code|cred", re.IGNORECASE)


def check_clear(url: str) -> None:
    """Raise AddressError unless a web address may be stored as it is: it holds no secret."""
    parts = _parts(url)
    if parts.username is not None or parts.password is not None:
        raise AddressError(f"it carries a user name or password; {BY_REFERENCE}")
    if _is_secret_place(parts):
        raise AddressError(f"whoever knows this address may post there; {BY_REFERENCE}")
    if parts.fragment:
        raise AddressError("it has a part after #, which is never sent; leave that out")
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if _SECRET_NAME.search(name) or _is_token(value):
            raise AddressError(f"its query seems to carry a secret; {BY_REFERENCE}")
    if any(_is_token(part) for part in parts.path.split("/")):
        raise AddressError(f"a part of its path looks like a secret; {BY_REFERENCE}")


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise AddressError("it is not a web address") from None
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= MOST_CHARACTERS
    if parts.scheme not in ("http", "https") or not host or port == 0 or not plain:
        raise AddressError("it is not a web address such as https://hooks.example.org/path")
    return parts


def _is_secret_place(parts: SplitResult) -> bool:
    """Tell whether an address is one of a service that asks for nothing but the address."""
    host = (parts.hostname or "").rstrip(".")
    start = _SECRET_PATHS.get(host)
    known = start is not None and parts.path.startswith(start) and len(parts.path) > len(start)
    return known or host.endswith(_SECRET_DOMAINS)


def _is_token(text: str) -> bool:
    """Tell whether a part of an address looks random: long, with digits among letters."""
    if _UUID.search(text):
        return True
    return any(_is_random(chunk) for chunk in _CHUNK.findall(text) if len(chunk) >= _TOKEN_LENGTH)


def _is_random(chunk: str) -> bool:
    digits = sum(character.isdigit() for character in chunk)
    mixed = not (chunk.islower() or chunk.isupper() or chunk.istitle())
    return (0 < digits < len(chunk)) or (digits == 0 and mixed) or digits >= 2 * _TOKEN_LENGTH


def check_allowed(url: str, *, private: bool) -> None:
    """Raise AddressError where an address itself, unasked, shows that it may not be spoken to."""
    parts = _parts(url)
    if private:
        return
    if parts.scheme == "http":
        raise AddressError(f"it is not https, so that others may read what is sent; {_SETTING}")
    host = (parts.hostname or "").rstrip(".")
    if _OLD_NUMBER.fullmatch(host) and not _is_usual_number(host):
        raise AddressError("its host is an unusual way to write a number; write it as 192.0.2.1")
    try:
        public = is_public(host)
    except ValueError:
        public = not (host == "localhost" or host.endswith(".localhost"))
    if not public:
        raise AddressError(f"it leads to a private machine; {_SETTING}")


def _is_usual_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def reachable(url: str, *, private: bool) -> list[str]:
    """Return the numeric addresses of a URL's machine, which may be spoken to.

    Raises AddressError where one of them is not public, unless `private` ones are allowed, and
    OSError where the name is not known.
    """
    check_allowed(url, private=private)
    parts = _parts(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    numbers = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not private and not all(is_public(number) for number in numbers):
        raise AddressError(f"its name leads to a private machine; {_SETTING}")
    return numbers


def is_public(number: str) -> bool:
    """Tell whether a numeric address is one of the public internet, however it is written."""
    address = ip_address(number.partition("%")[0])
    inner = _inner(address)
    if inner is not None:
        return is_public(str(inner))
    old = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not (address.is_multicast or old)


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, IPv4Address):
        return None
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo
