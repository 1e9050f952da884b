"""Which job runs next, and what becomes of the running ones.

::

    queue = JobQueue(state_dir / "jobs", engines)
    await queue.start()            # reads the list back, goes on with what was queued
    job = await queue.submit(job)  # made by submission.prepare
    await queue.stop()             # running jobs fail with a sentence, queued ones wait for a start

All methods belong to the event loop; whatever touches a file system runs in a thread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from savu_api.engines import Engines
from savu_api.jobs import outcome
from savu_api.jobs.events import Event, Events
from savu_api.jobs.follow import LogFollower, last_lines
from savu_api.jobs.job import KILLSIGNAL, QUEUES, Job, QueueName, ended, now, to_json
from savu_api.jobs.local import LocalRunner
from savu_api.jobs.result import find_output_dataset, find_result
from savu_api.jobs.runner import Ended, Run, Runner
from savu_api.jobs.store import JobStore
from savu_api.jobs.submission import discard, open_to_group
from savu_api.jobs.user_log import UserLog, progress, read_line

log = logging.getLogger(__name__)

AT_ONCE: Final[Mapping[QueueName, int]] = {"preview": 1, "full": 1}
"""Jobs of each queue that run at a time: a preview never waits for a long run."""

POLL_SECONDS: Final = 0.4
"""Between two looks at a running job's log."""

CANCEL_SECONDS: Final = 3.0
"""Between asking a cancelled job's processes to end and killing them."""

STOP_SECONDS: Final = 5.0
"""How long the end of the session waits for the ends of its jobs."""

KEPT: Final = 500
"""Finished jobs remembered; the oldest beyond are forgotten, their files stay."""

INTERRUPTED: Final = (
    "The session ended while this job ran, so it was stopped. "
    "Its result is incomplete: run it again."
)


LOST: Final = (
    "The session ended abruptly while this job ran, perhaps because the memory ran out. "
    "Its result is incomplete: run it again."
)


class JobNotFound(LookupError):
    """No job of that queue and id."""


class JobStateConflict(Exception):
    """The job's state forbids it; the message says why."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A job that runs: its queue, also once it is forgotten, and the task that follows it."""

    queue: QueueName
    task: asyncio.Task[None]


class JobQueue:
    """All jobs of one user's session."""

    def __init__(
        self,
        folder: Path,
        engines: Engines,
        runner: Runner | None = None,
        at_once: Mapping[QueueName, int] = AT_ONCE,
    ) -> None:
        self._store = JobStore(folder)
        self._engines = engines
        self._runner = runner or LocalRunner()
        self._at_once = at_once
        self._jobs: dict[str, Job] = {}
        self._cancelled: set[str] = set()
        self._unsaved: set[str] = set()
        """Jobs that are further than their files say: the disk was full."""
        self._running: dict[str, _Place] = {}
        self._cancels: set[asyncio.Task[None]] = set()
        self._events = Events()
        self._storing = asyncio.Lock()
        self._open = False

    # -- Life ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Read the list back: jobs found running are failed, queued ones go on.

        Raises ``store.StoreInUse`` if another session has the list.
        """
        await asyncio.to_thread(self._store.lock)
        jobs = await asyncio.to_thread(self._store.load)
        lost = [job for job in jobs if job.state == "running"]
        await asyncio.to_thread(self._runner.clear, [job.id for job in lost])
        self._jobs = {job.id: job for job in jobs}
        for job in lost:
            log.warning("job %s was running when the last session ended: failed", job.id)
            found = await asyncio.to_thread(
                _with_files, await asyncio.to_thread(_with_progress, job)
            )
            await asyncio.to_thread(open_to_group, job)
            await self._change(ended(found, "failed", LOST, incomplete=True))
        self._open = True
        self._start_next()

    async def stop(self) -> None:
        """End the running jobs at once, as failed with the reason. Queued ones stay queued."""
        self._open = False
        for job_id in list(self._running):
            await self._runner.cancel(job_id, patience=0)
        if self._running:
            # A job whose folder is on a dead file server is not waited for; its processes are gone.
            tasks = [place.task for place in self._running.values()]
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        for task in self._cancels:
            task.cancel()
        await self._save_unsaved()
        self._events.close()
        self._store.unlock()

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits: then the session is not idle."""
        return any(not job.finished for job in self._jobs.values())

    # -- What the user may do -------------------------------------------------------------------

    async def submit(self, job: Job) -> Job:
        """Append a job made by ``submission.prepare``. Raises OSError if it cannot be stored."""
        sequence = 1 + max((each.sequence for each in self._jobs.values()), default=0)
        job = replace(job, sequence=sequence)
        self._jobs[job.id] = job
        try:
            async with self._storing:
                await asyncio.to_thread(self._store.save, job)
        except OSError:
            del self._jobs[job.id]
            raise
        self._tell(job)
        self._start_next()
        return self._jobs[job.id]

    def get(self, queue: QueueName, job_id: str) -> Job:
        """Raises JobNotFound."""
        job = self._jobs.get(job_id)
        if job is None or job.queue != queue:
            raise JobNotFound(f"No job {job_id} is in the list {queue}.")
        return job

    def all(self) -> list[Job]:
        """Newest first."""
        return sorted(self._jobs.values(), key=lambda job: -job.sequence)

    async def cancel(self, queue: QueueName, job_id: str) -> Job:
        """End a job that waits or runs. A running one is over some seconds later.

        Raises JobNotFound and JobStateConflict.
        """
        job = self.get(queue, job_id)
        if job.finished:
            raise JobStateConflict(f"The job has already ended: {job.state}.")
        if job.state == "queued":
            await self._change(ended(job, "cancelled", "Cancelled before it started."))
            await asyncio.to_thread(discard, job)
            self._tell_waiting()
        elif job_id not in self._cancelled:
            self._cancelled.add(job_id)
            self._cancel_run(job_id)
            await self._change(replace(job, message="Being cancelled."))
        return self._jobs[job_id]

    def _cancel_run(self, job_id: str) -> None:
        task = asyncio.create_task(self._runner.cancel(job_id, patience=CANCEL_SECONDS))
        self._cancels.add(task)
        task.add_done_callback(self._cancels.discard)

    async def forget(self, queue: QueueName, job_id: str) -> Job:
        """Drop a finished job; its files stay. Raises JobNotFound and JobStateConflict."""
        job = self.get(queue, job_id)
        if not job.finished:
            raise JobStateConflict("The job has not ended: cancel it first.")
        del self._jobs[job_id]
        async with self._storing:
            await asyncio.to_thread(self._store.forget, job_id)
        self._events.send(job_id, Event("forgotten", {"queue": queue, "id": job_id}))
        return job

    def json(self, job: Job) -> dict[str, Any]:
        """``{queue, job}`` with the position."""
        return to_json(job, self._position(job))

    async def changes(self) -> AsyncGenerator[Event]:
        """A ``job`` for every job now, oldest first, then what changes, until stopped."""
        with self._events.subscribe() as changes:
            for job in reversed(self.all()):
                yield Event("job", self.json(job))
            async for change in changes:
                yield change

    # -- The running ones -----------------------------------------------------------------------

    def _start_next(self) -> None:
        """Fill the free places of every queue."""
        for queue in QUEUES if self._open else ():
            running = sum(place.queue == queue for place in self._running.values())
            for job in self._waiting(queue)[: max(0, self._at_once[queue] - running)]:
                self._jobs[job.id] = replace(job, state="running", started=now())
                task = asyncio.create_task(self._run(job.id), name=f"job {job.id}")
                self._running[job.id] = _Place(queue, task)

    async def _run(self, job_id: str) -> None:
        try:
            await self._follow(job_id)
        except Exception:
            log.exception("job %s: following it failed", job_id)
            message = (
                "The job could not be followed: its administrator finds the reason in the log."
            )
            await self._runner.cancel(job_id, patience=0)
            if (job := self._jobs.get(job_id)) and not job.finished:
                await self._change(ended(job, "failed", message, incomplete=True))
        finally:
            self._cancelled.discard(job_id)
            del self._running[job_id]
        self._tell_waiting()
        await self._forget_oldest()
        self._start_next()

    async def _follow(self, job_id: str) -> None:
        """Run one job from start to end."""
        job = self._jobs[job_id]
        await self._change(job)
        self._tell_waiting()
        engine = self._engines.get(job.engine)
        if engine is None or not engine.available:
            reason = engine.reason if engine else "it is no longer offered."
            message = f"The engine {job.engine} cannot be used any more: {reason}"
            await asyncio.to_thread(open_to_group, job)
            await self._change(ended(job, "failed", message))
            return
        argv = engine.command(job.dataset, job.list_copy, job.folder.parent, job.folder.name)
        await self._runner.submit(
            Run(
                job_id=job_id,
                argv=argv,
                environment=engine.environment(),
                folder=job.folder,
                output=job.engine_output,
                killsignal=job.folder / KILLSIGNAL,
            )
        )
        if not self._open:
            await self._runner.cancel(job_id, patience=0)
        elif job_id in self._cancelled:
            self._cancel_run(job_id)
        log.info(
            "job %s: started %s on %s with %s", job_id, job.process_list, job.dataset, job.engine
        )
        follower, user_log, end = LogFollower(job.user_log), UserLog(), None
        while end is None:
            end = await self._runner.poll(job_id, POLL_SECONDS)
            while lines := await asyncio.to_thread(follower.new_lines):
                for line in lines:
                    user_log = read_line(user_log, line)
            self._report(job_id, user_log)
        await self._finish(job_id, end, user_log)

    def _report(self, job_id: str, user_log: UserLog) -> None:
        """Tell new progress; it is worth an event, not a write to the disk."""
        job = self._jobs[job_id]
        moved = progress(user_log, job.progress.steps, job.progress)
        if moved != job.progress:
            self._jobs[job_id] = replace(job, progress=moved)
            self._tell(self._jobs[job_id])

    async def _finish(self, job_id: str, end: Ended, user_log: UserLog) -> None:
        job = self._jobs[job_id]
        output = await asyncio.to_thread(_tail, job)
        verdict = outcome.judge(
            exit_code=end.exit_code,
            log=user_log,
            output=output,
            cancelled=job_id in self._cancelled,
            memory_ran_out=end.memory_ran_out,
            not_started=end.not_started,
        )
        stopped = not self._open and verdict.state == "failed"
        message = INTERRUPTED if stopped else verdict.message
        job = ended(
            job, verdict.state, message, exit_code=end.exit_code, incomplete=verdict.incomplete
        )
        job = await asyncio.to_thread(_with_files, job)
        await asyncio.to_thread(open_to_group, job)
        log.info("job %s: %s %s", job_id, job.state, job.message)
        await self._change(job)

    # -- Bookkeeping ----------------------------------------------------------------------------

    async def _change(self, job: Job) -> None:
        """``job`` as it is now: to memory, to the disk, to who listens."""
        self._jobs[job.id] = job
        self._unsaved.add(job.id)
        await self._save_unsaved()
        # The newest state, should another change have overtaken this one, or nothing if the job
        # was forgotten meanwhile.
        if newest := self._jobs.get(job.id):
            self._tell(newest)

    async def _save_unsaved(self) -> None:
        """Every job whose file is behind; what cannot be written now is tried at the next change.

        The jobs themselves go on: a full home directory is not to cost a reconstruction.
        """
        async with self._storing:
            for job_id in list(self._unsaved):
                job = self._jobs.get(job_id)
                try:
                    if job is not None:
                        await asyncio.to_thread(self._store.save, job)
                except OSError as error:
                    log.error("job %s could not be stored: %s", job_id, error)
                else:
                    if job is self._jobs.get(job_id):
                        self._unsaved.discard(job_id)

    def _tell(self, job: Job) -> None:
        self._events.send(job.id, Event("job", self.json(job)))

    def _tell_waiting(self) -> None:
        """Positions moved."""
        for job in self._jobs.values():
            if job.state == "queued":
                self._tell(job)

    def _waiting(self, queue: QueueName) -> list[Job]:
        jobs = (job for job in self._jobs.values() if job.queue == queue and job.state == "queued")
        return sorted(jobs, key=lambda job: job.sequence)

    def _position(self, job: Job) -> int | None:
        if job.state == "running":
            return 0
        if job.state != "queued":
            return None
        return 1 + sum(each.sequence < job.sequence for each in self._waiting(job.queue))

    async def _forget_oldest(self) -> None:
        finished = [job for job in self.all() if job.finished]
        for job in finished[KEPT:]:
            await self.forget(job.queue, job.id)


def _tail(job: Job) -> list[str]:
    """The last lines the engine wrote anywhere; the user's log last, it names the error best."""
    lines: list[str] = []
    for path in (job.engine_output, job.user_log):
        try:
            lines += last_lines(path, 200)[0]
        except OSError:
            continue
    return lines


def _with_progress(job: Job) -> Job:
    """``job`` as far as its log says that it came."""
    follower, user_log = LogFollower(job.user_log), UserLog()
    while lines := follower.new_lines():
        for line in lines:
            user_log = read_line(user_log, line)
    return replace(job, progress=progress(user_log, job.progress.steps, job.progress))


def _with_files(job: Job) -> Job:
    """``job`` with the output found in its folder; a result only of a run that is complete."""
    output = find_output_dataset(job.folder, Path(job.dataset).stem)
    if output is None:
        return job
    result = find_result(output) if job.state == "completed" else None
    return replace(job, output_dataset=str(output), result=result)
