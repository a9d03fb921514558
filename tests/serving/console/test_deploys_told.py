"""What the dialog says of a deploy."""

from datetime import UTC, datetime
from typing import Any

import pytest

from serving.api.admin_models import DeployRequest
from serving.console.deploys import consequences, release_in
from serving.errors import ReleaseBusy
from serving.store.values import Release, ReleaseKey, ReleaseState

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = ReleaseKey(model="student", version="1.0")
LOADED = Release(
    key=KEY,
    sha256="",
    role="student",
    class_names=("cell",),
    operating_thresholds=(0.25,),
    quality_measured=True,
    state=ReleaseState.STANDBY,
    workers=4,
    created=NOW,
    updated=NOW,
)


def wanted(**others: Any) -> DeployRequest:
    return DeployRequest(path="student-1.0.mar", **others)


def test_an_archive_that_is_new_is_checked_and_warmed() -> None:
    said = consequences(wanted(workers=2), None, 3)

    assert said[1].startswith("It is loaded on 2 workers of 3 backends, and must answer its golden")


def test_of_a_loaded_one_it_says_that_it_is_resized_and_nothing_of_checks() -> None:
    assert consequences(wanted(workers=1), LOADED, 3) == [
        "student-1.0 is loaded already: it goes from 4 to 1 workers on each of 3 backends. No "
        "camera moves.",
        "Whatever moves to it later finds so many fewer, a rollback too.",
    ]
    assert len(consequences(wanted(workers=8), LOADED, 3)) == 1


@pytest.mark.parametrize("workers", [None, 4])
def test_what_is_so_already_is_no_change(workers: int | None) -> None:
    assert consequences(wanted(workers=workers), LOADED, 3) == []


def test_what_the_server_would_refuse_is_refused_before() -> None:
    with pytest.raises(ReleaseBusy, match=r"batch_size: student-1\.0 is loaded with 8, not 2"):
        consequences(wanted(workers=4, batch_size=2), LOADED, 3)


@pytest.mark.parametrize(
    ("path", "key"), [("old/student-1.0.mar", KEY), ("student.mar", None), ("", None)]
)
def test_an_archive_is_known_by_its_name(path: str, key: ReleaseKey | None) -> None:
    assert release_in(path) == key
