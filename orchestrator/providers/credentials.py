"""Turns a reference to credentials into the secret; a secret never enters a message."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import get_token
from huggingface_hub.errors import DeviceCodeError, HfHubHTTPError, OIDCError

from orchestrator.providers.base import CredentialsError

# References that every cloud understands: the text of a variable or of a file.
SHARED_REFERENCES = r"env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:/\S{1,400}"
FORMS = "env:NAME, file:/path or hf-cli"


def resolve_credential(reference: str, environment: Mapping[str, str] | None = None) -> str:
    """Return the secret that `env:NAME`, `file:/path` or `hf-cli` refers to.

    Raises CredentialsError, which names the reference and the remedy.
    """
    kind, _, rest = reference.partition(":")
    if kind == "env" and rest:
        return _from_environment(
            reference, rest, os.environ if environment is None else environment
        )
    if kind == "file" and rest:
        return _from_file(reference, rest)
    if reference == "hf-cli":
        return _from_cli(reference)
    raise CredentialsError(f"Credential reference {_shown(reference)} is not one of {FORMS}.")


def _shown(reference: str) -> str:
    """Show a reference; an unknown form may be a pasted secret, of which only the form is told."""
    kind, colon, _ = reference.partition(":")
    return f"{kind!r}:…" if colon and kind.isalpha() and len(kind) < 12 else "(not shown)"


def _from_environment(reference: str, name: str, environment: Mapping[str, str]) -> str:
    value = environment.get(name)
    if value is None:
        raise CredentialsError(
            f"Credential {reference}: the environment variable {name} is not set; "
            "set it for the process and start it again."
        )
    return _checked(reference, value)


def _from_file(reference: str, path: str) -> str:
    try:
        value = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CredentialsError(
            f"Credential {reference}: the file cannot be read ({reason}); "
            "check that it exists and that this process may read it."
        ) from None
    return _checked(reference, value)


def _from_cli(reference: str) -> str:
    try:
        value = get_token()
    except (OIDCError, DeviceCodeError, HfHubHTTPError, OSError) as error:
        raise CredentialsError(
            f"Credential {reference}: the login cannot be read ({type(error).__name__}); "
            "run `hf auth login` again."
        ) from None
    if value is None:
        raise CredentialsError(f"Credential {reference}: not logged in; run `hf auth login`.")
    return _checked(reference, value)


def _checked(reference: str, value: str) -> str:
    """Return the secret without the blanks around it; headers carry printable ASCII only."""
    secret = value.strip()
    if not secret:
        raise CredentialsError(f"Credential {reference} is empty; put a token there.")
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise CredentialsError(
            f"Credential {reference} holds blanks, line breaks or characters outside ASCII; "
            "put the token alone there."
        )
    return secret
