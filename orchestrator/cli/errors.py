"""How a command ends: one line for people, one exit code for programs."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command; scripts may rely on them.

    PARTIAL: what was read is shown, and something else could not be read. DIFFERS: a dry run that
    was asked to say so by its exit code found something to change.
    """

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    AUTH = 5
    UNREACHABLE = 6
    FAILED = 7
    TIMED_OUT = 8
    PARTIAL = 9
    DIFFERS = 10


class CliError(Exception):
    """A command cannot go on; shown as `error: message (remedy)`."""

    def __init__(self, message: str, code: ExitCode, remedy: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy

    def line(self) -> str:
        """Return the one line that is shown."""
        return f"error: {self}" + (f" ({self.remedy})" if self.remedy else "")
