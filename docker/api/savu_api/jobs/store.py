"""The list of jobs on disk: one JSON file a job, replaced whole, so a kill at any time loses none.

Files and not a database: the folder may be on NFS, where SQLite's locks are not to be trusted,
and damage to one file costs one job.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from pathlib import Path

from savu_api.jobs.job import Job, from_record, to_record

log = logging.getLogger(__name__)


class StoreInUse(Exception):
    """Another session keeps its jobs in this folder now."""


class JobStore:
    """Jobs in ``folder``, made if absent. What cannot be read is set aside, never fatal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: int | None = None

    def lock(self, patience: float = 5.0) -> None:
        """Keep other sessions out until :meth:`unlock` or this process ends.

        Without it a second session would take the jobs that run in the first for lost, and end
        them. Waits ``patience`` seconds for one that is about to end. Raises StoreInUse.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError as error:
                if time.monotonic() < deadline:
                    time.sleep(0.05)
                    continue
                self.unlock()
                raise StoreInUse(
                    f"Another session of this user keeps its jobs in {self.folder}: "
                    "each server needs a state folder of its own."
                ) from error
            except OSError as error:
                # Some network file systems have no locks; a session is worth more than this one.
                log.warning("%s cannot be locked: %s", self.folder, error)
                return

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def load(self) -> list[Job]:
        """All jobs, oldest first."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in self.folder.glob("*.json.new"):
            leftover.unlink(missing_ok=True)
        jobs = []
        for file in self.folder.glob("*.json"):
            try:
                job = from_record(json.loads(file.read_bytes()))
                if job.id != file.stem:
                    raise ValueError(f"holds the job {job.id}")
                jobs.append(job)
            except (OSError, ValueError) as error:
                self._set_aside(file, error)
        return sorted(jobs, key=lambda job: job.sequence)

    def save(self, job: Job) -> None:
        """Write ``job``, whole or not at all, and to the disk before returning. Raises OSError."""
        file = self._file(job.id)
        temporary = file.with_suffix(".json.new")
        text = json.dumps(to_record(job), indent=1).encode()
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(file)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def forget(self, job_id: str) -> None:
        self._file(job_id).unlink(missing_ok=True)

    def _file(self, job_id: str) -> Path:
        return self.folder / f"{job_id}.json"

    def _set_aside(self, file: Path, error: Exception) -> None:
        aside = file.with_suffix(".json.unreadable")
        log.warning("%s is not a job (%s): set aside as %s", file, error, aside.name)
        try:
            file.replace(aside)
        except OSError as problem:
            log.warning("%s could not be set aside: %s", file, problem)
