"""File work that hangs: said in time, and nothing else waits for it."""

from __future__ import annotations

import asyncio
import threading

import pytest
from savu_api import blocking
from savu_api.problems import Problem


async def test_results_and_errors_come_through() -> None:
    assert await blocking.in_thread(max, 3, 5) == 5
    with pytest.raises(FileNotFoundError):
        await blocking.in_thread(open, "/no/such/file")


async def test_storage_that_hangs_is_said_and_its_thread_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blocking, "PATIENCE", 0.1)
    released = threading.Event()
    try:
        with pytest.raises(Problem) as caught:
            await blocking.in_thread(released.wait)
        assert (caught.value.status, caught.value.code) == (504, "storage-timeout")
        assert await blocking.in_thread(max, 3, 5) == 5
    finally:
        released.set()


async def test_no_more_threads_than_allowed_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking, "PATIENCE", 0.2)
    released = threading.Event()
    before = threading.active_count()
    try:
        answers = await asyncio.gather(
            *(blocking.in_thread(released.wait) for _ in range(3 * blocking.AT_ONCE)),
            return_exceptions=True,
        )
        assert all(isinstance(answer, Problem) for answer in answers)
        assert threading.active_count() - before <= blocking.AT_ONCE
    finally:
        released.set()
