"""For developers: writes the next migration by comparing the tables with the last one."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from orchestrator.store import migrate
from orchestrator.store.database import Database


def main() -> None:
    """Write one file into `versions/`; review it before it is committed."""
    parser = argparse.ArgumentParser(prog="make migration", description=__doc__)
    parser.add_argument("message", help="what it changes, in a few words")
    message = parser.parse_args().message
    if not message.strip():
        parser.error('give a message: make migration MESSAGE="add a column"')
    sys.stdout.write(f"{write_migration(message)}\n")


def write_migration(message: str) -> Path:
    """Return the new file; it is numbered after the newest one."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/schema.db")
        try:
            return migrate.revise(database, message)
        finally:
            database.dispose()


if __name__ == "__main__":
    main()
