"""References to credentials, and what is said when they lead nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub.errors import OIDCError

from orchestrator.providers import credentials
from orchestrator.providers.base import CredentialsError
from orchestrator.providers.credentials import resolve_credential
from tests.providers.wire import TOKEN


def test_an_environment_variable_is_read() -> None:
    assert resolve_credential("env:MY_TOKEN", {"MY_TOKEN": f" {TOKEN}\n"}) == TOKEN


def test_the_environment_of_the_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN_FOR_TESTS", TOKEN)
    assert resolve_credential("env:A_TOKEN_FOR_TESTS") == TOKEN


def test_a_file_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    assert resolve_credential(f"file:{file}") == TOKEN
    file.write_text("rotated")
    assert resolve_credential(f"file:{file}") == "rotated"


def test_the_login_of_the_cli_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "get_token", lambda: TOKEN)
    assert resolve_credential("hf-cli") == TOKEN


def test_no_login_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "get_token", lambda: None)
    with pytest.raises(CredentialsError, match="hf auth login"):
        resolve_credential("hf-cli")


def test_a_broken_login_is_an_error_of_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise OIDCError(f"exchange of {TOKEN} failed")

    monkeypatch.setattr(credentials, "get_token", broken)
    with pytest.raises(CredentialsError) as caught:
        resolve_credential("hf-cli")
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("env:MISSING", "MISSING is not set"),
        ("env:EMPTY", "is empty"),
        ("env:BROKEN", "blanks"),
        ("env:ACCENTED", "ASCII"),
        ("file:/does/not/exist", "cannot be read"),
        ("file:/", "cannot be read"),
    ],
)
def test_what_leads_nowhere_is_named_with_the_remedy(reference: str, words: str) -> None:
    environment = {"EMPTY": "  ", "BROKEN": f"{TOKEN}\nx", "ACCENTED": "café"}
    with pytest.raises(CredentialsError, match=words) as caught:
        resolve_credential(reference, environment)
    assert reference in str(caught.value)
    assert TOKEN not in str(caught.value)
    assert "café" not in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CredentialsError, match="UTF-8"):
        resolve_credential(f"file:{file}")


@pytest.mark.parametrize(
    "reference", ["", TOKEN, f"token:{TOKEN}", "env:", "file:", "ENV:X", f"{TOKEN}:x", "hf-cli:x"]
)
def test_another_form_is_refused_without_showing_it(reference: str) -> None:
    with pytest.raises(CredentialsError, match="env:NAME") as caught:
        resolve_credential(reference)
    assert TOKEN not in str(caught.value)
