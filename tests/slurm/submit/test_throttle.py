"""So many at a time, over however many arrays."""

from __future__ import annotations

import pytest

from slurm.submit.throttle import Share, shares


def test_without_a_throttle_everything_may_run() -> None:
    assert shares(None, [5, 7]) == [Share(5), Share(7)]


@pytest.mark.parametrize(
    ("throttle", "sizes", "at_a_time"),
    [
        (4, [100, 100], [2, 2]),
        (5, [100, 100], [3, 2]),
        (10, [900, 100], [9, 1]),
        (10, [1000, 1, 1], [8, 1, 1]),
        (50, [20, 10], [20, 10]),
        (7, [3], [3]),
    ],
)
def test_arrays_share_by_size(throttle: int, sizes: list[int], at_a_time: list[int]) -> None:
    given = shares(throttle, sizes)
    assert [share.at_a_time for share in given] == at_a_time
    assert all(share.follows is None for share in given)
    assert sum(at_a_time) == min(throttle, sum(sizes))


def test_more_arrays_than_jobs_at_a_time_follow_each_other() -> None:
    given = shares(2, [5, 5, 5, 5, 5])
    assert given == [Share(1), Share(1), Share(1, 0), Share(1, 1), Share(1, 2)]
