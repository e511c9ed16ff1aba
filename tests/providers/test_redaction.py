"""Keeping secrets out of what is stored and shown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.providers.redaction import (
    MARKER,
    Redactor,
    is_redacted,
    looks_secret,
    redact,
    secret_word,
)

RANDOM = "a1b2" * 10


@pytest.mark.parametrize(
    "token",
    [
        "hf_" + "AbCdEfGhIjKlMn",
        "sk-" + "proj-abcdefghijkl",
        "ghp_" + "a" * 36,
        "github_pat_" + "a" * 30,
        "glpat-" + "a" * 20,
        "xoxb-" + "1234567890",
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "eyJ" + "hbGciOiJI.eyJzdWIi.c2ln",
        "-----BEGIN RSA PRIVATE KEY-----",
    ],
)
def test_tokens_are_masked_wherever_they_stand(token: str) -> None:
    assert token not in redact(f"the header was '{token}', sorry")
    assert looks_secret("ANYTHING", token)


def test_known_secrets_are_masked_whatever_they_look_like() -> None:
    assert redact("the word is swordfish", ["swordfish", ""]) == "the word is ***"


def test_plain_words_stay() -> None:
    text = "Endpoint acme/demo in us-east-1 failed: quota of nvidia-l4 is 8, see hf_hub docs"
    assert redact(text) == text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_TOKEN", "x"),
        ("DB_PASSWORD", "hunter2"),
        ("openai_api_key", "short"),
        ("SECRET", "s"),
        ("AUTH_HEADER", "abc"),
        ("SIGNING_KEY", "abc"),
        ("SENTRY_DSN", "https://x"),
        ("URL", "redis://:pw@host"),
        ("OPTIONS", RANDOM),
        ("X", f"prefix {RANDOM} suffix"),
        ("EXTRA_ARGS", "--port 80 --api-key pw"),
        ("SETUP", "export DB_PASSWORD=pw; run"),
        ("CONFIG", '{"api_key": "pw", "size": "3"}'),
        ("DB_PASS", "hunter2"),
        ("SMTP_PASS", "123456"),
        ("PGPASS", "hunter2"),
        ("API_TOKENS", "abc,def"),
        ("ADMIN_PIN", "1234"),
    ],
)
def test_what_may_be_secret_is(name: str, value: str) -> None:
    assert looks_secret(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_BATCH_TOTAL_TOKENS", "8192x"),
        ("MAX_TOKENS", "8192"),
        ("SPECIAL_TOKENS", "<s>,</s>"),
        ("PIN_MEMORY", "always"),
        ("MAX_PASSES", "3"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("KEEP_ALIVE", "5s"),
        ("MODEL_ID", "meta-llama/Llama-3.1-8B-Instruct"),
        ("REVISION", "11c5a3d5811f50298f278a704980280950aedb10"),
        ("USE_AUTH", "true"),
        ("HOME", "/home/user/models/very-long-directory-name/weights"),
        ("EMPTY_SECRET", ""),
        ("EXTRA_ARGS", "--max-tokens 80 --trust-remote-code --model-id=a/b"),
        ("CONFIG", '{"size": "3"}'),
    ],
)
def test_settings_are_not(name: str, value: str) -> None:
    assert not looks_secret(name, value)


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["--port", "80", "--api-key", "x1y2"], 3),
        (["--api-key=x1y2"], 0),
        (["sh", "-c", "serve --api-key x1y2"], 2),
        (["API_KEY=x1y2", "serve"], 0),
        (["sk-" + "abcdefghijklmnop"], 0),
        (["serve", RANDOM], 1),
        (["--api-key", "$API_KEY", "--token=${TOKEN}", "sh -c 'serve --api-key $(KEY)'"], None),
        (["--max-num-batched-tokens", "8192", "--tokenizer", "acme/x"], None),
        (["--served-model-name", "llama-3-70b-instruct-awq-4bit-2024-06"], None),
        (["--session-timeout", "5m"], None),
        (["--api-key-file", "/run/api", "--port", "80"], None),
    ],
)
def test_a_secret_in_a_command_line_is_found(words: list[str], place: int | None) -> None:
    assert secret_word(words) == place


def test_markers_compare_but_do_not_tell() -> None:
    redactor = Redactor(b"key")
    marker = redactor.marker("A", "value")
    assert is_redacted(marker)
    assert marker == redactor.marker("A", "value")
    assert marker not in (redactor.marker("A", "other"), redactor.marker("B", "value"))
    assert marker != Redactor(b"another key").marker("A", "value")
    assert redactor.marker("A", marker) == marker


def test_without_a_key_a_marker_only_tells_that_a_value_is_set() -> None:
    assert Redactor().marker("A", "x") == Redactor().marker("A", "y") == f"{MARKER}set"


def test_half_a_character_can_be_marked() -> None:
    assert is_redacted(Redactor(b"key").marker("A", "\ud800"))


def test_the_key_does_not_show() -> None:
    assert "my-key" not in repr(Redactor(b"my-key"))


def test_arguments_keep_their_form() -> None:
    words = ["serve", "--port", "8080", "--api-key", "pw", "--token=pw", "-v", "--name=x"]
    kept = Redactor(b"key").arguments(words)
    assert [word for word in kept if "redacted" not in word] == [
        "serve", "--port", "8080", "--api-key", "-v", "--name=x",
    ]  # fmt: skip
    assert kept[5].startswith("--token=redacted:")
    assert len(kept) == len(words)


@settings(deadline=None)
@given(st.text(min_size=1), st.text(min_size=1))
def test_a_known_secret_never_survives(text: str, secret: str) -> None:
    if "*" not in secret:
        assert secret not in redact(f"{text} {secret}", [secret]).replace("*** ", "").replace(
            text, ""
        )
