"""What a release takes out of the model store again: its own archive, and no other."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from distill_jobs.errors import ArchiveFailed
from distill_jobs.progress import Silent
from distill_jobs.release import archive, claim
from distill_jobs.release.build import build_release, publish_staged
from distill_jobs.release.request import ReleaseRequest

Make = Callable[..., ReleaseRequest]


def test_an_archive_whose_report_cannot_be_kept_is_taken_back(request_for: Make) -> None:
    request = request_for(publish=False)
    build_release(request, Silent())
    (request.work_dir / "report.html").rename(request.work_dir / "aside.html")

    with pytest.raises(ArchiveFailed, match=r"tiny-1\.0\.mar was taken back: .*report\.html"):
        publish_staged(request)

    assert list(request.model_store.iterdir()) == []
    (request.work_dir / "aside.html").rename(request.work_dir / "report.html")
    assert publish_staged(request).archive.exists()


def test_the_same_job_in_another_folder_loses_nothing_to_a_killed_run(
    request_for: Make, tmp_path: Path
) -> None:
    """Two runs of one job train equal checkpoints, bit for bit."""
    killed = request_for(publish=False)
    build_release(killed, Silent())
    publish_staged(killed)
    published = archive.path_in(killed.model_store, killed.key)
    archive.remove(published)  # the run was killed and its archive gone, and then
    other = replace(killed, work_dir=tmp_path / "other")
    build_release(other, Silent())
    publish_staged(other)

    claim.withdraw(published, killed.work_dir)
    assert published.exists()
    claim.withdraw(published, tmp_path / "never-released")
    assert published.exists()
    claim.withdraw(published, other.work_dir)
    assert list(killed.model_store.iterdir()) == []
