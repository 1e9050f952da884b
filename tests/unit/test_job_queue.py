"""The queue when its disk is slow or full; the rest of it is tested over HTTP."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from savu_api.engines import Engine, Engines
from savu_api.jobs.job import Job
from savu_api.jobs.queue import JobQueue
from savu_api.jobs.runner import Ended, Run
from savu_api.jobs.store import JobStore

SOON = 60.0


@dataclass
class ToldRunner:
    """Runs nothing: each run ends when the test says so."""

    ends: dict[str, asyncio.Future[Ended]] = field(default_factory=dict)

    async def submit(self, run: Run) -> None:
        self.ends[run.job_id] = asyncio.get_running_loop().create_future()

    async def poll(self, job_id: str, wait: float) -> Ended | None:
        done, _ = await asyncio.wait([self.ends[job_id]], timeout=wait)
        return self.ends[job_id].result() if done else None

    async def cancel(self, job_id: str, *, patience: float) -> None:
        if job_id in self.ends and not self.ends[job_id].done():
            self.ends[job_id].set_result(Ended(-15))

    def clear(self, job_ids: Sequence[str]) -> None:
        pass


@pytest.fixture
def runner() -> ToldRunner:
    return ToldRunner()


@pytest_asyncio.fixture
async def queue(tmp_path: Path, runner: ToldRunner) -> AsyncIterator[JobQueue]:
    engines = Engines([Engine("builtin", available=True, argv=("true",))])
    queue = JobQueue(tmp_path / "jobs", engines, runner)
    await queue.start()
    yield queue
    await queue.stop()


def a_job(folder: Path, name: str) -> Job:
    output = folder / name
    output.mkdir()
    return Job(
        id=name,
        queue="full",
        sequence=0,
        state="queued",
        process_list="/d/list.nxs",
        dataset="/d/scan.nxs",
        output=str(output),
        engine="builtin",
        submitted="2026-11-24T02:00:00.000Z",
    )


async def begun(runner: ToldRunner, job_id: str) -> None:
    async with asyncio.timeout(SOON):
        while job_id not in runner.ends:
            await asyncio.sleep(0.01)


async def until(queue: JobQueue, job_id: str, *states: str) -> None:
    async with asyncio.timeout(SOON):
        while queue.get("full", job_id).state not in states:
            await asyncio.sleep(0.01)


async def test_a_job_that_is_forgotten_as_soon_as_it_ended_holds_nothing_up(
    tmp_path: Path, queue: JobQueue, runner: ToldRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk takes its time: meanwhile the job has ended, and its end is not stored yet."""
    await queue.submit(a_job(tmp_path, "first"))
    await begun(runner, "first")
    storing, released = threading.Event(), threading.Event()
    save = JobStore.save

    def slow_save(store: JobStore, job: Job) -> None:
        if job.id == "second" and not storing.is_set():
            storing.set()
            assert released.wait(SOON)
        save(store, job)

    monkeypatch.setattr(JobStore, "save", slow_save)
    submitting = asyncio.create_task(queue.submit(a_job(tmp_path, "second")))
    assert await asyncio.to_thread(storing.wait, SOON)
    runner.ends["first"].set_result(Ended(1))
    await until(queue, "first", "failed")
    forgetting = asyncio.create_task(queue.forget("full", "first"))
    await asyncio.sleep(0)
    released.set()
    await asyncio.wait_for(asyncio.gather(submitting, forgetting), SOON)
    await begun(runner, "second")
    assert [job.id for job in queue.all()] == ["second"]
    assert [file.name for file in (tmp_path / "jobs").glob("*.json")] == ["second.json"]


async def test_an_end_that_found_the_disk_full_is_stored_once_there_is_room(
    tmp_path: Path, queue: JobQueue, runner: ToldRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queue.submit(a_job(tmp_path, "first"))
    await begun(runner, "first")
    with monkeypatch.context() as full:

        def no_space(store: JobStore, job: Job) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        full.setattr(JobStore, "save", no_space)
        runner.ends["first"].set_result(Ended(3))
        await until(queue, "first", "failed")
    second = await queue.submit(a_job(tmp_path, "second"))
    await until(queue, second.id, "running")
    await queue.stop()
    stored = {job.id: job for job in JobStore(tmp_path / "jobs").load()}
    assert (stored["first"].state, stored["first"].exit_code) == ("failed", 3)
