"""A real PostgreSQL for tests: its own folder, a Unix socket there, no port."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import psycopg

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
# What a crash of the machine would lose is of no interest here.
_OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


@dataclass(frozen=True)
class PostgresServer:
    """A running server.

    Attributes:
        folder: Holds its data, its log, and its socket.
        pid: Of the server.
    """

    folder: Path
    pid: int

    def new_database(self) -> str:
        """Make an empty database and return the store's URL of it."""
        name = f"understudy_{uuid.uuid4().hex}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def connect(self) -> psycopg.Connection:
        """Return an administrator's connection."""
        return psycopg.connect(
            host=str(self.folder), user="postgres", dbname="postgres", autocommit=True
        )


@contextmanager
def postgres_server(
    inside: Sequence[str] = (), listen: str = "", trusted: str = ""
) -> Iterator[PostgresServer]:
    """Start PostgreSQL in a new folder; stop it and remove the folder at the end.

    Args:
        inside: The command that runs its own on another host.
        listen: Address there that it listens on too; "": the socket alone.
        trusted: Network whose hosts are let in, as in 10.0.0.0/24.

    Raises:
        RuntimeError: It is not installed, or did not start.
    """
    programs = _programs()
    # Not in pytest's folder: PostgreSQL refuses root, and its own user may not go in there.
    folder = Path(tempfile.mkdtemp(prefix="understudy-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        data = folder / "data"
        _run(programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8")
        if trusted:
            with (data / "pg_hba.conf").open("a") as rules:
                rules.write(f"host all all {trusted} trust\n")
        with (folder / "log").open("wb") as log:
            process = _started([*inside, *_as_postgres(programs / "postgres")], folder, listen, log)
            try:
                server = PostgresServer(folder, process.pid)
                _wait_until_up(server, process)
                yield server
            finally:
                process.send_signal(signal.SIGINT)  # ends open connections too
                process.wait(_STOP_TIMEOUT_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        raise RuntimeError(
            "PostgreSQL is not installed, and the store is tested on it too: "
            "apt-get install postgresql"
        )
    return found[-1].parent if found else Path(str(on_path)).parent


def _as_postgres(*command: object) -> list[str]:
    """Return the command as a user that PostgreSQL accepts, ended when the tests are killed."""
    user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", "--pdeathsig=INT", *user, *map(str, command)]


def _run(*command: object) -> None:
    ran = subprocess.run(
        [*_as_postgres(*command), "--no-locale", "--no-sync"],
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
    )
    if ran.returncode != 0:
        raise RuntimeError(f"initdb failed: {ran.stdout}{ran.stderr}")


def _started(
    program: list[str], folder: Path, listen: str, log: BinaryIO
) -> subprocess.Popen[bytes]:
    options = [part for option in _OPTIONS for part in ("-c", option)]
    where = ["-D", folder / "data", "-k", folder, "-c", f"listen_addresses={listen}"]
    command = [*program, *map(str, where), *options]
    return subprocess.Popen(command, stdout=log, stderr=log, cwd="/")


def _wait_until_up(server: PostgresServer, process: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            server.connect().close()
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > give_up_at:
                log = (server.folder / "log").read_text()
                raise RuntimeError(f"PostgreSQL did not start: {log}") from error
            time.sleep(0.05)
        else:
            return
