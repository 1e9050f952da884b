"""What a job is: one value, never changed in place; its file in the store and its JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, get_args

from savu_api.jobs.user_log import Progress

QueueName = Literal["preview", "full"]
QUEUES: Final[tuple[QueueName, ...]] = get_args(QueueName)
"""``preview`` runs the list on a few rows now, ``full`` on everything."""

State = Literal["queued", "running", "completed", "failed", "cancelled"]
STATES: Final[tuple[State, ...]] = get_args(State)

USER_LOG: Final = "run_log/user.log"
"""Below the run's folder: the file every engine tells its progress in."""

ENGINE_OUTPUT: Final = "engine_output.txt"
"""Below the run's folder: what the engine wrote to its standard output and error."""

KILLSIGNAL: Final = "killsignal"
"""Below the run's folder: the file that asks the engine to end after the step it is in."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The detector rows a preview takes: ``start`` up to, not including, ``stop``; of ``total``."""

    start: int
    stop: int
    total: int


@dataclass(frozen=True, slots=True)
class Result:
    """The last result of a run: HDF5 file, path of the dataset in it, and its shape."""

    path: str
    dataset: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a process list on one dataset. Times are ISO 8601 in UTC."""

    id: str
    queue: QueueName
    sequence: int
    """Order of submission, over all queues and sessions of this user."""
    state: State
    process_list: str
    dataset: str
    output: str
    """The run's own folder."""
    engine: str
    submitted: str
    started: str | None = None
    ended: str | None = None
    exit_code: int | None = None
    """Of the engine; negative for a signal."""
    message: str = ""
    """A sentence for the user about how it ended."""
    incomplete: bool = False
    """The run's folder holds an unfinished result."""
    rows: Rows | None = None
    """Of a preview, where the scan's height is known."""
    output_dataset: str | None = None
    result: Result | None = None
    progress: Progress = field(default_factory=Progress)

    @property
    def finished(self) -> bool:
        return self.state in ("completed", "failed", "cancelled")

    @property
    def folder(self) -> Path:
        return Path(self.output)

    @property
    def list_copy(self) -> Path:
        """The list as it was when submitted (a preview's: with its rows); this is what runs."""
        return self.folder / "process_list.nxs"

    @property
    def user_log(self) -> Path:
        return self.folder / USER_LOG

    @property
    def engine_output(self) -> Path:
        return self.folder / ENGINE_OUTPUT


def now() -> str:
    """This moment, ISO 8601, UTC, in milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ended(job: Job, state: State, message: str, **changes: Any) -> Job:
    """``job`` as it ended now."""
    return replace(job, state=state, message=message, ended=now(), **changes)


def to_record(job: Job) -> dict[str, Any]:
    """For the job's file; ``from_record`` is the way back."""
    return asdict(job)


def from_record(record: Any) -> Job:
    """The job of a file. Raises ValueError for anything that ``to_record`` did not write."""
    try:
        known = {each.name for each in fields(Job)}
        values = {name: value for name, value in record.items() if name in known}
        values["progress"] = Progress(**values["progress"])
        if values.get("rows"):
            values["rows"] = Rows(**values["rows"])
        if result := values.get("result"):
            values["result"] = Result(result["path"], result["dataset"], tuple(result["shape"]))
        job = Job(**values)
        texts = (job.id, job.process_list, job.dataset, job.output, job.engine, job.submitted)
        if job.queue not in QUEUES or job.state not in STATES:
            raise ValueError("unknown queue or state")
        if not isinstance(job.sequence, int) or not all(isinstance(text, str) for text in texts):
            raise ValueError("a field of another type")
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"not a job: {error!r}") from error
    return job


def to_json(job: Job, position: int | None) -> dict[str, Any]:
    """``{queue, job}`` as the page and hebi's clients read it; ``position`` 0 means running."""
    return {
        "queue": job.queue,
        "job": {
            "id": job.id,
            "state": job.state,
            "running": job.state == "running",
            "successful": job.state == "completed",
            "status": _status(job),
            "message": job.message,
            "process_list": job.process_list,
            "dataset": job.dataset,
            "output": job.output,
            "output_dataset": job.output_dataset,
            "result": asdict(job.result) if job.result else None,
            "incomplete": job.incomplete,
            "preview": job.queue == "preview",
            "rows": asdict(job.rows) if job.rows else None,
            "logfile": str(job.user_log),
            "engine": job.engine,
            "submitted": job.submitted,
            "started": job.started,
            "ended": job.ended,
            "position": position,
            "progress": asdict(job.progress),
        },
    }


def _status(job: Job) -> str:
    """hebi's: ``queued``, ``running`` or the exit code; the state where no process ever ended."""
    if job.finished and job.exit_code is not None:
        return str(job.exit_code)
    return job.state
