"""One process a local session: starts its programs, keeps the rules of their deaths, ends the tree.

Runs as ``python -m savu_spawner.supervisor``, reads a :class:`Plan` as JSON from standard input
(so that no secret is on a command line), and outlives the hub. As a child subreaper it inherits
whatever a program leaves behind, so that the end of the session is the end of all of it.

It is spoken to on the unix socket ``Plan.control``: each connection receives a line of JSON with
the whole :class:`Status` at once and on every change; a connection that is closed means that the
supervisor is gone. A line ``stop REASON`` ends the session, as SIGTERM does.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from savu_spawner.contract import HEALTH_PATH, UMASK

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

TERM_SECONDS = 2.0
"""Between the request to end and the end: nginx closes its streams, api records its jobs."""

HEALTH_INTERVAL = 0.05
"""Seconds between two questions whether a starting program is ready; asked only until it is."""

RESTARTS = 4
RESTART_WINDOW = 600.0
"""A program may be started again four times in ten minutes: its fifth death ends all."""


@dataclass(frozen=True)
class ProgramPlan:
    """How one program is started: as whom, with what, and where it says that it is ready."""

    name: str
    command: list[str]
    environment: dict[str, str]
    directory: str
    log: str
    health_socket: str
    health_path: str = HEALTH_PATH
    uid: int | None = None
    gid: int | None = None
    groups: list[int] = field(default_factory=list)
    """Taken when ``uid`` is set; the supervisor's own identity is kept when it is None."""
    inherited_socket: bool = False
    """Whether it takes over the listening socket that the supervisor was started with."""
    restarted: bool = False
    """Whether its death is mended by starting it again, or ends the session."""


@dataclass(frozen=True)
class Plan:
    """All that a supervisor needs to know."""

    session: str
    control: str
    ended_file: str
    programs: list[ProgramPlan]
    listening_fd: int | None = None

    @classmethod
    def from_json(cls, text: str) -> Plan:
        data = json.loads(text)
        data["programs"] = [ProgramPlan(**program) for program in data["programs"]]
        return cls(**data)

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass
class Status:
    """What the hub and the administrator may know of a session."""

    programs: dict[str, str]
    """Name → ``starting``, ``ready``, ``restarting`` or ``ended``."""
    ended: dict[str, str] | None = None
    """``{when, reason}``: ISO 8601 in UTC, and a sentence."""

    @property
    def ready(self) -> bool:
        return all(state == "ready" for state in self.programs.values())


def ended_now(reason: str) -> dict[str, str]:
    """``{when, reason}`` with the present time."""
    return {"when": datetime.now(UTC).isoformat(timespec="seconds"), "reason": reason}


def death_sentence(name: str, code: int) -> str:
    """Plain words for how a program ended; ``code`` as ``subprocess`` gives it."""
    if code >= 0:
        return f"The session's program “{name}” ended (exit code {code})."
    try:
        how = signal.Signals(-code).name
    except ValueError:
        how = f"signal {-code}"
    return f"The session's program “{name}” was killed ({how})."


class Supervisor:
    """Starts the programs of ``plan`` and runs until the session ends."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.status = Status({program.name: "starting" for program in plan.programs})
        self._plans = {program.name: program for program in plan.programs}
        self._running: dict[int, str] = {}
        self._deaths: dict[str, deque[float]] = {}
        self._listeners: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._end = asyncio.Event()

    async def run(self) -> None:
        """From the start of the first program until nothing of the session is left."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._finish, "The session was stopped.")
        Path(self.plan.control).unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._listen, self.plan.control)
        Path(self.plan.control).chmod(0o600)
        for program in self.plan.programs:
            self._start(program)
        await self._end.wait()
        for task in self._tasks:
            task.cancel()
        await self._end_tree()
        Path(self.plan.ended_file).write_text(json.dumps(self.status.ended))
        self._tell()
        server.close()
        for listener in list(self._listeners):
            with contextlib.suppress(OSError):
                await asyncio.wait_for(listener.drain(), 1)
            listener.close()

    # -- Programs ---------------------------------------------------------------------------------

    def _start(self, program: ProgramPlan) -> None:
        # The tree is being ended: a death seen now must not start anything.
        if self._end.is_set():
            return
        environment = dict(program.environment)
        descriptors: tuple[int, ...] = ()
        if program.inherited_socket and self.plan.listening_fd is not None:
            # nginx's own way to take over a socket that listens already.
            environment["NGINX"] = f"{self.plan.listening_fd};"
            descriptors = (self.plan.listening_fd,)
        identity: dict[str, Any] = {}
        if program.uid is not None:
            identity = {
                "user": program.uid,
                "group": program.gid,
                "extra_groups": program.groups,
            }
        try:
            with Path(program.log).open("ab") as log:
                process = subprocess.Popen(
                    program.command,
                    env=environment,
                    cwd=program.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    umask=UMASK,
                    pass_fds=descriptors,
                    # After the change of user, which would clear it.
                    preexec_fn=_die_with_parent,
                    **identity,
                )
        except (OSError, subprocess.SubprocessError) as error:
            self._finish(f"The session's program “{program.name}” could not be started: {error}.")
            return
        self._running[process.pid] = program.name
        # Reaped by pid in _reap; Popen must not wait for it too.
        process.returncode = 0
        self._task(self._await_ready(program, process.pid))

    async def _await_ready(self, program: ProgramPlan, pid: int) -> None:
        while self._running.get(pid) == program.name:
            if await is_healthy(program.health_socket, program.health_path):
                self.status.programs[program.name] = "ready"
                self._tell()
                return
            await asyncio.sleep(HEALTH_INTERVAL)

    def _reap(self) -> None:
        """Collect every ended child: programs, and whatever they left behind."""
        for pid, code in _ended_children():
            name = self._running.pop(pid, None)
            if name is not None:
                self._died(self._plans[name], code)

    def _died(self, program: ProgramPlan, code: int) -> None:
        sentence = death_sentence(program.name, code)
        print(f"supervisor: {sentence}", file=sys.stderr, flush=True)
        self.status.programs[program.name] = "ended"
        deaths = self._deaths.setdefault(program.name, deque())
        now = time.monotonic()
        deaths.append(now)
        while now - deaths[0] > RESTART_WINDOW:
            deaths.popleft()
        if program.restarted and len(deaths) <= RESTARTS:
            self.status.programs[program.name] = "restarting"
            self._tell()
            self._task(self._restart(program, len(deaths)))
            return
        if program.restarted:
            sentence += " It had been started again four times in ten minutes."
        self._finish(sentence)

    async def _restart(self, program: ProgramPlan, deaths: int) -> None:
        # At once, then with growing patience: something that dies at its start must not spin.
        await asyncio.sleep(0 if deaths == 1 else 0.5 * 2 ** (deaths - 2))
        self._start(program)

    # -- The end ----------------------------------------------------------------------------------

    def _finish(self, reason: str) -> None:
        """End the session, for the first reason given."""
        if self.status.ended is None:
            self.status.ended = ended_now(reason)
            self._tell()
        self._end.set()

    async def _end_tree(self) -> None:
        """SIGTERM to the programs, then SIGKILL to everything below, until nothing is left."""
        loop = asyncio.get_running_loop()
        loop.remove_signal_handler(signal.SIGCHLD)
        for pid in self._running:
            _signal(pid, signal.SIGTERM)
        patience = loop.time() + TERM_SECONDS
        while True:
            for pid, _ in _ended_children():
                self._running.pop(pid, None)
            if not self._running or loop.time() > patience:
                break
            await asyncio.sleep(0.02)
        # Orphans become this process's own children: when it has none left, nothing is left.
        while psutil.Process().children():
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            await asyncio.sleep(0.02)
            list(_ended_children())

    # -- The control socket -----------------------------------------------------------------------

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._listeners.add(writer)
        writer.write(self._line())
        try:
            while line := await reader.readline():
                command, _, reason = line.decode(errors="replace").strip().partition(" ")
                if command == "stop":
                    self._finish(reason or "The session was stopped.")
        except (ConnectionError, ValueError):
            pass
        finally:
            self._listeners.discard(writer)
            writer.close()

    def _tell(self) -> None:
        for listener in self._listeners:
            listener.write(self._line())

    def _line(self) -> bytes:
        return json.dumps(asdict(self.status)).encode() + b"\n"

    def _task(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def is_healthy(socket_path: str, path: str, seconds: float = 2.0) -> bool:
    """Whether ``GET path`` on a unix socket is answered with a 2xx status in time."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_unix_connection(socket_path)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
                status_line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False
    return status_line.partition(b" ")[2].startswith(b"2")


def _ended_children() -> Iterator[tuple[int, int]]:
    """``(pid, code)`` of every child that has ended and was not collected yet."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    """In the child: SIGKILL when the supervisor is killed, so that no program is left alone."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def main() -> None:
    """Read the plan, become a subreaper and run it."""
    plan = Plan.from_json(sys.stdin.read())
    if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")
    asyncio.run(Supervisor(plan).run())


if __name__ == "__main__":
    main()
