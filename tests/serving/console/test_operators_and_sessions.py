"""Who may do what: checked by the server before each act, whatever a page shows."""

import io
import zipfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from serving import words
from serving.access.authenticator import Authenticator
from serving.access.keys import mint
from serving.api.admin_models import DeployRequest
from serving.console.operator import Operator
from serving.console.services import Services
from serving.console.sessions import Session, Sessions
from serving.console.source import source_zip, sources
from serving.console.store_shelf import archives, reports
from serving.console.watch import Watch
from serving.controlplane.archives import ArchiveStore
from serving.controlplane.controller import Controller
from serving.dataplane.routing import pick
from serving.errors import InvalidField, PermissionDenied, Unauthenticated
from serving.store.rollouts_values import RolloutPlan
from serving.store.store import Store
from serving.store.values import Arm, ReleaseKey, Route, Scope

KEY = ReleaseKey(model="student", version="1.0")
ROUTE = Route(arms=(Arm(name="student", release=KEY, weight=100),))
ACTS: dict[str, Callable[[Operator], Awaitable[object]]] = {
    "set_route": lambda who: who.set_route(ROUTE, why="", expected_revision=0),
    "roll_back": lambda who: who.roll_back("default", why="", revision=1),
    "deploy": lambda who: who.deploy(DeployRequest(path="student-1.0.mar")),
    "retire": lambda who: who.retire(KEY, why=""),
    "start_rollout": lambda who: who.start_rollout(
        RolloutPlan(arm="student"), why="", expected_revision=1
    ),
    "move_rollout": lambda who: who.move_rollout("abcd", "pause", why="", at_stage=0),
}


async def operator(store: Store, folder: Path, scope: Scope, *, enabled: bool = True) -> Operator:
    key, _ = mint("somebody", scope)
    await store.add_key(key)
    kept = ArchiveStore(folder / "archives", model_store=folder, trusted_keys=())
    services = Services(
        controller=Controller(store, kept, [], holder="test"),
        store=store,
        authenticator=Authenticator(store, enabled=enabled),
        backends=(),
        model_store=folder,
        harvest_dir=None,
        image_limit_bytes=1000,
        pick=pick,
        watch=Watch(store),
    )
    return Operator(services, Session(key))


def test_every_act_is_tried() -> None:
    acts = {name for name in vars(Operator) if not name.startswith("_")}

    assert set(ACTS) == acts - {"key", "may", "look"}


@pytest.mark.parametrize("act", ACTS)
async def test_a_key_of_scope_detect_is_refused_by_the_server(
    store: Store, tmp_path: Path, act: str
) -> None:
    somebody = await operator(store, tmp_path, Scope.DETECT)

    with pytest.raises(PermissionDenied, match="scope detect; this needs operate"):
        await ACTS[act](somebody)

    assert await store.audit_log(10) == []


async def test_a_revoked_key_ends_its_session(store: Store, tmp_path: Path) -> None:
    somebody = await operator(store, tmp_path, Scope.ADMIN)
    await somebody.look(Scope.OPERATE)
    await store.revoke_key(somebody.key.id)

    with pytest.raises(Unauthenticated, match="revoked"):
        await somebody.look()

    assert somebody.session.is_over


async def test_an_open_page_ends_with_its_time(store: Store, tmp_path: Path) -> None:
    somebody = await operator(store, tmp_path, Scope.ADMIN)
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    session = sessions.find(sessions.begin(somebody.key))
    assert session is not None
    somebody.session = session
    await somebody.look(Scope.OPERATE)

    now[0] = timedelta(hours=13).total_seconds()

    with pytest.raises(Unauthenticated, match="your session has ended"):
        await somebody.look(Scope.OPERATE)
    await session.until_over()


async def test_a_reason_is_no_longer_than_the_admin_api_takes(store: Store, tmp_path: Path) -> None:
    somebody = await operator(store, tmp_path, Scope.OPERATE)

    with pytest.raises(InvalidField, match="why: 1,001 characters; say it in at most 1,000"):
        await somebody.retire(KEY, why="x" * 1001)


async def test_where_nobody_needs_a_key_everybody_may_act(store: Store, tmp_path: Path) -> None:
    somebody = await operator(store, tmp_path, Scope.DETECT, enabled=False)

    assert (await somebody.look(Scope.ADMIN)).name == "anonymous"


def test_a_session_ends_after_its_time_and_at_the_sign_out() -> None:
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    key, _ = mint("somebody", Scope.DETECT)
    first, second = sessions.begin(key), sessions.begin(key)
    session = sessions.find(first)
    assert session is not None

    sessions.end(first)
    assert session.is_over
    assert sessions.find(first) is None
    assert sessions.find("guessed") is None

    now[0] = timedelta(hours=13).total_seconds()
    assert sessions.find(second) is None


def test_a_key_ends_its_own_oldest_session_and_no_others() -> None:
    sessions = Sessions(lambda: 0.0)
    mine, theirs = (mint(name, Scope.DETECT)[0] for name in ("mine", "theirs"))
    other = sessions.begin(theirs)
    first, *rest = [sessions.begin(mine) for _ in range(21)]

    assert sessions.find(first) is None
    assert all(sessions.find(one) for one in rest)
    assert sessions.find(other) is not None


def test_sessions_that_are_over_are_forgotten() -> None:
    now = [0.0]
    sessions = Sessions(lambda: now[0])
    keys = [mint(f"key {number}", Scope.DETECT)[0] for number in range(3)]
    for key in keys:
        sessions.begin(key)

    now[0] = timedelta(hours=13).total_seconds()
    sessions.begin(keys[0])

    assert len(sessions) == 1


def test_the_source_is_what_runs_here() -> None:
    with zipfile.ZipFile(io.BytesIO(source_zip())) as archive:
        names = set(archive.namelist())
        mine = archive.read("understudy/serving/console/source.py")

    assert {"understudy/LICENSE", "understudy/proto/wire/v1/card.proto"} <= names
    assert "understudy/serving/console/templates/page.js.j2" in names
    assert mine == Path(source_zip.__code__.co_filename).read_bytes()
    assert not [name for name in names if name.endswith((".pyc", ".pt"))]


def test_the_source_holds_nothing_that_somebody_left_there(tmp_path: Path) -> None:
    package = tmp_path / "serving"
    (package / ".secret").mkdir(parents=True)
    for name in ("a.py", ".env", "admin.key", "notes.ipynb", "keys.yaml", ".secret/b.py", "c.py~"):
        (package / name).write_text("x")
    (package / "linked.py").symlink_to(tmp_path / "elsewhere.py")
    (tmp_path / "elsewhere.py").write_text("x")

    assert sources(package) == [package / "a.py"]


def test_a_report_is_found_beside_its_archive_and_nowhere_else(tmp_path: Path) -> None:
    shelf = tmp_path / "model_store"
    shelf.mkdir()
    (shelf / "student-1.0.mar").write_bytes(b"archive")
    (shelf / "student-1.0.report.html").write_text("gate")
    (tmp_path / "secret-1.0.report.html").write_text("secret")

    below = shelf / "old"
    below.mkdir()
    (below / "student-1.0.training.html").write_text("curves")
    (below / "student-1.0.report.html").write_text("of before")
    (below / "gone-1.0.mar").symlink_to(below / "nowhere")

    assert [one.path for one in archives(shelf)] == ["student-1.0.mar"]
    assert reports(shelf) == {
        "student-1.0": {
            "report": shelf / "student-1.0.report.html",
            "training": below / "student-1.0.training.html",
        }
    }


def test_numbers_carry_their_units() -> None:
    assert [words.milliseconds(one) for one in (0.0084, 0.0841, 1.2, None)] == [
        "8.4 ms",
        "84 ms",
        "1.20 s",
        words.NOTHING,
    ]
    # Not quite all, or not quite nothing, never reads as all or nothing.
    assert [words.percent(one) for one in (0.0, 0.0001, 0.5, 0.9999, 1.0, None)] == [
        "0.0%",
        "<0.1%",
        "50.0%",
        ">99.9%",
        "100.0%",
        words.NOTHING,
    ]
    assert [words.rate(one) for one in (0.44, 12.3)] == ["0.4/s", "12/s"]
    assert [words.weight(one) for one in (25.0, 100 / 3)] == ["25%", "33.33%"]
    assert [words.size(one) for one in (999, 133_000, 310e6, 4.2e9)] == [
        "999 B",
        "133 kB",
        "310 MB",
        "4.2 GB",
    ]
    assert sorted(["gate-10", "gate-2", "2", "door"], key=words.as_counted) == [
        "2",
        "door",
        "gate-2",
        "gate-10",
    ]
    assert words.listed([str(one) for one in range(9)]) == "0, 1, 2, 3, 4, 5 and 3 more"
