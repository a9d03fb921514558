"""How many threads a worker takes: its deployment's word, the environment's, or its share."""

from pathlib import Path

import pytest

from handlers.choice_memory import ChoiceMemory
from handlers.errors import BadSetting
from handlers.machine import Machine
from handlers.threads import threads_of

CORES = 8
WHOLE = Machine("x86_64", "", frozenset(), CORES)
LIMITED = Machine("x86_64", "", frozenset(), 4, is_limited=True)


@pytest.fixture(autouse=True)
def _nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNDERSTUDY_THREADS", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A private folder."""
    made = tmp_path / "choices"
    made.mkdir(mode=0o700)
    return made


def test_the_engine_chooses_where_nobody_asks(folder: Path) -> None:
    assert threads_of("card", None, WHOLE) is None
    assert threads_of("card", ChoiceMemory(folder), WHOLE) is None
    (folder / "workers-card").write_text("1")
    assert threads_of("card", ChoiceMemory(folder), WHOLE) is None


def test_a_containers_limit_counts_for_one_worker_and_for_several(folder: Path) -> None:
    assert threads_of("card", ChoiceMemory(folder), LIMITED) == 4

    (folder / "workers-card").write_text("2")
    assert threads_of("card", ChoiceMemory(folder), LIMITED) == 2


def test_several_workers_share_the_cores_and_each_has_one(folder: Path) -> None:
    (folder / "workers-card").write_text("2")
    assert threads_of("card", ChoiceMemory(folder), WHOLE) == CORES // 2

    (folder / "workers-card").write_text(str(CORES + 1))
    assert threads_of("card", ChoiceMemory(folder), WHOLE) == 1


def test_the_environment_goes_before_a_share_and_a_deployment_before_both(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "workers-card").write_text("2")
    monkeypatch.setenv("UNDERSTUDY_THREADS", "7")
    assert threads_of("card", ChoiceMemory(folder)) == 7

    (folder / "threads-card").write_text("5")
    assert threads_of("card", ChoiceMemory(folder)) == 5
    assert threads_of("another", ChoiceMemory(folder)) == 7


@pytest.mark.parametrize("said", ["0", "-1", "many", "1.5"])
def test_what_is_no_number_of_threads_is_refused(folder: Path, said: str) -> None:
    (folder / "threads-card").write_text(said)

    with pytest.raises(BadSetting, match="threads-card: must be a whole number above 0"):
        threads_of("card", ChoiceMemory(folder))
