"""The README is true: every setting is in its table, and every command exists as typed."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields

import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import app
from orchestrator.providers.base import Capabilities, Provider
from orchestrator.providers.registry import Cloud
from orchestrator.providers.sagemaker import options
from orchestrator.providers.sagemaker.choices import Choices
from orchestrator.settings import PREFIX, Settings
from tests.support.program import ROOT, shell_lines

README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "docs/sagemaker.md").read_text()
DOCUMENTS = (
    *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "benchmarks/README.md"),
    *("docs/sagemaker.md", "docs/new-cloud.md"),
)
# Defaults that are computed when the program starts.
COMPUTED = {
    "state_dir": "`~/.local/state/orchestrator`",
    "database_url": "`orchestrator.db` in the state folder",
}


def settings_table() -> list[str]:
    rows = []
    for name, field in Settings.model_fields.items():
        plain = field.default
        shown = (
            ",".join(plain)
            if isinstance(plain, tuple)
            else f"{plain:g}"
            if isinstance(plain, float)
            else plain
        )
        default = COMPUTED.get(name) or (f"`{shown}`" if shown not in (None, "") else "")
        rows.append(
            f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |".replace("|  |", "| |")
        )
    return rows


def command_lines() -> list[str]:
    texts = (README, GUIDE)
    inline = [line for text in texts for line in re.findall(r"`(orchestrator [a-z][^`]*)`", text)]
    typed = [line for text in texts for line in shell_lines(text)]
    lines = [line for line in typed if line.startswith("orchestrator ")]
    return list(dict.fromkeys(lines + inline))


def rows_after(text: str, heading: str) -> list[str]:
    """Return the rows of the table that begins with this heading."""
    return text[text.index(heading) :].split("\n\n", 1)[0].splitlines()[2:]


def names_of(rows: list[str]) -> set[str]:
    """Return what stands in code marks in the first column."""
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_the_table_of_settings_is_what_the_program_knows() -> None:
    shown = rows_after(README, "| Variable | Default | Meaning |")
    assert shown == settings_table(), "\n".join(["write this table:", *settings_table()])


@pytest.mark.parametrize("line", command_lines())
def test_every_command_exists_with_its_options(line: str) -> None:
    done = CliRunner().invoke(app, [*shlex.split(line)[1:], "--help"])
    assert done.exit_code == 0, done.output
    assert "Usage:" in done.output


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for document in DOCUMENTS:
        text = (ROOT / document).read_text()
        named = re.findall(r"(?:^|`)make ([a-z]+)", text, flags=re.MULTILINE)
        assert set(named) <= targets, document


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_is_linked_exists(document: str) -> None:
    text = (ROOT / document).read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (ROOT / document).parent.joinpath(target).exists(), target


def test_the_guide_names_every_option_of_an_account() -> None:
    told = names_of(rows_after(GUIDE, "| Option | Default | Meaning |"))
    assert told == set(options.KNOWN) - {"initializing_billing"}


def test_the_guide_names_every_option_of_a_spec() -> None:
    told = names_of(rows_after(GUIDE, "| Option of a spec | Meaning |"))
    assert told == {field.name for field in fields(Choices)}


def test_the_guide_to_a_new_cloud_names_the_whole_protocol() -> None:
    guide = (ROOT / "docs/new-cloud.md").read_text()
    methods = {name for name in vars(Provider) if not name.startswith("_")}
    rows = rows_after(guide, "| Member | What it has to do |")
    told = {name for row in rows for name in re.findall(r"^\| `(\w+)", row)}
    assert told == methods | {"capabilities"}
    known = names_of(rows_after(guide, "| Field | Set it when |"))
    assert known == {field.name for field in fields(Capabilities)}
    assert all(f"    {field.name}=" in guide for field in fields(Cloud))


def test_the_readme_speaks_of_compose_as_it_is() -> None:
    needed = re.findall(r"\$\{([A-Z_]+):\?", (ROOT / "docker-compose.yml").read_text())
    assert needed
    assert all(f"{name}=" in README for name in needed)


def test_every_benchmark_is_described() -> None:
    described = (ROOT / "benchmarks/README.md").read_text()
    found = sorted(path.name for path in (ROOT / "benchmarks").glob("bench_*.py"))
    assert found == sorted(re.findall(r"^\| `(bench_\w+\.py)`", described, flags=re.MULTILINE))
