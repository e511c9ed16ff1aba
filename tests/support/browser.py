"""Finds a browser for the tests of the dashboard; run as a program it only says if there is one."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> Path | None:
    """Return a Chromium or Chrome: from the path, or one that Playwright has installed."""
    for program in PROGRAMS:
        found = shutil.which(program)
        if found:
            return Path(found)
    store = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache/ms-playwright")
    return max(store.glob("chromium*/chrome-linux*/chrome"), default=None)


if __name__ == "__main__":
    sys.exit(find_browser() is None)
