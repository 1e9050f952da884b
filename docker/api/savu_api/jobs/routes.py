"""Jobs over HTTP: submit, follow, cancel, forget, and their log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette import EventSourceResponse, ServerSentEvent

from savu_api.blocking import in_thread
from savu_api.engines import Engines
from savu_api.jobs.follow import last_lines
from savu_api.jobs.job import QUEUES, Job, QueueName
from savu_api.jobs.queue import JobNotFound, JobQueue, JobStateConflict
from savu_api.jobs.submission import Submission, SubmissionRefused, discard, prepare
from savu_api.problems import Problem

STREAM_SECONDS = 300.0
"""A stream of events ends after so long; the client connects again, and is asked who it is."""

HEARTBEAT_SECONDS = 3
"""Between two events ``heartbeat``. A proxy may keep a stream open whose session is gone: a page
that hears nothing for a few of them knows."""

MOST_LINES = 10_000


class SubmitBody(BaseModel):
    """What to run on what, and where its output goes."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "process_list": "/data/cm10001-1/processing/reconstruct.nxs",
                    "dataset": "/data/cm10001-1/raw/scan.nxs",
                    "output": "/data/cm10001-1/processing",
                }
            ]
        },
    )

    process_list: str = Field(min_length=1, max_length=4096, description="absolute path")
    dataset: str = Field(min_length=1, max_length=4096, description="absolute path")
    output: str = Field(
        min_length=1,
        max_length=4096,
        description="folder in which a new folder for this run is made",
    )
    engine: str | None = Field(
        default=None, max_length=100, description="the default one if absent"
    )


class ProgressBody(BaseModel):
    percent: float = Field(ge=0, le=100, description="of the whole list; never goes back")
    plugin: str = Field(description="the one that runs; empty before the first")
    plugin_percent: float = Field(ge=0, le=100)
    step: int
    steps: int = Field(description="active plugins besides loaders")


class ResultBody(BaseModel):
    path: str = Field(description="HDF5 file")
    dataset: str = Field(description="path in the file")
    shape: list[int]


class RowsBody(BaseModel):
    start: int
    stop: int = Field(description="not included")
    total: int


class JobBody(BaseModel):
    id: str
    state: Literal["queued", "running", "completed", "failed", "cancelled"]
    running: bool
    successful: bool
    status: str = Field(description="queued, running or the engine's exit code")
    message: str = Field(description="how it ended, in a sentence; may be empty")
    process_list: str
    dataset: str
    output: str = Field(description="the run's own folder")
    output_dataset: str | None = Field(description="the NeXus file that links to all results")
    result: ResultBody | None = Field(description="the last result of a completed run")
    incomplete: bool = Field(description="the folder holds an unfinished result")
    preview: bool
    rows: RowsBody | None = Field(description="detector rows that a preview takes")
    logfile: str
    engine: str
    submitted: str
    started: str | None
    ended: str | None
    position: int | None = Field(description="0 while it runs, then its place in the queue")
    progress: ProgressBody


class JobAnswer(BaseModel):
    queue: QueueName
    job: JobBody


class JobsAnswer(BaseModel):
    jobs: list[JobAnswer]


class LogAnswer(BaseModel):
    lines: list[str]
    truncated: bool = Field(description="earlier lines were left out")


def router(queue: JobQueue, engines: Engines, resolve: Callable[[str], Path]) -> APIRouter:
    """The routes below ``/jobs``; ``resolve`` gives the real path in the data roots or raises."""
    routes = APIRouter(prefix="/jobs", tags=["jobs"])

    @routes.get("", response_model=JobsAnswer, summary="All jobs, newest first")
    async def list_jobs() -> dict[str, Any]:
        return {"jobs": [queue.json(job) for job in queue.all()]}

    # Before /{queue}/…, which would take it for the name of a queue.
    @routes.get(
        "/events",
        summary="Changes of jobs as server-sent events",
        response_class=EventSourceResponse,
        responses={200: {"content": {"text/event-stream": {}}}},
    )
    async def events() -> EventSourceResponse:
        """`event: job` with `{queue, job}`: every job first, then each that changes.

        `event: forgotten` with `{queue, id}`: no longer in the list. `event: heartbeat` without
        data every 3 s: a silent stream is a dead one. Ends after five minutes: connect again.
        """
        return EventSourceResponse(
            _stream(queue),
            ping=HEARTBEAT_SECONDS,
            ping_message_factory=lambda: ServerSentEvent(event="heartbeat", data=""),
            headers={"Cache-Control": "no-store"},
        )

    @routes.post(
        "/{queue_name}/submit", status_code=202, response_model=JobAnswer, summary="Run a list"
    )
    async def submit(queue_name: str, body: SubmitBody) -> dict[str, Any]:
        """`preview` runs it on a few middle rows, `full` on everything."""
        submission = Submission(
            _queue(queue_name), body.process_list, body.dataset, body.output, body.engine
        )
        try:
            job = await in_thread(prepare, submission, resolve, engines)
        except SubmissionRefused as refusal:
            raise Problem(
                refusal.status, refusal.code, refusal.detail, **refusal.extra
            ) from refusal
        try:
            return queue.json(await queue.submit(job))
        except OSError as error:
            await in_thread(discard, job)
            detail = f"The list of jobs cannot be written: {error.strerror}. Is your home full?"
            raise Problem(507, "state-not-writable", detail) from error

    @routes.get("/{queue_name}/{job_id}", response_model=JobAnswer, summary="One job")
    async def get_job(queue_name: str, job_id: str) -> dict[str, Any]:
        return queue.json(_find(queue, queue_name, job_id))

    @routes.post(
        "/{queue_name}/{job_id}/cancel",
        status_code=202,
        response_model=JobAnswer,
        summary="End a job that waits or runs",
    )
    async def cancel(queue_name: str, job_id: str) -> dict[str, Any]:
        """A running one is over some seconds later, with all its processes."""
        _find(queue, queue_name, job_id)
        try:
            return queue.json(await queue.cancel(_queue(queue_name), job_id))
        except JobStateConflict as conflict:
            raise Problem(409, "job-ended", str(conflict)) from conflict

    @routes.delete(
        "/{queue_name}/{job_id}", response_model=JobAnswer, summary="Forget a job; its files stay"
    )
    async def forget(queue_name: str, job_id: str) -> dict[str, Any]:
        _find(queue, queue_name, job_id)
        try:
            return queue.json(await queue.forget(_queue(queue_name), job_id))
        except JobStateConflict as conflict:
            raise Problem(409, "job-not-ended", str(conflict)) from conflict

    @routes.get(
        "/{queue_name}/{job_id}/log", response_model=LogAnswer, summary="Last lines of its log"
    )
    async def log_lines(
        queue_name: str,
        job_id: str,
        tail: Annotated[int, Query(ge=1, le=MOST_LINES)] = 200,
        source: Annotated[
            Literal["user", "output"], Query(description="user.log, or all that the engine wrote")
        ] = "user",
    ) -> dict[str, Any]:
        job = _find(queue, queue_name, job_id)
        lines, truncated = await in_thread(_log, job, source, tail)
        return {"lines": lines, "truncated": truncated}

    return routes


def _queue(name: str) -> QueueName:
    for queue in QUEUES:
        if name == queue:
            return queue
    raise Problem(
        404, "no-such-queue", f"There is no queue {name[:40]!r}: use {' or '.join(QUEUES)}."
    )


def _find(queue: JobQueue, queue_name: str, job_id: str) -> Job:
    try:
        return queue.get(_queue(queue_name), job_id)
    except JobNotFound as error:
        detail = f"There is no job {job_id[:40]!r} in the queue {queue_name}."
        raise Problem(404, "no-such-job", detail) from error


def _log(job: Job, source: str, tail: int) -> tuple[list[str], bool]:
    """Lines of the log asked for; before the engine has begun a user's log, of what it wrote."""
    paths = [job.engine_output] if source == "output" else [job.user_log, job.engine_output]
    for path in paths:
        try:
            return last_lines(path, tail)
        except OSError:
            continue
    return [], False


async def _stream(queue: JobQueue) -> AsyncIterator[ServerSentEvent]:
    loop = asyncio.get_running_loop()
    end = loop.time() + STREAM_SECONDS
    changes = queue.changes()
    try:
        while (left := end - loop.time()) > 0:
            try:
                change = await asyncio.wait_for(anext(changes), left)
            except (TimeoutError, StopAsyncIteration):
                return
            yield ServerSentEvent(json.dumps(change.data), event=change.kind)
    finally:
        await changes.aclose()
