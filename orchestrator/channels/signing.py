"""Signatures of webhooks, in the manner of the Standard Webhooks specification, version 1."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

from orchestrator.channels.message import AddressError

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64
REMEDY = "write 24 to 64 random bytes in base64, as `openssl rand -base64 32` prints"


def key_of(secret: str) -> bytes:
    """Return the bytes of a secret in base64, with or without `whsec_`. Raises AddressError."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise AddressError(f"the signing secret is not base64; {REMEDY}") from None
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise AddressError(f"the signing secret has {len(key)} bytes; {REMEDY}")
    return key


def headers(message_id: str, at: datetime, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """Return the headers that prove a message: one signature for each key, the newest first."""
    stamp = str(int(at.timestamp()))
    signed = b".".join((message_id.encode(), stamp.encode(), body))
    marks = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{mark}" for mark in marks),
    }
