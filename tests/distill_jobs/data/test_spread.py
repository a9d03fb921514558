"""A few of many."""

from distill_jobs.data.spread import spread


def test_a_few_come_from_everywhere():
    assert spread(range(10), 4) == [0, 2, 5, 7]
    assert spread([1, 2], 4) == [1, 2]
    assert spread([], 4) == []
