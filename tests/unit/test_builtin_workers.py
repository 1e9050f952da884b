"""Work over several processes: in order, whatever its size, and never waiting for the dead."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest
from savu_builtin.errors import StepFailed
from savu_builtin.workers import Workers

LARGE = np.ones(2_000_000, np.float32)
"""More than any pipe holds: who sends it waits for who reads it."""


def double(array: np.ndarray) -> np.ndarray:
    return array * 2


def slow_first(item: int) -> int:
    time.sleep(0.1 if item == 0 else 0)
    return item


def fail(item: int) -> int:
    raise OSError(f"no {item}")


def die(item: int) -> int:
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


@pytest.mark.parametrize("cores", [1, 2, 3])
def test_results_come_in_order(cores: int) -> None:
    with Workers(cores) as workers:
        assert list(workers.map(slow_first, range(20))) == list(range(20))


def test_large_arrays_go_both_ways() -> None:
    with Workers(2) as workers:
        for result in workers.map(double, [LARGE] * 6):
            assert result.sum() == 2 * LARGE.size


def test_functions_own_error_is_raised() -> None:
    with Workers(2) as workers, pytest.raises(OSError, match="no 0"):
        list(workers.map(fail, range(4)))


def test_killed_process_is_told_and_the_next_map_has_new_ones() -> None:
    with Workers(2) as workers:
        with pytest.raises(StepFailed, match="the memory ran out"):
            list(workers.map(die, range(20)))
        assert list(workers.map(slow_first, range(4))) == [0, 1, 2, 3]


@pytest.mark.parametrize("moment", range(8))
def test_process_killed_while_large_arrays_are_on_their_way_is_told(moment: int) -> None:
    with Workers(2) as workers:
        results = workers.map(double, [LARGE] * 50)
        next(results)
        victim = workers._workers[moment % 2]._process
        time.sleep(moment / 1000)
        os.kill(victim.pid or 0, signal.SIGKILL)
        with pytest.raises(StepFailed, match="the memory ran out"):
            list(results)


def test_map_that_is_left_early_leaves_nothing_for_the_next() -> None:
    with Workers(2) as workers:
        results = workers.map(slow_first, range(10))
        assert next(results) == 0
        results.close()
        assert list(workers.map(slow_first, range(5))) == [0, 1, 2, 3, 4]
