"""Sessions as processes: folders below ``c.LocalSavuSpawner.runtime_dir``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from savu_spawner.audit import AuditRecord
from savu_spawner.caretaker.judgement import Finding, Found, Session
from savu_spawner.local_session import (
    SessionFolder,
    kill_orphans,
    kill_tree,
    supervisor_process,
    wait_gone,
)

DEAD = "its supervisor is dead"


class LocalSessions:
    """What is left of sessions on this machine."""

    name = "processes"
    mend = "end their processes (python -m savu_spawner.supervisor)"

    def __init__(self, runtime_dir: Path) -> None:
        self._runtime_dir = runtime_dir

    async def look(self) -> list[Found]:
        """Every session's folder, and whether somebody still supervises it."""
        return look(self._runtime_dir)

    async def remove(self, finding: Finding) -> AuditRecord | None:
        """End what is left of a session; the end of its audit trail, if the hub has not its own."""
        await remove(finding.found)
        if not finding.is_unknown or finding.found.session is None:
            return None
        user, server = finding.found.session
        pid = finding.found.key.rpartition(" ")[2]
        return AuditRecord("ended", user, server, instance=f"pid {pid}", reason=finding.why)

    async def close(self) -> None:
        """Nothing is held."""


def look(runtime_dir: Path) -> list[Found]:
    """Every session's folder below ``runtime_dir``."""
    found = []
    for path in sorted(runtime_dir.glob("*")):
        try:
            age = time.time() - path.stat().st_mtime
        except FileNotFoundError:
            continue
        record = _read_record(path)
        if record.supervisor is not None:
            found.append(Found(_key(path, record), record.session, age))
        else:
            found.append(Found(_key(path, record), record.session, age, "over", DEAD))
    return found


async def remove(found: Found) -> None:
    """End what is left of a session and delete its folder."""
    path = Path(found.key.rpartition(" ")[0])
    record = _read_record(path)
    if _key(path, record) != found.key:
        # A new session of the same server has taken the place.
        return
    if record.supervisor is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            record.supervisor.terminate()
        if not await wait_gone(record.supervisor, 10):
            kill_tree(record.supervisor)
    await asyncio.to_thread(kill_orphans, path)
    SessionFolder(path).remove()


@dataclass(frozen=True)
class _Record:
    """What a session's folder says of it; nothing, if that cannot be read."""

    session: Session | None = None
    pid: int = 0
    supervisor: psutil.Process | None = None


def _read_record(path: Path) -> _Record:
    try:
        record = json.loads(SessionFolder(path).record.read_text())
        session = (str(record["user"]), str(record["server"]))
        pid, started = record["supervisor"]
        return _Record(session, int(pid), supervisor_process(pid, started))
    except (OSError, ValueError, KeyError, TypeError):
        return _Record()


def _key(path: Path, record: _Record) -> str:
    return f"{path} {record.pid}"
