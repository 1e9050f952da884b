"""The runner that starts a job on this machine, each under a supervisor process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from savu_api.jobs import memory, processes
from savu_api.jobs.runner import Ended, Run

log = logging.getLogger(__name__)

SUPERVISOR = Path(__file__).with_name("supervise.py")

KILLSIGNAL_SECONDS = 2.0
"""How long the engine may take to see its killsignal file before its processes are asked to end."""


class LocalRunner:
    """Jobs as processes of this machine, in sessions of their own; see :mod:`supervise`."""

    def __init__(self, killsignal_seconds: float = KILLSIGNAL_SECONDS) -> None:
        self._killsignal_seconds = killsignal_seconds
        self._jobs: dict[str, _LocalJob] = {}

    async def submit(self, run: Run) -> None:
        self._jobs[run.job_id] = await _LocalJob.start(run)

    async def poll(self, job_id: str, wait: float) -> Ended | None:
        job = self._jobs[job_id]
        with contextlib.suppress(TimeoutError):
            ended = await asyncio.wait_for(asyncio.shield(job.over), wait)
            del self._jobs[job_id]
            return ended
        return None

    async def cancel(self, job_id: str, *, patience: float) -> None:
        """The killsignal file, then SIGTERM, ``patience`` seconds later SIGKILL, to all."""
        if (job := self._jobs.get(job_id)) is None or job.over.done():
            return
        if patience > 0:
            with contextlib.suppress(OSError):
                job.run.killsignal.touch()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(job.over), self._killsignal_seconds)
                return
        job.tell({"stop": patience})

    def clear(self, job_ids: Sequence[str]) -> None:
        if left := processes.end_marked(job_ids):
            log.error("processes of earlier jobs cannot be ended: %s", left)


class _LocalJob:
    """One supervisor, and what it has said."""

    def __init__(self, run: Run, process: asyncio.subprocess.Process) -> None:
        self.run = run
        self._process = process
        self._kills_before = memory.count_kills()
        self.over = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, run: Run) -> _LocalJob:
        environment = {**run.environment, processes.MARK: run.job_id}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(SUPERVISOR)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={processes.MARK: run.job_id},
            start_new_session=True,
        )
        job = cls(run, process)
        job.tell(
            {
                "argv": list(run.argv),
                "environment": environment,
                "folder": str(run.folder),
                "output": str(run.output),
            }
        )
        return job

    def tell(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, RuntimeError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _listen(self) -> Ended:
        assert self._process.stdout is not None
        ended = Ended(exit_code=None)
        async for line in self._process.stdout:
            said = json.loads(line)
            if "not_started" in said:
                ended = Ended(exit_code=None, not_started=said["not_started"])
            elif "ended" in said:
                ended = Ended(exit_code=said["ended"])
        await self._process.wait()
        # Only if the supervisor itself was killed is anything left to find.
        await asyncio.to_thread(processes.end_marked, [self.run.job_id])
        grown = memory.grew(self._kills_before, memory.count_kills())
        return replace(ended, memory_ran_out=grown and ended.exit_code != 0)
