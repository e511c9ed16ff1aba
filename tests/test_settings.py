from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.settings import Settings, SettingsError, load

PASSWORD = "correct-horse"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ORCHESTRATOR_CONFIG", raising=False)


def write(tmp_path: Path, text: str, name: str = "orchestrator.toml") -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def origin_of(settings: Settings, name: str) -> tuple[str, str, str]:
    (found,) = [item for item in settings.sources() if item.name == name]
    return found.value, found.origin, found.where


def problems() -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load()
    return caught.value.problems


class TestDefaults:
    def test_without_anything_set_the_store_is_a_file_in_the_home(self, tmp_path: Path) -> None:
        settings = load()
        state = tmp_path / "home/.local/state/orchestrator"
        assert settings.state_dir == state
        assert settings.database_url == f"sqlite:///{state}/orchestrator.db"
        assert (settings.host, settings.port) == ("127.0.0.1", 8080)
        assert {item.origin for item in settings.sources()} == {"default"}

    def test_another_state_dir_takes_the_store_with_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ORCHESTRATOR_STATE_DIR", str(tmp_path / "s"))
        settings = load()
        assert settings.database_url == f"sqlite:///{tmp_path}/s/orchestrator.db"
        assert settings.admin_token_file == tmp_path / "s" / "admin-token"

    def test_the_command_line_talks_to_the_local_server_unless_told_otherwise(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert load().api_url == "http://127.0.0.1:8080"
        monkeypatch.setenv("ORCHESTRATOR_HOST", "0.0.0.0")
        monkeypatch.setenv("ORCHESTRATOR_PORT", "9000")
        assert load().api_url == "http://127.0.0.1:9000"
        monkeypatch.setenv("ORCHESTRATOR_HOST", "::1")
        assert load().api_url == "http://[::1]:9000"
        monkeypatch.setenv("ORCHESTRATOR_SERVER_URL", "https://o.example.org/")
        assert load().api_url == "https://o.example.org"

    def test_settings_cannot_be_changed_after_loading(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            load().port = 1  # type: ignore[misc] # the test is that this fails


class TestSources:
    def test_the_environment_wins_over_the_file_and_each_value_knows_its_origin(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = write(tmp_path, 'port = 9001\nhost = "localhost"\n')
        monkeypatch.setenv("ORCHESTRATOR_PORT", "9002")
        settings = load()
        assert origin_of(settings, "port") == ("9002", "env", "ORCHESTRATOR_PORT")
        assert origin_of(settings, "host") == ("localhost", "file", str(file))
        assert origin_of(settings, "log_level") == ("info", "default", "")

    def test_the_file_is_the_named_one_then_the_folders_then_the_homes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(tmp_path, "port = 1", "home/.config/orchestrator/config.toml")
        assert load().port == 1
        write(tmp_path, "port = 2")
        assert load().port == 2
        monkeypatch.setenv("ORCHESTRATOR_CONFIG", str(write(tmp_path, "port = 3", "named.toml")))
        assert load().port == 3

    def test_an_argument_wins_over_all_and_is_named_as_such(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ORCHESTRATOR_PORT", "9002")
        monkeypatch.setenv("ORCHESTRATOR_LOG_FORMAT", "json")
        settings = load().with_overrides(port=1234, host=None)
        assert origin_of(settings, "port") == ("1234", "argument", "")
        assert origin_of(settings, "log_format") == ("json", "env", "ORCHESTRATOR_LOG_FORMAT")
        assert origin_of(settings, "host")[1] == "default"

    def test_settings_made_in_code_are_arguments(self, tmp_path: Path) -> None:
        settings = Settings(state_dir=tmp_path)
        assert origin_of(settings, "state_dir") == (str(tmp_path), "argument", "")

    def test_an_empty_variable_counts_as_not_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ORCHESTRATOR_PUBLIC_URL", "")
        assert load().public_url is None

    @pytest.mark.parametrize("text", ["team,stage", " team , stage ,"])
    def test_a_list_in_the_environment_is_split_at_commas(
        self, text: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ORCHESTRATOR_ALLOWED_CLOUD_LABELS", text)
        assert load().allowed_cloud_labels == ("team", "stage")

    def test_a_list_in_the_file_is_a_list(self, tmp_path: Path) -> None:
        write(tmp_path, 'allowed_cloud_labels = ["team", "stage"]')
        assert load().allowed_cloud_labels == ("team", "stage")

    def test_words_may_be_in_capitals(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ORCHESTRATOR_LOG_LEVEL", "WARNING")
        assert load().log_level == "warning"


class TestRefusals:
    def test_an_unknown_variable_is_refused_with_the_nearest_name(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ORCHESTRATOR_DATABSE_URL", "sqlite:///x")
        (problem,) = problems()
        assert "ORCHESTRATOR_DATABSE_URL" in problem
        assert "did you mean ORCHESTRATOR_DATABASE_URL?" in problem

    def test_an_unknown_key_of_the_file_is_refused_with_file_and_nearest_name(
        self, tmp_path: Path
    ) -> None:
        file = write(tmp_path, "prot = 1\nzzz = 2\n")
        first, second = problems()
        assert str(file) in first
        assert "did you mean port?" in first
        assert "'zzz'" in second

    def test_every_bad_value_is_named_with_its_source_and_a_remedy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = write(tmp_path, "observe_interval_s = 0\n")
        monkeypatch.setenv("ORCHESTRATOR_PORT", "lots")
        port, interval = sorted(problems(), key=lambda text: text.startswith("observe"))
        assert "environment variable ORCHESTRATOR_PORT" in port
        assert "'lots'" in port
        assert "write for example 8080" in port
        assert str(file) in interval
        assert "greater than or equal to 1" in interval

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("DATABASE_URL", f"mysql://app:{PASSWORD}@host/x"),
            ("PUBLIC_URL", f"https://me:{PASSWORD}@host"),
            ("PUBLIC_URL", f"ftp://me:{PASSWORD}@host"),
        ],
    )
    def test_a_refused_address_is_not_repeated_with_its_password(
        self, name: str, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(f"ORCHESTRATOR_{name}", value)
        (problem,) = problems()
        assert name.lower() in problem
        assert PASSWORD not in problem

    def test_broken_toml_is_named_by_file_and_line(self, tmp_path: Path) -> None:
        file = write(tmp_path, "port = 1\nhost = \n")
        (problem,) = problems()
        assert str(file) in problem
        assert "line 2" in problem

    def test_a_named_file_that_is_not_there_is_refused(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ORCHESTRATOR_CONFIG", "/nowhere/x.toml")
        assert "/nowhere/x.toml" in problems()[0]

    def test_variables_that_kubernetes_sets_for_a_service_are_not_ours(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ORCHESTRATOR_SERVICE_HOST", "10.0.0.1")
        monkeypatch.setenv("ORCHESTRATOR_PORT_8080_TCP", "tcp://10.0.0.1:8080")
        assert load().port == 8080
        monkeypatch.setenv("ORCHESTRATOR_PORT", "tcp://10.0.0.1:8080")
        assert "enableServiceLinks" in problems()[0]

    def test_a_bad_argument_is_refused(self) -> None:
        with pytest.raises(SettingsError, match="server_url") as caught:
            load().with_overrides(server_url="example")
        assert "argument" in caught.value.problems[0]


class TestSecrets:
    def test_no_view_of_the_settings_shows_a_secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ORCHESTRATOR_TOKEN", PASSWORD)
        monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", f"postgresql://app:{PASSWORD}@h:5432/db")
        settings = load()
        for view in (repr(settings), str(settings), str(settings.sources())):
            assert PASSWORD not in view
        assert origin_of(settings, "token")[0] == "[redacted]"
        assert origin_of(settings, "database_url")[0] == "postgresql://app:[redacted]@h:5432/db"

    def test_a_password_in_the_query_of_an_address_is_hidden_too(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = f"postgresql://h/db?user=app&password={PASSWORD}"
        monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", url)
        assert PASSWORD not in origin_of(load(), "database_url")[0]
