from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import __version__
from orchestrator.cli import demo, runtime
from orchestrator.cli.commands.local import check_address
from orchestrator.cli.errors import CliError, ExitCode
from orchestrator.settings import Settings
from tests.cli.conftest import Cli

HEAVY = (
    *("fastapi", "sqlalchemy", "sqlmodel", "alembic", "uvicorn", "rich", "httpx2", "structlog"),
    *("pydantic_settings", "huggingface_hub"),
)
PASSWORD = "correct-horse"


def python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(cwd)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class TestStart:
    def test_help_loads_nothing_heavy(self, tmp_path: Path) -> None:
        code = (
            "import sys; from orchestrator.cli.main import run; run(['endpoints', '--help']); "
            f"print('heavy:', [m for m in {HEAVY!r} if m in sys.modules])"
        )
        done = python("-c", code, cwd=tmp_path)
        assert "heavy: []" in done.stdout, done.stdout + done.stderr

    def test_folders_named_like_ours_in_the_current_directory_do_not_disturb(
        self, tmp_path: Path
    ) -> None:
        for name in ("api", "migrations", "cli"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not ours')\n")
        done = python("-m", "orchestrator", "db", "upgrade", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "the schema is at" in done.stdout

    @pytest.mark.parametrize("flag", ["version", "--version"])
    def test_the_version_is_told(self, tmp_path: Path, flag: str) -> None:
        done = python("-m", "orchestrator", flag, cwd=tmp_path)
        assert __version__ in done.stdout

    def test_shell_completion_offers_sub_commands(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("_ORCHESTRATOR_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "orchestrator endpoints sc")
        monkeypatch.setenv("COMP_CWORD", "2")
        done = python("-c", "from orchestrator.cli.main import main; main()", cwd=tmp_path)
        assert done.stdout.split() == ["scale-to-zero"]

    def test_a_closed_pipe_is_no_traceback(self, tmp_path: Path) -> None:
        command = f"{sys.executable} -m orchestrator config | head -1"
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(
        "noun",
        [
            *("accounts", "endpoints", "operations", "schedules", "policies", "holds", "costs"),
            *("events", "freeze", "tokens", "config", "doctor", "scan", "serve", "worker", "demo"),
            *("db", "version", "hardware"),
        ],
    )
    def test_every_command_has_help(self, cli: Cli, noun: str) -> None:
        result = cli(noun, "--help")
        assert result.code == ExitCode.OK
        assert noun in result.out

    def test_every_command_teaches_by_an_example(self, cli: Cli) -> None:
        for noun, verb in (("endpoints", "pause"), ("schedules", "create"), ("freeze", "on")):
            assert f"Example: orchestrator {noun} {verb}" in cli(noun, verb, "--help").out


class TestConfig:
    def test_each_setting_is_shown_with_its_origin(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ORCHESTRATOR_PORT", "9001")
        items = {item["name"]: item for item in cli("config", "-o", "json").json["items"]}
        assert items["port"] == {
            "name": "port",
            "value": "9001",
            "origin": "env",
            "where": "ORCHESTRATOR_PORT",
        }
        assert items["host"]["origin"] == "default"

    def test_no_secret_is_shown(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ORCHESTRATOR_TOKEN", PASSWORD)
        monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", f"postgresql://app:{PASSWORD}@h/db")
        for form in ("table", "json"):
            result = cli("config", "-o", form)
            assert result.code == ExitCode.OK
            assert PASSWORD not in result.out + result.err
            assert "app:[redacted]@h" in result.out


class TestServeAddress:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
    def test_this_machine_alone_needs_nothing(self, host: str) -> None:
        check_address(host, None)

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "example.org"])
    def test_other_machines_need_a_public_address(self, host: str) -> None:
        with pytest.raises(CliError, match="other machines") as caught:
            check_address(host, None)
        assert caught.value.code is ExitCode.USAGE
        assert "ORCHESTRATOR_PUBLIC_URL" in caught.value.remedy
        check_address(host, "https://o.example.org")
        check_address(host, "http://localhost:8080")

    def test_a_public_address_in_clear_text_is_refused(self) -> None:
        with pytest.raises(CliError, match="clear text"):
            check_address("0.0.0.0", "http://o.example.org")

    def test_serve_refuses_before_it_touches_anything(self, cli: Cli, state_dir: Path) -> None:
        result = cli("serve", "--host", "0.0.0.0")
        assert result.code == ExitCode.USAGE
        assert not state_dir.exists()


class TestStarting:
    """What the commands hand to the service; that it works is shown where it is started."""

    def test_serve_hands_over_host_port_and_engine(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[tuple[str, int, bool]] = []

        def serve(settings: Settings, *, engine: bool) -> None:
            seen.append((settings.host, settings.port, engine))

        monkeypatch.setattr(runtime, "serve", serve)
        monkeypatch.setenv("ORCHESTRATOR_PORT", "9001")
        assert cli("serve").code == ExitCode.OK
        assert cli("serve", "--host", "localhost", "--port", "9002", "--no-engine").code == 0
        assert seen == [("127.0.0.1", 9001, True), ("localhost", 9002, False)]

    def test_a_worker_gets_the_settings(self, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[Settings] = []
        monkeypatch.setattr(runtime, "worker", seen.append)
        assert cli("worker").code == ExitCode.OK
        assert len(seen) == 1

    def test_a_demo_is_kept_in_the_state_dir_unless_told_otherwise(
        self, cli: Cli, state_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[tuple[Path, int, int, float, bool]] = []

        def play(root: Path, *, port: int, days: int, speed: float, fresh: bool) -> None:
            seen.append((root, port, days, speed, fresh))

        monkeypatch.setattr(demo, "demo", play)
        cli("demo")
        cli("demo", "--folder", str(tmp_path / "d"), "--port", "81", "--days", "3", "--fresh")
        assert seen == [
            (state_dir / "demo", 8080, 15, 30.0, False),
            (tmp_path / "d", 81, 3, 30.0, True),
        ]


class TestDatabase:
    def test_a_new_store_is_checked_made_and_checked_again(self, cli: Cli, state_dir: Path) -> None:
        before = cli("db", "check")
        assert before.code == ExitCode.FAILED
        assert "db upgrade" in before.err
        assert not state_dir.exists()
        assert cli("db", "upgrade").code == ExitCode.OK
        assert oct(state_dir.stat().st_mode)[-3:] == "700"
        after = cli("db", "check", "-o", "json")
        assert after.code == ExitCode.OK
        assert after.json["current"] is True
        assert after.json["differences"] == []

    def test_a_store_that_does_not_answer_is_told_without_its_password(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = f"postgresql://app:{PASSWORD}@127.0.0.1:1/db"
        monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", url)
        result = cli("db", "check")
        assert result.code == ExitCode.UNREACHABLE
        assert PASSWORD not in result.err
        assert "ORCHESTRATOR_DATABASE_URL" in result.err
