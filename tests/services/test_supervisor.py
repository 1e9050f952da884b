"""The rules of a local session's deaths, with stand-ins for its programs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from savu_spawner.supervisor import Plan, ProgramPlan

FAKE = Path(__file__).parent.parent / "support" / "fake_program.py"


class Session:
    """A running supervisor and what it says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        self.seen: list[dict[str, Any]] = []

    def start(self, *names: str, options: dict[str, list[str]] | None = None) -> None:
        programs = [
            ProgramPlan(
                name=name,
                command=[
                    *(sys.executable, str(FAKE), str(self.folder / f"{name}.sock")),
                    *(str(self.folder / f"{name}.pid"), *(options or {}).get(name, [])),
                ],
                environment={"PATH": os.environ["PATH"]},
                directory="/",
                log=str(self.folder / f"{name}.log"),
                health_socket=str(self.folder / f"{name}.sock"),
                restarted=name == "dataserver",
            )
            for name in names
        ]
        self.run(Plan("test", str(self.control), str(self.folder / "ended.json"), programs))

    def run(self, plan: Plan) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "savu_spawner.supervisor"], stdin=subprocess.PIPE, text=True
        )
        assert self.process.stdin is not None
        self.process.stdin.write(plan.to_json())
        self.process.stdin.close()

    @property
    def control(self) -> Path:
        return self.folder / "control.sock"

    def pids(self, name: str) -> list[int]:
        return [int(line) for line in (self.folder / f"{name}.pid").read_text().split()]

    def ended(self) -> str:
        return str(json.loads((self.folder / "ended.json").read_text())["reason"])

    async def until(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first status for which ``condition`` holds."""
        while not self.control.exists():
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_unix_connection(str(self.control))
        try:
            while line := await reader.readline():
                status = json.loads(line)
                if condition(status):
                    return dict(status)
        finally:
            writer.close()
        raise AssertionError(f"the supervisor ended before: {self.seen}")

    async def ready(self) -> None:
        await self.until(lambda s: set(s["programs"].values()) == {"ready"})

    async def gone(self) -> None:
        assert self.process is not None
        await asyncio.to_thread(self.process.wait, 20)


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    session = Session(tmp_path)
    yield session
    if session.process is not None and session.process.poll() is None:
        session.process.terminate()
        await session.gone()


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


async def test_all_programs_become_ready(session: Session) -> None:
    session.start("web", "gate", "api", "dataserver")
    await session.ready()
    assert all(alive(session.pids(name)[0]) for name in ("web", "gate", "api", "dataserver"))


@pytest.mark.parametrize("name", ["web", "gate", "api"])
async def test_death_of_an_essential_program_ends_the_session_and_names_it(
    session: Session, name: str
) -> None:
    session.start("web", "gate", "api", "dataserver")
    await session.ready()
    os.kill(session.pids(name)[0], signal.SIGKILL)
    await session.gone()
    assert session.ended() == f"The session's program “{name}” was killed (SIGKILL)."
    assert not any(alive(session.pids(p)[0]) for p in ("web", "gate", "api", "dataserver"))


async def test_dataserver_is_started_again(session: Session) -> None:
    session.start("api", "dataserver")
    await session.ready()
    os.kill(session.pids("dataserver")[0], signal.SIGKILL)
    await session.until(
        lambda s: s["programs"]["dataserver"] == "ready" and len(session.pids("dataserver")) == 2
    )
    assert alive(session.pids("dataserver")[1])


async def test_fifth_death_of_the_dataserver_ends_the_session(session: Session) -> None:
    session.start("api", "dataserver", options={"dataserver": ["--dies"]})
    await session.gone()
    assert len(session.pids("dataserver")) == 5
    assert "“dataserver” ended (exit code 3)" in session.ended()
    assert "four times in ten minutes" in session.ended()


async def test_stop_ends_stubborn_programs_and_detached_grandchildren(session: Session) -> None:
    mark = session.folder / "grandchild.pid"
    session.start("api", options={"api": ["--stubborn", "--grandchild", str(mark)]})
    await session.ready()
    grandchild = int(mark.read_text())
    assert alive(grandchild)
    assert session.process is not None
    session.process.terminate()
    await session.gone()
    assert not alive(grandchild)
    assert not alive(session.pids("api")[0])


async def test_programs_die_with_a_killed_supervisor(session: Session) -> None:
    session.start("api", "dataserver")
    await session.ready()
    programs = [psutil.Process(session.pids(name)[0]) for name in ("api", "dataserver")]
    assert session.process is not None
    session.process.kill()
    _, left = await asyncio.to_thread(psutil.wait_procs, programs, 10)
    assert not left


async def test_program_that_cannot_be_started_is_named(session: Session, tmp_path: Path) -> None:
    program = ProgramPlan(
        name="api",
        command=["/nowhere/api"],
        environment={},
        directory="/",
        log=str(tmp_path / "api.log"),
        health_socket=str(tmp_path / "api.sock"),
    )
    session.run(Plan("test", str(session.control), str(tmp_path / "ended.json"), [program]))
    await session.gone()
    assert "“api” could not be started" in session.ended()


async def test_stop_says_the_reason_it_was_given(session: Session) -> None:
    session.start("api")
    await session.ready()
    _, writer = await asyncio.open_unix_connection(str(session.control))
    writer.write(b"stop The machine is being serviced.\n")
    await session.gone()
    writer.close()
    assert session.ended() == "The machine is being serviced."
