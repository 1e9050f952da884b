"""May this run start? And where its output goes: everything is checked before a job exists."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from savu_format.process_list import (
    NotAProcessList,
    ProcessList,
    Step,
    parse,
    read_bounded,
    serialize,
)

from savu_api.apart import LookFailed, apart
from savu_api.engines import Engine, Engines, is_loader
from savu_api.jobs.dataset import NotADataset, look
from savu_api.jobs.job import Job, QueueName, Rows, now
from savu_api.jobs.preview import NoPreview, preview_entries
from savu_api.jobs.user_log import Progress

FOLDER_LOADERS = frozenset({"ImageLoader", "ImageTemplateLoader"})
"""Loaders whose data may be a folder of pictures."""


class SubmissionRefused(Exception):
    """This run cannot start: ``status`` and ``code`` for the answer, ``detail`` for the user."""

    def __init__(self, status: int, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.extra = extra


@dataclass(frozen=True, slots=True)
class Submission:
    """What the user asked for, as sent."""

    queue: QueueName
    process_list: str
    dataset: str
    output: str
    engine: str | None = None


def prepare(submission: Submission, resolve: Callable[[str], Path], engines: Engines) -> Job:
    """Check everything, make the run's folder with its copy of the list, and return the new job.

    ``resolve`` turns a path as sent into a real one inside the data roots, or raises its own
    refusal. The job's sequence is still 0. Blocks on the file system. Raises SubmissionRefused.
    """
    for path in (submission.process_list, submission.dataset, submission.output):
        _check_text(path)
    list_path = _readable_file(resolve(submission.process_list), "process list")
    content, process_list = _read_list(list_path)
    engine = _engine(submission.engine, engines, process_list)
    loader = next((step for step in process_list.steps if step.active and is_loader(step)), None)
    if loader is None:
        raise SubmissionRefused(
            422, "no-loader", "The process list has no active loader: its first step must be one."
        )
    dataset = resolve(submission.dataset)
    shape = _data_shape(dataset, loader)
    entries: list[str] | None = None
    rows: Rows | None = None
    if submission.queue == "preview":
        entries, rows = _preview(loader, shape)
    output = _writable_folder(resolve(submission.output))
    # The file says the name: a link's target may be called `current`.
    stem = Path(submission.dataset).stem or dataset.stem
    folder = _make_run_folder(output, stem, preview=entries is not None)
    job = Job(
        id=secrets.token_hex(6),
        queue=submission.queue,
        sequence=0,
        state="queued",
        process_list=str(list_path),
        dataset=str(dataset),
        output=str(folder),
        engine=engine.name,
        submitted=now(),
        rows=rows,
        progress=Progress(steps=count_steps(process_list)),
    )
    try:
        # What was checked is what runs, whatever becomes of the list meanwhile.
        if entries is not None:
            content = apart(serialize, with_preview(process_list, loader, entries))
        _write_copy(job.list_copy, content)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise _cannot_write(folder, error) from error
    return job


def count_steps(process_list: ProcessList) -> int:
    """Steps that report progress: the active ones that are no loader."""
    return sum(step.active and not is_loader(step) for step in process_list.steps)


def with_preview(process_list: ProcessList, loader: Step, entries: list[str]) -> ProcessList:
    """``process_list`` with other entries for its loader's ``preview``; all else stays as it is."""
    changed = replace(loader, parameters={**loader.parameters, "preview": list(entries)})
    steps = tuple(changed if step is loader else step for step in process_list.steps)
    return replace(process_list, steps=steps)


def open_to_group(job: Job) -> None:
    """Let the visit's other members replace what is in the folder of a job that is over.

    Until then the folder and its list are theirs to read only: what lies there is run as the user.
    """
    for path in (job.list_copy, job.folder):
        with contextlib.suppress(OSError):
            path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IWGRP)


def discard(job: Job) -> None:
    """Remove the folder of a job that never ran; what :func:`prepare` did not make stays."""
    try:
        job.list_copy.unlink(missing_ok=True)
        job.folder.rmdir()
    except OSError:
        return


def _check_text(path: str) -> None:
    """Logs, HDF5 links and JSON hold names as UTF-8; others would end in a traceback."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise SubmissionRefused(
            422, "not-utf-8", f"{path!r} is not written in UTF-8: rename it before running."
        ) from error


def _read_list(path: Path) -> tuple[bytes, ProcessList]:
    """The file's bytes and the list in them, read once: the file may be replaced at any time."""
    try:
        with path.open("rb") as file:
            content = read_bounded(file)
        return content, apart(parse, content)
    except (NotAProcessList, LookFailed) as error:
        why = f"{path} is damaged: the HDF5 library fails on it."
        detail = why if isinstance(error, LookFailed) else str(error)
        raise SubmissionRefused(422, "not-a-process-list", detail) from error


def _engine(name: str | None, engines: Engines, process_list: ProcessList) -> Engine:
    engine = engines.get(name) if name else engines.default
    if engine is None:
        offered = ", ".join(each.name for each in engines)
        detail = (
            f"No engine is called {name}: offered are {offered}."
            if name
            else "No engine is available."
        )
        raise SubmissionRefused(422, "no-such-engine", detail)
    if not engine.available:
        raise SubmissionRefused(
            422, "engine-unavailable", f"The engine {engine.name} cannot be used: {engine.reason}"
        )
    if lacks := engine.missing(process_list):
        elsewhere = [
            each.name
            for each in engines
            if each is not engine and each.available and not each.missing(process_list)
        ]
        steps = "; ".join(f"step {lack.pos} {lack.name}: {lack.reason}" for lack in lacks)
        hint = (
            f" The whole list runs with {' or '.join(elsewhere)}."
            if elsewhere
            else " No installed engine runs all of it: switch these steps off or replace them."
        )
        raise SubmissionRefused(
            422,
            "engine-lacks-steps",
            f"The engine {engine.name} cannot run this list: {steps}.{hint}",
            lacks=[{"pos": lack.pos, "name": lack.name, "reason": lack.reason} for lack in lacks],
            elsewhere=elsewhere,
        )
    return engine


def _preview(loader: Step, shape: tuple[int, ...] | None) -> tuple[list[str], Rows | None]:
    if "preview" not in loader.parameters:
        raise SubmissionRefused(
            422, "no-preview", f"No preview: {loader.name} cannot load a part of the data."
        )
    try:
        return preview_entries(loader.parameters["preview"], shape)
    except NoPreview as error:
        raise SubmissionRefused(
            422, "no-preview", f"A preview of this list cannot be made: {error}"
        ) from error


def _data_shape(dataset: Path, loader: Step) -> tuple[int, ...] | None:
    """The shape the loader will see, None if only the engine can know. Raises SubmissionRefused."""
    if dataset.is_dir():
        if loader.name in FOLDER_LOADERS:
            return None
        raise SubmissionRefused(
            422, "not-a-dataset", f"{dataset} is a folder, and {loader.name} reads a file."
        )
    _readable_file(dataset, "dataset")
    path = loader.parameters.get("data_path")
    try:
        shape = apart(look, dataset, path if isinstance(path, str) else None)
    except NotADataset as error:
        raise SubmissionRefused(422, "not-a-dataset", str(error)) from error
    except LookFailed as error:
        detail = f"{dataset} cannot be looked into ({error}): it is damaged, or its storage hangs."
        raise SubmissionRefused(422, "not-a-dataset", detail) from error
    except LookupError as error:
        raise SubmissionRefused(
            422,
            "no-such-data",
            f"{loader.name} reads {path}, which {dataset.name} does not hold "
            "or which links to a file that cannot be opened.",
        ) from error
    if shape is None:
        return None
    frames_a_scan = loader.parameters.get("3d_to_4d")
    return (*shape, 1) if frames_a_scan and len(shape) == 3 else shape


def _readable_file(path: Path, what: str) -> Path:
    if not path.exists():
        raise SubmissionRefused(404, "not-found", f"There is no {what} {path}.")
    if not path.is_file():
        raise SubmissionRefused(422, "not-a-file", f"The {what} {path} is not a file.")
    if not os.access(path, os.R_OK):
        raise SubmissionRefused(403, "not-readable", f"You may not read the {what} {path}.")
    return path


def _writable_folder(path: Path) -> Path:
    if not path.exists():
        raise SubmissionRefused(404, "not-found", f"There is no output folder {path}.")
    if not path.is_dir():
        raise SubmissionRefused(422, "not-a-folder", f"The output {path} is not a folder.")
    if not os.access(path, os.W_OK | os.X_OK):
        raise SubmissionRefused(
            403, "not-writable", f"You may not write to the output folder {path}."
        )
    return path


def _make_run_folder(output: Path, stem: str, *, preview: bool) -> Path:
    """A new folder for this run alone: one that exists is never used."""
    name = f"{datetime.now():%Y%m%d%H%M%S}_{stem}" + ("_preview" if preview else "")
    for attempt in range(100):
        folder = output / (f"{name}_{attempt}" if attempt else name)
        try:
            folder.mkdir(mode=0o755)
        except FileExistsError:
            continue
        except OSError as error:
            raise _cannot_write(folder, error) from error
        return folder
    raise SubmissionRefused(409, "too-many-runs", f"{output} has a hundred runs of this second.")


def _write_copy(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o644), "wb") as file:
        file.write(content)


def _cannot_write(folder: Path, error: OSError) -> SubmissionRefused:
    reason = error.strerror or str(error)
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return SubmissionRefused(
        507 if full else 403,
        "disk-full" if full else "not-writable",
        f"The run's folder {folder} could not be made: {reason}.",
    )
