"""The store is a PostgreSQL: read-only, stopped for a while, stopped for longer than a lease."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from cameras_that_watch import Cameras, log_of
from deployment import Deployment, deployed
from postgres_server import PostgresServer, postgres_server

pytestmark = pytest.mark.slow

# Gateways serve by what they know for so long, and then no more: see `serving.dataplane.fence`.
LEASE_S = 60.0
# Each write ends with the error that a standby gives.
READ_ONLY = (
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
    "'cannot write in a read-only transaction' USING ERRCODE = 'read_only_sql_transaction'; "
    "END $$",
    "DO $$ DECLARE one text; BEGIN FOR one IN SELECT tablename FROM pg_tables "
    "WHERE schemaname = 'public' LOOP EXECUTE format('CREATE TRIGGER refuse BEFORE INSERT OR "
    "UPDATE OR DELETE ON %I EXECUTE FUNCTION refuse()', one); END LOOP; END $$",
)


class Database:
    """A PostgreSQL that can be stopped and started again."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.store_url = server.new_database()
        self._started: subprocess.Popen[bytes] | None = None
        self._command = psutil.Process(server.pid).cmdline()

    def administrator(self) -> psycopg.Connection:
        """Return a connection to the store's own database."""
        url = self.store_url.replace("postgresql+psycopg", "postgresql")
        return psycopg.connect(url, autocommit=True)

    def stop(self) -> None:
        postmaster = self._started or psutil.Process(self.server.pid)
        postmaster.send_signal(signal.SIGQUIT)  # as in a crash: connections are cut at once
        with suppress(psutil.NoSuchProcess):
            postmaster.wait(30)

    def start(self) -> None:
        user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
        become = ["setpriv", "--pdeathsig=INT", *(user if os.geteuid() == 0 else [])]
        with (self.server.folder / "log").open("ab") as log:
            self._started = subprocess.Popen(
                [*become, *self._command], stdout=log, stderr=log, cwd="/"
            )

    def end(self) -> None:
        if self._started is not None:
            self._started.send_signal(signal.SIGINT)
            self._started.wait(30)


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with postgres_server() as server:
        database = Database(server)
        yield database
        database.end()


@pytest.fixture(scope="module")
def alone(
    tmp_path_factory: pytest.TempPathFactory, archives: Any, database: Database
) -> Iterator[Deployment]:
    folder = tmp_path_factory.mktemp("postgresql")
    with deployed(folder, archives, UNDERSTUDY_STORE_URL=database.store_url) as running:
        running.deploy("student")
        running.set_route(student=100)
        yield running


def make_key(alone: Deployment) -> httpx.Response:
    """Change something, which may fail."""
    return httpx.post(
        f"{alone.addresses.admin_url}/admin/v1/keys",
        json={"name": "new", "scope": "detect"},
        headers=alone.bearer,
        timeout=60,
    )


def test_a_store_that_can_only_be_read_changes_nothing_for_cameras(
    alone: Deployment, watching: Cameras, database: Database
) -> None:
    """As after a failover to a standby that was not promoted."""

    with database.administrator() as administrator:
        for statement in READ_ONLY:
            administrator.execute(statement)
        alone.until(lambda: make_key(alone).status_code == 503)
        refused = make_key(alone)
        watching.see(40)
        administrator.execute("DROP FUNCTION refuse CASCADE")

    assert refused.json()["error"]["message"].startswith("the store does not answer, or takes")
    alone.until(lambda: make_key(alone).is_success)
    assert set(watching.codes()) == {"ok"}


def test_no_camera_sees_a_database_that_is_away_for_less_than_a_minute(
    alone: Deployment, watching: Cameras, database: Database
) -> None:
    database.stop()
    refused = make_key(alone)
    alone.until(lambda: "serving by the last route" in log_of(alone))
    watching.see(40)
    database.start()

    assert refused.status_code == 503
    assert refused.headers["Retry-After"]
    alone.until(lambda: make_key(alone).is_success)
    alone.set_route(student=100)
    assert set(watching.codes()) == {"ok"}


def test_cameras_are_told_to_come_back_when_it_is_away_for_longer_and_are_answered_then(
    alone: Deployment, watching: Cameras, database: Database, image: bytes
) -> None:
    database.stop()
    began = time.monotonic()
    alone.until(lambda: set(watching.codes()) == {"ok", "backend_unavailable"}, LEASE_S + 30)
    went_on_s = time.monotonic() - began
    told = alone.detect(image, camera_id="camera-1")
    ready = alone.get("/readyz")
    database.start()

    assert went_on_s > LEASE_S - 10
    assert told.status_code == 503
    assert told.headers["Retry-After"]
    assert "store" in told.json()["error"]["message"]
    assert ready.status_code == 503
    watching.until_all_answered()
    alone.until(lambda: make_key(alone).is_success)
