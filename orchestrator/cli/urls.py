"""Addresses: paths of the API, and which hosts are this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import quote, urlsplit


def path(*parts: str) -> str:
    """Return an API path of quoted parts; `account/endpoint` keeps its one slash."""
    return "/v1/" + "/".join(quote(part, safe="/") for part in parts)


def is_loopback(url: str) -> bool:
    """Tell whether a URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
