"""Looks into HDF5 files that end badly cost nothing but themselves."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Iterator

import pytest
from savu_api import apart as module
from savu_api.apart import LookFailed, apart
from savu_format.process_list import NotAProcessList, ProcessList, Step, parse, serialize


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    while module._waiting:
        module._waiting.pop().end()


def test_results_and_errors_come_through() -> None:
    steps = (Step("1", "Invert", "savu.plugins.filters.invert", True, {"mode": None}),)
    content = apart(serialize, ProcessList(steps))
    assert apart(parse, content).steps == steps
    with pytest.raises(NotAProcessList, match="not an HDF5 file"):
        apart(parse, b"no list")
    with pytest.raises(FileNotFoundError):
        apart(os.stat, "/no/such/file")


def test_a_look_without_end_is_ended_and_the_next_one_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(LookFailed):
        apart(sum, itertools.count())
    assert apart(max, 3, 5) == 5


def test_a_crash_is_told_and_the_next_look_answered() -> None:
    with pytest.raises(LookFailed):
        apart(os.abort)
    assert apart(max, 3, 5) == 5


def test_a_look_at_storage_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert apart(max, 3, 5) == 5  # started before the patience ends
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    with pytest.raises(LookFailed, match="no answer"):
        apart(time.sleep, 600)


def test_a_process_that_died_while_it_waited_is_replaced() -> None:
    pid = apart(os.getpid)
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert apart(os.getpid) != pid


def test_what_needs_too_much_memory_is_an_error_and_no_more() -> None:
    with pytest.raises(MemoryError):
        apart(bytes, 4 * 2**30)
