"""What the container files promise: no root, no secret, health checks, loopback only."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = (ROOT / "docker-compose.yml").read_text()
# A value that must come from outside, and stops the start with a message when it does not.
REQUIRED = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")
SECRET_NAME = re.compile(r"(?i)password|passwd|secret|token|credential|api_?key")


def instructions() -> list[tuple[str, str]]:
    joined = DOCKERFILE.replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines()]
    split = [line.split(None, 1) for line in lines if line and not line.startswith("#")]
    return [(word.upper(), rest) for word, rest in split]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    start = max(index for index, (word, _) in enumerate(found) if word == "FROM")
    return found[start:]


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"][name]
    return found


def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(COMPOSE)
    return content


def test_image_runs_as_a_numbered_ordinary_user_from_the_start() -> None:
    words = [word for word, _ in last_stage()]
    users = [rest for word, rest in last_stage() if word == "USER"]
    assert users == ["10001:10001"]
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert "RUN" not in words[words.index("USER") :]


def test_image_installs_only_what_the_lock_names() -> None:
    installs = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    assert len(installs) == 2
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)
    assert not [rest for word, rest in last_stage() if word == "RUN" and "install" in rest]


def test_image_checks_its_own_health_with_what_it_has() -> None:
    check = next(rest for word, rest in last_stage() if word == "HEALTHCHECK")
    assert "/healthz" in check
    assert 'CMD ["python", "-c"' in check
    program = check.split('"-c", "', 1)[1].rsplit('"]', 1)[0].replace('\\"', '"')
    compile(program, "HEALTHCHECK", "exec")


def test_image_starts_the_server_by_default_without_a_shell() -> None:
    stage = dict(last_stage())
    assert stage["ENTRYPOINT"] == '["orchestrator"]'
    assert stage["CMD"] == '["serve", "--host", "0.0.0.0"]'


def test_image_takes_in_nothing_that_is_not_listed() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line]
    assert ignored[1] == "*"
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied: set[str] = set()
    for word, rest in instructions():
        if word == "COPY" and "--from" not in rest:
            copied.update(shlex.split(rest)[:-1])
    assert {path.removeprefix("./") for path in copied} == allowed
    assert all((ROOT / path).exists() for path in allowed)


@pytest.mark.parametrize("text", [DOCKERFILE, COMPOSE], ids=["Dockerfile", "docker-compose.yml"])
def test_no_secret_is_written_down(text: str) -> None:
    for line in text.splitlines():
        value = re.split(r"[:=]\s*", line, maxsplit=1)[-1]
        if SECRET_NAME.search(line.split(":")[0].split("=")[0]) and not line.lstrip().startswith(
            "#"
        ):
            assert REQUIRED.fullmatch(value.strip()), line
    assert not re.search(r"://[^\s:/]+:(?!\$\{)[^\s@]+@", text)


def test_secrets_stay_out_of_the_repository_and_the_image() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert "!.env" not in (ROOT / ".dockerignore").read_text()


def test_every_published_port_is_on_loopback() -> None:
    published = {name: one.get("ports", []) for name, one in compose()["services"].items()}
    assert published.pop("api") == ["127.0.0.1:8080:8080"]
    assert not any(published.values())


def test_program_runs_without_rights_it_does_not_need() -> None:
    for name in ("migrate", "api", "worker"):
        assert service(name)["cap_drop"] == ["ALL"]
        assert service(name)["read_only"] is True
        assert service(name)["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service(name)
        assert "user" not in service(name)


def test_one_schema_upgrade_runs_before_api_and_worker() -> None:
    assert service("migrate")["command"] == ["db", "upgrade"]
    assert service("migrate")["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("api", "worker"):
        waits = service(name)["depends_on"]
        assert waits["postgres"] == {"condition": "service_healthy"}
        assert waits["migrate"] == {"condition": "service_completed_successfully"}


def test_api_leaves_the_engine_to_the_worker() -> None:
    assert service("api")["command"] == ["serve", "--no-engine", "--host", "0.0.0.0"]
    assert service("worker")["command"] == ["worker"]


def test_postgres_has_a_health_check_and_keeps_its_data() -> None:
    postgres = service("postgres")
    assert postgres["image"] == "postgres:17"
    assert "pg_isready" in postgres["healthcheck"]["test"]
    assert postgres["volumes"] == ["database:/var/lib/postgresql/data"]
    assert "database" in compose()["volumes"]


def test_every_variable_of_compose_is_compulsory_and_says_so() -> None:
    found = re.findall(r"\$\{[^}]*\}", COMPOSE)
    assert found
    assert all(REQUIRED.fullmatch(one) for one in found)


def test_compose_uses_only_keys_that_exist() -> None:
    known = {
        "build",
        "image",
        "env_file",
        "environment",
        "read_only",
        "tmpfs",
        "cap_drop",
        "security_opt",
        "volumes",
        "healthcheck",
        "restart",
        "command",
        "depends_on",
        "ports",
        "stop_grace_period",
    }
    assert set(compose()) == {"name", "x-program", "services", "volumes"}
    for one in compose()["services"].values():
        assert set(one) <= known
        for volume in one.get("volumes", []):
            assert volume.split(":")[0] in compose()["volumes"]
