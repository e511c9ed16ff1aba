from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from orchestrator import logs

HF = "hf_" + "aB3" * 11
AWS = "AKIA" + "IOSFODNN7EXAMPLE"
OURS = "orc_" + "k7-_Zq" * 6
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
SECRET = "correct-horse-battery"


class Leaky:
    def __repr__(self) -> str:
        return f"<Leaky {HF}>"


def fail() -> None:
    try:
        raise_key_error()
    except KeyError as cause:
        raise RuntimeError(f"GET https://u:{SECRET}@host failed for {HF}") from cause


def raise_key_error() -> None:
    raise KeyError(f"first {OURS}")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    kept = list(root.handlers), root.level
    names = ("httpx2", "httpcore2", "apscheduler", "sqlalchemy.engine", "huggingface_hub")
    levels = {name: logging.getLogger(name).level for name in names}
    out = io.StringIO()
    yield out
    root.handlers[:], root.level = kept
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()


def written(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


class TestRedactText:
    @pytest.mark.parametrize(
        ("text", "secret"),
        [
            (f"token {HF} was refused", HF),
            (f"'{HF}'", HF),
            (f"Authorization: Bearer {SECRET}", SECRET),
            (f"authorization: Basic {SECRET}", SECRET),
            (f"{{'Authorization': 'Bearer {SECRET}'}}", SECRET),
            (f"headers=[(b'authorization', b'Bearer {SECRET}')]", SECRET),
            (f"bearer {SECRET}", SECRET),
            (f"using {AWS} now", AWS),
            (f"aws_secret_access_key={SECRET}", SECRET),
            (f'"secretAccessKey": "{SECRET}"', SECRET),
            (f'\\"client_secret\\": \\"{SECRET}\\"', SECRET),
            (f"made {OURS} for ci", OURS),
            (f"postgresql://app:{SECRET}@db:5432/x", SECRET),
            (f"postgresql://app:p@ss/{SECRET}@db:5432/x", SECRET),
            (f"redis://:{SECRET}@cache", SECRET),
            (f"GET /v1/x?token={SECRET}&limit=5", SECRET),
            (f"GET /v1/x?limit=5&X-Amz-Signature={SECRET}", SECRET),
            (f"password = '{SECRET} and more'", f"{SECRET} and more"),
            (f"PGPASSWORD={SECRET} psql", SECRET),
            (f"Set-Cookie: session_token={SECRET}; Path=/", SECRET),
            (f"jwt {JWT}", JWT),
            ("password: hunter", "hunter"),
            ("token=hunter", "hunter"),
            ("token: Hunter2", "Hunter2"),
            ("env:X password: swordfish", "swordfish"),
            ("env:API_TOKEN=swordfish", "swordfish"),
            (f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----", SECRET),
            (f"-----BEGIN PRIVATE KEY-----\n{SECRET} cut off", SECRET),
            (f"Settings(token=SecretStr('{SECRET}'))", SECRET),
        ],
    )
    def test_a_secret_in_a_text_is_redacted(self, text: str, secret: str) -> None:
        out = logs.redact_text(text)
        assert secret not in out
        assert SECRET not in out
        assert logs.REDACTED in out

    @pytest.mark.parametrize(
        "text",
        [
            "endpoint search-prod is running on aws/us-east-1/nvidia-l4/x1",
            "hf_hub_download took 3 s",
            "credential_ref=env:HF_TOKEN",
            "GET https://api.example.org:8443/v2/endpoint/acme?limit=100",
            "max_total_tokens=4096",
            "next page: cursor=abc",
            "token: none",
            "mail ops@example.org at 10:00",
            "Credential env:HF_TOKEN: the environment variable HF_TOKEN is not set",
            "cannot use the token: it has expired",
        ],
    )
    def test_a_harmless_text_stays_as_it_is(self, text: str) -> None:
        assert logs.redact_text(text) == text

    @given(st.text(max_size=80), st.text(max_size=80))
    def test_a_token_never_survives_its_surroundings(self, before: str, after: str) -> None:
        assert HF not in logs.redact_text(f"{before} {HF} {after}")

    def test_a_redacted_text_is_left_alone_by_a_second_pass(self) -> None:
        once = logs.redact_text(f"postgresql://app:{SECRET}@db/x token={HF} Bearer {SECRET}")
        assert logs.redact_text(once) == once

    def test_a_long_line_costs_time_in_proportion_to_its_length(self) -> None:
        blob = "a" * 200_000
        assert logs.redact_text(f"{blob} {HF}") == f"{blob} hf_{logs.REDACTED}"


class TestRedact:
    def test_values_under_secret_keys_vanish_at_any_depth(self) -> None:
        value = {"a": [{"apiKey": SECRET, "n": 1}], "b": ({"x-amz-security-token": SECRET},)}
        assert SECRET not in str(logs.redact(value))

    def test_a_container_environment_keeps_its_names_and_no_value(self) -> None:
        out = logs.redact(
            {"env": {"DB_URL": "plain"}, "secrets": {"A": "b"}, "environment": "prod"}
        )
        assert out == {
            "env": {"DB_URL": logs.REDACTED},
            "secrets": {"A": logs.REDACTED},
            "environment": "prod",
        }

    def test_references_counts_and_flags_stay(self) -> None:
        value = {
            "credential_ref": "env:HF_TOKEN",
            "token_id": "tok_1",
            "maxTotalTokens": 5,
            "token": None,
            "secret": True,
        }
        assert logs.redact(value) == value

    def test_a_session_id_is_a_secret(self) -> None:
        assert logs.redact({"session_id": SECRET}) == {"session_id": logs.REDACTED}

    @pytest.mark.parametrize(
        "value",
        [
            SecretStr(SECRET),
            HF.encode(),
            ValueError(f"refused {HF}"),
            {HF: 1},
            {1: {HF}},
            Leaky(),
        ],
    )
    def test_no_kind_of_object_carries_a_secret_through(self, value: object) -> None:
        out = str(logs.redact(value))
        assert HF not in out
        assert SECRET not in out

    def test_a_structure_that_contains_itself_ends(self) -> None:
        loop: dict[str, Any] = {"at": HF}
        loop["self"] = loop
        assert HF not in str(logs.redact(loop))


class TestConfigure:
    def test_a_structured_event_is_one_json_object_with_level_and_instant(
        self, stream: io.StringIO
    ) -> None:
        logs.configure("info", "json", stream)
        logs.get_logger("engine").info("pass done", account="acme", token=HF)
        (line,) = written(stream)
        assert line["event"] == "pass done"
        assert line["account"] == "acme"
        assert line["token"] == logs.REDACTED
        assert line["level"] == "info"
        assert line["logger"] == "engine"
        assert line["timestamp"].endswith("Z")

    @pytest.mark.parametrize("fmt", ["json", "console"])
    def test_an_exception_is_logged_without_its_secret(self, stream: io.StringIO, fmt: Any) -> None:
        logs.configure("info", fmt, stream)
        try:
            fail()
        except RuntimeError:
            logs.get_logger("x").exception("broke", url=f"https://u:{SECRET}@host")
            logging.getLogger("stdlib").exception("broke %s", HF)
        text = stream.getvalue()
        assert text.count("RuntimeError") >= 2
        for secret in (HF, OURS, SECRET):
            assert secret not in text

    @pytest.mark.parametrize("name", ["uvicorn.access", "apscheduler", "httpx2", "sqlalchemy.pool"])
    def test_the_logs_of_libraries_pass_through_the_same_chain(
        self, stream: io.StringIO, name: str
    ) -> None:
        logs.configure("info", "json", stream)
        logging.getLogger(name).warning(
            '%s "%s" %d', "10.0.0.1", f"GET /?token={SECRET}", 200, extra={"api_key": SECRET}
        )
        (line,) = written(stream)
        assert line["logger"] == name
        assert SECRET not in json.dumps(line)
        assert "10.0.0.1" in line["event"]

    def test_one_line_per_request_of_a_library_shows_at_debug_only(
        self, stream: io.StringIO
    ) -> None:
        logs.configure("info", "json", stream)
        logging.getLogger("httpx2").info("HTTP Request: GET /")
        assert stream.getvalue() == ""
        logs.configure("debug", "json", stream)
        logging.getLogger("httpx2").info("HTTP Request: GET /")
        assert len(written(stream)) == 1

    def test_configuring_twice_does_not_double_lines(self, stream: io.StringIO) -> None:
        logs.configure("info", "json", stream)
        logs.configure("info", "json", stream)
        logs.get_logger("x").warning("once")
        assert len(written(stream)) == 1

    def test_a_coloured_copy_of_a_message_is_left_out(self, stream: io.StringIO) -> None:
        logs.configure("info", "json", stream)
        logging.getLogger("uvicorn.error").info("up", extra={"color_message": "\x1b[1mup"})
        (line,) = written(stream)
        assert line["event"] == "up"
        assert "color_message" not in line

    def test_bound_values_are_redacted_too(self, stream: io.StringIO) -> None:
        logs.configure("info", "json", stream)
        with structlog.contextvars.bound_contextvars(authorization=f"Bearer {SECRET}"):
            logs.get_logger("x").info("hello")
        assert SECRET not in stream.getvalue()

    def test_the_default_stream_is_standard_error(
        self, capsys: pytest.CaptureFixture[str], stream: io.StringIO
    ) -> None:
        del stream
        logs.configure("info", "json")
        logs.get_logger("x").warning("seen")
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "seen" in captured.err


def test_looks_at_the_revision_are_not_logged_but_upgrades_are(stream: io.StringIO) -> None:
    logs.configure("info", "json", stream)
    logger = logging.getLogger("alembic.runtime.migration")
    logger.info("Context impl %s.", "PostgresqlImpl")
    logger.info("Will assume %s DDL.", "transactional")
    logger.info("Running upgrade 0001 -> 0002")
    assert [line["event"] for line in written(stream)] == ["Running upgrade 0001 -> 0002"]
