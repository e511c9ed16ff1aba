"""What the pages tell people to type is what the command line understands."""

from __future__ import annotations

import html
import re
import shlex

import pytest
import typer

from orchestrator.api.pages.shell import TEMPLATES
from orchestrator.cli.main import app

SHOWN = re.compile(r"orchestrator (?!serve|schedules<)[a-z-]+ [a-z-]+ [^<\n]+")
COMMANDS = sorted(
    {
        html.unescape(found)
        for path in TEMPLATES.glob("*.html")
        for found in SHOWN.findall(path.read_text(encoding="utf-8"))
    }
)


def test_there_are_some() -> None:
    assert len(COMMANDS) >= 4


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_on_pages_are_understood(line: str) -> None:
    group, name, *rest = shlex.split(line)[1:]
    root = typer.main.get_command(app)
    folder = root.commands[group]  # type: ignore[attr-defined] # a group has commands
    context = folder.commands[name].make_context(name, rest)
    assert context.params
