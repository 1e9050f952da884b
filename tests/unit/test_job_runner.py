"""The local runner: nothing of a job outlives it, and how it ended is known."""

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from savu_api.jobs import processes
from savu_api.jobs.local import SUPERVISOR, LocalRunner
from savu_api.jobs.runner import Ended, Run

from tests.support.fake_engine import FakeEngine, fake_engine

SOON = 60.0


@pytest_asyncio.fixture
async def engine(tmp_path: Path) -> AsyncIterator[FakeEngine]:
    async with fake_engine(tmp_path / "engine") as engine:
        yield engine


@pytest.fixture
def run(tmp_path: Path, engine: FakeEngine) -> Run:
    folder = tmp_path / "out" / "run"
    folder.mkdir(parents=True)
    script = Path(SUPERVISOR).parents[1] / "inside_savu" / "run.py"
    argv = [engine.python, script, "scan.nxs", "list.nxs", folder.parent, "-f", "run"]
    return Run(
        job_id=os.urandom(6).hex(),
        argv=[str(part) for part in argv],
        environment={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        folder=folder,
        output=folder / "output.txt",
        killsignal=folder / "killsignal",
    )


@pytest.fixture
def runner() -> LocalRunner:
    return LocalRunner(killsignal_seconds=0.2)


async def test_the_exit_code_is_known_and_the_output_kept(run: Run, engine, runner: LocalRunner):
    await runner.submit(run)
    engine_run = await engine.next_run()
    assert await runner.poll(run.job_id, 0.01) is None
    await engine_run.print("to standard error")
    await engine_run.end(3)
    assert await runner.poll(run.job_id, SOON) == Ended(3)
    assert "to standard error" in run.output.read_text()


async def test_a_signal_that_ended_it_is_known(run: Run, engine, runner: LocalRunner):
    await runner.submit(run)
    await (await engine.next_run()).die(signal.SIGSEGV)
    ended = await runner.poll(run.job_id, SOON)
    assert ended is not None
    assert ended.exit_code == -signal.SIGSEGV


async def test_a_program_that_is_not_there_says_so(run: Run, runner: LocalRunner):
    await runner.submit(replace(run, argv=["/no/such/program"]))
    ended = await runner.poll(run.job_id, SOON)
    assert ended == Ended(None, not_started="No such file or directory")


async def test_the_engine_gets_a_clean_environment_and_the_visits_umask(
    run: Run, engine, runner: LocalRunner, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("API_SECRET", "never to be seen")
    await runner.submit(run)
    engine_run = await engine.next_run()
    assert "API_SECRET" not in engine_run.environment
    assert engine_run.environment["SAVU_JOB"] == run.job_id
    assert engine_run.umask == 0o002
    assert Path(f"/proc/{engine_run.pid}/oom_score_adj").read_text().strip() == "1000"
    assert os.getsid(engine_run.pid) == engine_run.pid
    await engine_run.end(0)
    await runner.poll(run.job_id, SOON)


async def test_a_cancel_leaves_a_killsignal_and_ends_an_engine_that_obeys(
    run: Run, engine, runner: LocalRunner
):
    await runner.submit(run)
    engine_run = await engine.next_run()
    await runner.cancel(run.job_id, patience=SOON)
    ended = await runner.poll(run.job_id, SOON)
    assert ended is not None
    assert ended.exit_code == -signal.SIGTERM
    assert run.killsignal.exists()
    assert not processes.marked([run.job_id])
    await engine_run.gone()


async def test_a_cancel_ends_an_engine_that_ignores_sigterm_and_its_detached_grandchild(
    run: Run, engine, runner: LocalRunner
):
    await runner.submit(run)
    engine_run = await engine.next_run()
    await engine_run.ignore_sigterm()
    grandchild = await engine_run.detach_grandchild()
    assert grandchild in processes.marked([run.job_id])
    await runner.cancel(run.job_id, patience=0.3)
    ended = await runner.poll(run.job_id, SOON)
    assert ended is not None
    assert ended.exit_code == -signal.SIGKILL
    assert not processes.marked([run.job_id])
    assert not Path(f"/proc/{grandchild}").exists()


async def test_what_an_engine_left_behind_is_ended_with_it(run: Run, engine, runner: LocalRunner):
    await runner.submit(run)
    engine_run = await engine.next_run()
    grandchild = await engine_run.detach_grandchild()
    await engine_run.end(0)
    assert await runner.poll(run.job_id, SOON) == Ended(0)
    assert not Path(f"/proc/{grandchild}").exists()


async def test_a_stopped_engine_can_be_cancelled(run: Run, engine, runner: LocalRunner):
    await runner.submit(run)
    engine_run = await engine.next_run()
    os.kill(engine_run.pid, signal.SIGSTOP)
    await runner.cancel(run.job_id, patience=SOON)
    ended = await runner.poll(run.job_id, SOON)
    assert ended is not None
    assert ended.exit_code == -signal.SIGTERM


async def test_when_the_supervisor_is_killed_the_job_is_lost_and_nothing_of_it_left(
    run: Run, engine, runner: LocalRunner
):
    await runner.submit(run)
    engine_run = await engine.next_run()
    await engine_run.detach_grandchild()
    os.kill(parent_of(engine_run.pid), signal.SIGKILL)
    assert await runner.poll(run.job_id, SOON) == Ended(None)
    assert not processes.marked([run.job_id])


async def test_when_the_program_that_started_it_is_killed_nothing_is_left(
    run: Run, engine, tmp_path: Path
):
    program = textwrap.dedent(f"""
        import asyncio, sys
        from pathlib import Path
        from savu_api.jobs.local import LocalRunner
        from savu_api.jobs.runner import Run

        async def main():
            folder = Path({str(run.folder)!r})
            await LocalRunner().submit(Run({run.job_id!r}, {list(run.argv)!r}, {run.environment!r},
                folder, folder / "output.txt", folder / "killsignal"))
            await asyncio.sleep(60)
        asyncio.run(main())
    """)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    engine_run = await engine.next_run()
    await engine_run.ignore_sigterm()
    await engine_run.detach_grandchild()
    process.kill()
    await process.wait()
    await engine_run.gone()
    async with asyncio.timeout(SOON):
        while processes.marked([run.job_id]):
            await asyncio.sleep(0.05)


async def test_leftovers_of_an_earlier_session_are_cleared(run: Run, engine, runner: LocalRunner):
    """The supervisor may have been killed together with the session."""
    environment = {**run.environment, processes.MARK: run.job_id}
    orphan = await asyncio.create_subprocess_exec(*run.argv, env=environment)
    await (await engine.next_run()).ignore_sigterm()
    await asyncio.to_thread(runner.clear, [run.job_id])
    assert await orphan.wait() == -signal.SIGKILL


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
