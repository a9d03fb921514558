"""Workers and threads share the cores, and there is memory for the workers."""

import pytest

from serving.tuning.space import WORKER_BYTES, Layout, layouts

ENOUGH = 100 * WORKER_BYTES


@pytest.mark.parametrize("cores", [1, 2, 3, 4, 6, 7, 16, 48, 96])
def test_workers_times_threads_never_exceed_the_cores(cores: int) -> None:
    found = layouts(cores, ENOUGH)

    assert found[0] == Layout(1, cores)
    assert all(one.workers * one.threads <= cores for one in found)
    assert Layout(min(cores, 64), 1) in found or cores > 64
    assert len(set(found)) == len(found)


def test_more_threads_than_cores_are_tried_where_that_was_asked_for() -> None:
    modest, bold = layouts(4, ENOUGH), layouts(4, ENOUGH, oversubscribe=True)

    assert bold[: len(modest)] == modest
    assert Layout(2, 4) in bold
    assert all(one.workers * one.threads <= 8 for one in bold)


def test_no_more_workers_are_tried_than_memory_holds() -> None:
    assert max(one.workers for one in layouts(16, 3 * WORKER_BYTES)) == 3
    assert layouts(16, 0) == (Layout(1, 16),)


def test_a_core_may_be_left_for_the_server_itself() -> None:
    assert layouts(2, ENOUGH) == (Layout(1, 2), Layout(2, 1), Layout(1, 1))
