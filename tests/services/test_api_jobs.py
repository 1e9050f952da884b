"""Jobs through the real API over its socket, with an engine that does as the test says."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import httpx
import numpy as np
import pytest
import pytest_asyncio
from savu_api.jobs import processes
from savu_format.catalogue import load
from savu_format.process_list import ProcessList, Step, read, write

from tests.support.fake_engine import FakeEngine, fake_engine

SOON = 60.0
LOADER = "savu.plugins.loaders.full_field_loaders.nxtomo_loader"
DATA_PATH = "entry1/tomo_entry/data/data"


class Api:
    """The API as a process, and a client to it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.socket = environment["API_LISTEN"].removeprefix("unix:")
        self.process: asyncio.subprocess.Process | None = None
        self.client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=self.socket),
            base_url="http://session",
            timeout=SOON,
        )

    async def start(self) -> None:
        Path(self.socket).unlink(missing_ok=True)
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "savu_api"), env=self.environment
        )
        await self.ready()

    async def ready(self) -> None:
        async with asyncio.timeout(SOON):
            while True:
                assert self.process is None or self.process.returncode is None, "it did not start"
                with contextlib.suppress(httpx.TransportError):
                    if (await self.client.get("/internal/health")).status_code == 204:
                        return
                await asyncio.sleep(0.05)

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(SOON):
            return await self.process.wait()

    async def submit(self, queue: str = "full", **body: str) -> httpx.Response:
        return await self.client.post(f"/jobs/{queue}/submit", json=body)

    async def job(self, job: dict[str, Any], queue: str = "full") -> dict[str, Any]:
        answer = await self.client.get(f"/jobs/{queue}/{job['id']}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["job"]
        return found

    async def job_once(
        self, job: dict[str, Any], condition: Callable[[dict[str, Any]], bool], queue: str = "full"
    ) -> dict[str, Any]:
        """The job as soon as ``condition`` holds, told by the stream of events."""
        async with asyncio.timeout(SOON), self.events() as events:
            async for each in events:
                if each["job"]["id"] == job["id"] and condition(each["job"]):
                    assert each["queue"] == queue
                    return each["job"]
        raise AssertionError("the stream ended")

    async def ended(self, job: dict[str, Any], queue: str = "full") -> dict[str, Any]:
        return await self.job_once(job, lambda each: each["ended"] is not None, queue)

    @contextlib.asynccontextmanager
    async def events(self, kind: str = "job") -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        async with self.client.stream("GET", "/jobs/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield events_of(answer, kind)


async def events_of(answer: httpx.Response, wanted: str) -> AsyncIterator[dict[str, Any]]:
    kind = ""
    async for line in answer.aiter_lines():
        if line.startswith("event:"):
            kind = line.partition(":")[2].strip()
        elif line.startswith("data:") and kind == wanted:
            yield json.loads(line.partition(":")[2])


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[FakeEngine]:
    with tempfile.TemporaryDirectory(prefix="e-") as folder:
        async with fake_engine(Path(folder)) as engine:
            yield engine


@pytest.fixture
def visit(tmp_path: Path) -> Path:
    """A visit with a scan of 16 rows, and a list of two steps and one that is switched off."""
    visit = tmp_path / "cm10001-1"
    (visit / "raw").mkdir(parents=True)
    (visit / "processing").mkdir()
    with h5py.File(visit / "raw" / "scan.nxs", "w") as file:
        file[DATA_PATH] = np.zeros((5, 16, 8), "u2")
    steps = (
        Step("1", "NxtomoLoader", LOADER, True, {"preview": [], "data_path": DATA_PATH}),
        Step("2", "Invert", "savu.plugins.filters.invert", True, {"mode": "fast"}),
        Step("3", "Unheard", "savu.plugins.filters.unheard", False, {}),
        Step("4", "TiffSaver", "savu.plugins.savers.tiff_saver", True, {}),
    )
    write(visit / "processing" / "list.nxs", ProcessList(steps), overwrite=False)
    return visit


@pytest.fixture
def asked(visit: Path) -> dict[str, str]:
    """What a run of that list is asked for with."""
    return {
        "process_list": str(visit / "processing" / "list.nxs"),
        "dataset": str(visit / "raw" / "scan.nxs"),
        "output": str(visit / "processing"),
    }


def environment(folder: Path, engine: FakeEngine, data_root: Path, state: Path) -> dict[str, str]:
    """What the API reads, with its socket in ``folder`` and its home and jobs below ``state``."""
    home = state / "home"
    home.mkdir(parents=True)
    return {
        "API_LISTEN": f"unix:{folder}/api.sock",
        "API_STATE_DIR": str(state),
        "DATA_ROOTS": str(data_root),
        "VISIT_PATH_TEMPLATE": "",
        "SESSION_USER": "ada",
        "SESSION_DISPLAY_NAME": "Ada",
        "SESSION_SERVER_NAME": "",
        "SESSION_GROUPS": "ada=21001",
        "HUB_URL": "/hub/",
        "SUPPORT_CONTACT": "help@example.org",
        "ENGINES": "savu",
        "SAVU_PYTHON": str(engine.python),
        "SAVU_CATALOGUE": str(engine.catalogue),
        "HOME": str(home),
        "TMPDIR": str(home),
        "NUMBA_CACHE_DIR": str(home),
        "PATH": os.environ["PATH"],
    }


@pytest_asyncio.fixture
async def api(tmp_path: Path, visit: Path, engine: FakeEngine) -> AsyncIterator[Api]:
    with tempfile.TemporaryDirectory(prefix="a-") as folder:
        api = Api(environment(Path(folder), engine, visit, tmp_path / "state"))
        try:
            await api.start()
            yield api
        finally:
            await api.end()
            await api.client.aclose()


@pytest.fixture(scope="module")
def idle_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Of one API for all tests in which nothing ever runs; every test's folder is its data."""
    with tempfile.TemporaryDirectory(prefix="i-") as folder:
        engine = FakeEngine(Path(folder))
        state = tmp_path_factory.mktemp("idle")
        variables = environment(Path(folder), engine, tmp_path_factory.getbasetemp(), state)
        process = subprocess.Popen([sys.executable, "-m", "savu_api"], env=variables)
        yield variables
        process.terminate()
        assert process.wait(SOON) == 0


@pytest_asyncio.fixture
async def idle_api(idle_environment: dict[str, str]) -> AsyncIterator[Api]:
    api = Api(idle_environment)
    async with api.client:
        await api.ready()
        yield api


async def submitted(api: Api, asked: dict[str, str], queue: str = "full") -> dict[str, Any]:
    answer = await api.submit(queue, **asked)
    assert answer.status_code == 202, answer.text
    assert answer.json()["queue"] == queue
    job: dict[str, Any] = answer.json()["job"]
    return job


# -- A run from start to end --------------------------------


async def test_a_run_reports_its_progress_and_its_result(api: Api, engine, asked, visit: Path):
    job = await submitted(api, asked)
    run = await engine.next_run()
    folder = Path(job["output"])
    assert folder.parent == visit / "processing"
    assert folder.name.endswith("_scan")
    assert run.argv == [
        asked["dataset"],
        str(folder / "process_list.nxs"),
        str(folder.parent),
        "-f",
        folder.name,
    ]
    running = await api.job(job)
    assert (running["state"], running["status"], running["running"]) == ("running", "running", True)
    assert running["position"] == 0
    assert running["progress"]["steps"] == 2  # neither the loader nor the step switched off

    await run.log("*Running the Invert plugin*", "Invert -  50% complete")
    moved = await api.job_once(job, lambda each: each["progress"]["percent"] == 25)
    assert moved["progress"] == {
        "percent": 25.0,
        "plugin": "Invert",
        "plugin_percent": 50.0,
        "step": 1,
        "steps": 2,
    }
    await run.log("Invert - 100% complete", "*Running the TiffSaver plugin*")
    await api.job_once(job, lambda each: each["progress"]["percent"] == 50)
    await run.write_result((8, 4, 8))
    await run.complete()

    ended = await api.ended(job)
    assert (ended["state"], ended["status"], ended["successful"]) == ("completed", "0", True)
    assert (ended["message"], ended["position"], ended["incomplete"]) == ("", None, False)
    assert ended["progress"]["percent"] == 100
    assert ended["output_dataset"] == str(folder / "scan_processed.nxs")
    assert ended["result"] == {
        "path": str(folder / "scan_processed.nxs"),
        "dataset": "/entry/final_result_tomo/data",
        "shape": [8, 4, 8],
    }
    assert await api.job(job) == ended


async def test_a_full_run_takes_the_list_as_it_was_when_submitted(api: Api, engine, asked):
    before = Path(asked["process_list"]).read_bytes()
    job = await submitted(api, asked)
    await engine.next_run()
    Path(asked["process_list"]).unlink()
    assert (Path(job["output"]) / "process_list.nxs").read_bytes() == before


async def test_a_preview_runs_the_same_list_on_a_few_middle_rows(api: Api, engine, asked):
    before = Path(asked["process_list"]).read_bytes()
    job = await submitted(api, asked, "preview")
    run = await engine.next_run()
    ran = read(run.argv[1])
    assert ran.steps[0].parameters == {"preview": [":", "6:10:1", ":"], "data_path": DATA_PATH}
    assert ran.steps[1:] == read(asked["process_list"]).steps[1:]
    assert Path(asked["process_list"]).read_bytes() == before
    assert job["preview"] is True
    assert job["rows"] == {"start": 6, "stop": 10, "total": 16}
    assert job["output"].endswith("_scan_preview")


async def test_the_log_is_the_users_log_and_the_output_what_the_engine_wrote(
    api: Api, engine, asked
):
    job = await submitted(api, asked)
    run = await engine.next_run()
    await run.log("*Running the Invert plugin*", "Invert - 100% complete")
    await run.print("a warning of some library")
    path = f"/jobs/full/{job['id']}/log"
    user = (await api.client.get(path, params={"tail": 1})).json()
    assert user["truncated"] is True
    assert [line.partition(" - ")[2] for line in user["lines"]] == ["Invert - 100% complete"]
    output = (await api.client.get(path, params={"source": "output"})).json()
    assert output == {"lines": ["a warning of some library"], "truncated": False}


async def test_the_engine_sees_nothing_of_the_sessions_settings(api: Api, engine, asked):
    await submitted(api, asked)
    seen = (await engine.next_run()).environment
    assert not [name for name in seen if name.startswith(("API_", "SESSION_", "JUPYTERHUB_"))]
    assert seen["HOME"] == api.environment["HOME"]


async def test_what_runs_is_the_users_alone_until_the_job_is_over(api: Api, engine, asked):
    """The list is code, and the visit's other members can write to the visit."""
    job = await submitted(api, asked)
    run = await engine.next_run()
    folder, copy = Path(job["output"]), Path(run.argv[1])
    assert [path.stat().st_mode & 0o777 for path in (folder, copy)] == [0o755, 0o644]
    assert not (folder / "engine_output.txt").stat().st_mode & 0o002
    await run.complete()
    await api.ended(job)
    assert [path.stat().st_mode & 0o777 for path in (folder, copy)] == [0o775, 0o664]


async def test_a_link_in_place_of_the_output_is_not_written_through(
    api: Api, engine, asked, tmp_path: Path
):
    first, second = [await submitted(api, asked) for _ in range(2)]
    target = tmp_path / "profile"
    target.write_text("mine")
    (Path(second["output"]) / "engine_output.txt").symlink_to(target)
    await (await engine.next_run()).complete()
    ended = await api.ended(second)
    assert (ended["state"], target.read_text()) == ("failed", "mine")
    assert "could not be started" in ended["message"]
    assert (await api.job(first))["state"] == "completed"


async def test_streams_that_are_left_are_forgotten(api: Api, engine, asked):
    assert api.process is not None
    await submitted(api, asked)
    await engine.next_run()
    descriptors = Path(f"/proc/{api.process.pid}/fd")
    async with contextlib.AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(api.events()) for _ in range(20)]
        for stream in streams:
            await anext(stream)
        during = len(os.listdir(descriptors))  # noqa: PTH208
    async with asyncio.timeout(SOON):
        while len(os.listdir(descriptors)) > during - 20:  # noqa: PTH208
            await asyncio.sleep(0.05)


# -- Queues --------------------------------


async def test_one_job_of_each_queue_runs_and_the_others_wait_their_turn(api: Api, engine, asked):
    first, second, third = [await submitted(api, asked) for _ in range(3)]
    preview = await submitted(api, asked, "preview")
    runs = {run.folder.name: run for run in [await engine.next_run(), await engine.next_run()]}
    assert set(runs) == {Path(job["output"]).name for job in (first, preview)}
    assert (await api.job(second))["position"] == 1
    assert (await api.job(third))["position"] == 2
    assert (await api.client.get("/internal/activity")).json()["busy"] is True

    await runs[Path(first["output"]).name].complete()
    assert (await engine.next_run()).folder == Path(second["output"])
    assert (await api.job_once(third, lambda each: each["position"] == 1))["state"] == "queued"
    assert not engine.has_more_runs


async def test_the_list_of_jobs_is_newest_first(api: Api, engine, asked):
    jobs = [await submitted(api, asked), await submitted(api, asked, "preview")]
    listed = (await api.client.get("/jobs")).json()["jobs"]
    assert [each["job"]["id"] for each in listed] == [job["id"] for job in reversed(jobs)]
    assert [each["queue"] for each in listed] == ["preview", "full"]


async def test_a_finished_job_can_be_forgotten_and_its_files_stay(api: Api, engine, asked):
    job = await submitted(api, asked)
    run = await engine.next_run()
    too_early = await api.client.delete(f"/jobs/full/{job['id']}")
    assert (too_early.status_code, too_early.json()["code"]) == (409, "job-not-ended")
    await run.write_result()
    await run.complete()
    await api.ended(job)
    async with asyncio.timeout(SOON), api.events("forgotten") as forgotten:
        assert (await api.client.delete(f"/jobs/full/{job['id']}")).status_code == 200
        assert await anext(forgotten) == {"queue": "full", "id": job["id"]}
    assert (await api.client.get("/jobs")).json() == {"jobs": []}
    assert (Path(job["output"]) / "scan_processed.nxs").exists()
    assert (await api.client.get("/internal/activity")).json()["busy"] is False


async def test_events_begin_with_every_job(api: Api, engine, asked):
    jobs = [await submitted(api, asked) for _ in range(3)]
    async with asyncio.timeout(SOON), api.events() as events:
        first = [(await anext(events))["job"]["id"] for _ in jobs]
    assert first == [job["id"] for job in jobs]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", "/jobs/nightly/submit", "no-such-queue"),
        ("GET", "/jobs/nightly/1", "no-such-queue"),
        ("GET", "/jobs/full/0123456789ab", "no-such-job"),
        ("GET", "/jobs/full/..%2f..%2fetc/log", None),
        ("POST", "/jobs/full/0123456789ab/cancel", "no-such-job"),
        ("DELETE", "/jobs/preview/0123456789ab", "no-such-job"),
        ("GET", "/jobs/full/0123456789ab/log", "no-such-job"),
    ],
)
async def test_an_unknown_queue_or_job_is_absent(idle_api: Api, asked, method, path, code):
    body = asked if path.endswith("submit") else None
    answer = await idle_api.client.request(method, path, json=body)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    if code:
        assert answer.json()["code"] == code


async def test_a_job_is_only_found_in_its_own_queue(api: Api, engine, asked):
    job = await submitted(api, asked)
    assert (await api.client.get(f"/jobs/preview/{job['id']}")).status_code == 404


# -- Cancel --------------------------------


async def test_a_cancel_ends_an_engine_that_ignores_sigterm_and_its_detached_grandchild(
    api: Api, engine, asked
):
    job = await submitted(api, asked)
    run = await engine.next_run()
    await run.log("*Running the Invert plugin*")
    await run.ignore_sigterm()
    grandchild = await run.detach_grandchild()
    answer = await api.client.post(f"/jobs/full/{job['id']}/cancel")
    assert answer.status_code == 202
    assert answer.json()["job"]["message"] == "Being cancelled."
    ended = await api.ended(job)
    assert (ended["state"], ended["message"]) == ("cancelled", "Cancelled while Invert ran.")
    assert ended["incomplete"] is True
    assert ended["successful"] is False
    assert (Path(job["output"]) / "killsignal").exists()
    assert not processes.marked([job["id"]])
    assert not Path(f"/proc/{grandchild}").exists()
    again = await api.client.post(f"/jobs/full/{job['id']}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "job-ended")


async def test_an_engine_that_obeys_the_killsignal_ends_by_itself(api: Api, engine, asked):
    job = await submitted(api, asked)
    run = await engine.next_run()
    await api.client.post(f"/jobs/full/{job['id']}/cancel")
    async with asyncio.timeout(SOON):
        while not (Path(job["output"]) / "killsignal").exists():
            await asyncio.sleep(0.01)
    await run.log("* Processing interrupted by killsignal *")
    await run.end(0)
    ended = await api.ended(job)
    assert (ended["state"], ended["status"]) == ("cancelled", "0")


async def test_a_job_that_waits_is_cancelled_at_once_and_leaves_no_folder(api: Api, engine, asked):
    first, second, third = [await submitted(api, asked) for _ in range(3)]
    answer = await api.client.post(f"/jobs/full/{second['id']}/cancel")
    assert answer.json()["job"]["state"] == "cancelled"
    assert not Path(second["output"]).exists()
    await (await engine.next_run()).complete()
    assert (await engine.next_run()).folder == Path(third["output"])
    assert (await api.job(first))["state"] == "completed"


# -- Failures --------------------------------


async def test_a_failure_is_told_by_its_plugin_and_error(api: Api, engine, asked):
    job = await submitted(api, asked)
    run = await engine.next_run()
    await run.log(
        "*Running the Invert plugin*",
        "Traceback (most recent call last):\n"
        '  File "/site/savu/plugins/filters/invert.py", line 40, in process_frames\n'
        "    return 1 / data\n"
        "ZeroDivisionError: division by zero\n",
    )
    await run.end(1)
    ended = await api.ended(job)
    assert (ended["state"], ended["status"]) == ("failed", "1")
    assert ended["message"] == "Invert failed: ZeroDivisionError: division by zero"
    assert ended["incomplete"] is True


async def test_a_killed_engine_fails_its_job_as_out_of_memory_and_the_next_one_runs(
    api: Api, engine, asked
):
    job, following = await submitted(api, asked), await submitted(api, asked)
    run = await engine.next_run()
    await run.log("*Running the Invert plugin*")
    await run.write_result()
    await run.die(signal.SIGKILL)
    ended = await api.ended(job)
    assert ended["state"] == "failed"
    assert "memory ran out" in ended["message"]
    assert "while Invert ran" in ended["message"]
    assert (ended["incomplete"], ended["result"]) == (True, None)
    assert ended["output_dataset"].endswith("/scan_processed.nxs")
    assert (await engine.next_run()).folder == Path(following["output"])


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group of this machine in which 400 MB are all there is."""
    group = Path("/sys/fs/cgroup/memory") / f"savu-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(400_000_000))
    except OSError as error:
        pytest.skip(f"this machine lets no control group (version 1) be made: {error}")
    yield group
    for pid in (group / "cgroup.procs").read_text().split():
        (group.parent / "cgroup.procs").write_text(pid)
    group.rmdir()


async def test_when_the_memory_runs_out_the_job_fails_and_the_session_lives(
    memory_group: Path, api: Api, engine, asked
):
    assert api.process is not None
    (memory_group / "cgroup.procs").write_text(str(api.process.pid))
    job, following = await submitted(api, asked), await submitted(api, asked)
    run = await engine.next_run()
    await run.log("*Running the Invert plugin*")
    await run.eat_memory(800_000_000)
    ended = await api.ended(job)
    assert (ended["state"], ended["status"]) == ("failed", "-9")
    assert ended["message"].startswith("The memory ran out while Invert ran.")
    await (await engine.next_run()).complete()
    assert (await api.ended(following))["state"] == "completed"
    # The group is removed after the API, which has to leave it first.
    (memory_group.parent / "cgroup.procs").write_text(str(api.process.pid))


async def test_exit_code_0_without_the_last_line_is_no_success(api: Api, engine, asked):
    job = await submitted(api, asked)
    await (await engine.next_run()).end(0)
    assert (await api.ended(job))["state"] == "failed"


async def test_a_damaged_result_costs_the_result_and_not_the_job(api: Api, engine, asked):
    job = await submitted(api, asked)
    run = await engine.next_run()
    (run.folder / "scan_processed.nxs").write_bytes(b"\x89HDF\r\n\x1a\n and then nothing")
    await run.complete()
    ended = await api.ended(job)
    assert (ended["state"], ended["result"]) == ("completed", None)


# -- The session's end --------------------------------


async def test_a_killed_api_reads_its_list_back_and_goes_on(api: Api, engine, asked, tmp_path):
    done = await submitted(api, asked)
    await (await engine.next_run()).complete()
    before = await api.ended(done)
    interrupted = await submitted(api, asked)
    run = await engine.next_run()
    await run.log("*Running the Invert plugin*", "Invert - 100% complete")
    await run.ignore_sigterm()
    await run.detach_grandchild()
    waiting = await submitted(api, asked)
    (tmp_path / "state" / "jobs" / "half.json").write_bytes(b'{"id": "ha')

    await api.end(signal.SIGKILL)
    await api.start()

    assert await api.job(done) == before
    lost = await api.job(interrupted)
    assert (lost["state"], lost["incomplete"]) == ("failed", True)
    assert "session ended abruptly while this job ran" in lost["message"]
    assert (lost["progress"]["plugin"], lost["progress"]["percent"]) == ("Invert", 50)
    assert not processes.marked([interrupted["id"]])
    assert (await engine.next_run()).folder == Path(waiting["output"])
    assert (await api.job(waiting))["state"] == "running"


async def test_an_api_that_is_stopped_ends_its_jobs_and_streams_at_once(api: Api, engine, asked):
    job = await submitted(api, asked)
    run = await engine.next_run()
    await run.ignore_sigterm()
    async with api.events() as events:
        await anext(events)
        assert await api.end() == 0
    assert not processes.marked([job["id"]])
    await api.start()
    assert "session ended while this job ran" in (await api.job(job))["message"]


# -- What is refused --------------------------------


async def refused(api: Api, status: int, code: str, queue: str = "full", **body: str) -> str:
    answer = await api.submit(queue, **body)
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await api.client.get("/jobs")).json() == {"jobs": []}
    detail: str = answer.json()["detail"]
    return detail


async def test_what_is_not_there_is_absent(idle_api: Api, asked):
    for name in asked:
        detail = await refused(idle_api, 404, "not-found", **{**asked, name: asked[name] + "-none"})
        assert asked[name] + "-none" in detail


async def test_what_is_outside_the_data_roots_is_refused(idle_api: Api, asked, visit: Path):
    with tempfile.TemporaryDirectory() as outside:
        (visit / "link").symlink_to(outside)
        climbing = f"{visit}/{os.path.relpath(outside, visit)}"
        for output in (outside, str(visit / "link"), climbing):
            await refused(idle_api, 403, "outside-data-roots", **{**asked, "output": output})
        assert not os.listdir(outside)  # noqa: PTH208


async def test_a_list_that_is_none_is_refused(idle_api: Api, asked):
    await refused(
        idle_api, 422, "not-a-process-list", **{**asked, "process_list": asked["dataset"]}
    )


async def test_data_that_is_none_is_refused(idle_api: Api, asked, visit: Path):
    text = visit / "raw" / "text.nxs"
    text.write_text("not HDF5")
    await refused(idle_api, 422, "not-a-dataset", **{**asked, "dataset": str(text)})
    await refused(idle_api, 422, "not-a-dataset", **{**asked, "dataset": str(visit / "raw")})
    cut = visit / "raw" / "cut.nxs"
    cut.write_bytes(Path(asked["dataset"]).read_bytes()[:1000])
    detail = await refused(idle_api, 422, "not-a-dataset", **{**asked, "dataset": str(cut)})
    assert "damaged or cut short" in detail


async def test_a_file_without_the_loaders_data_is_refused_with_its_path(idle_api: Api, asked):
    detail = await refused(
        idle_api, 422, "no-such-data", **{**asked, "dataset": asked["process_list"]}
    )
    assert DATA_PATH in detail


async def test_a_list_that_the_engine_lacks_steps_for_is_refused_with_the_steps(
    idle_api: Api, asked, visit: Path
):
    path = visit / "processing" / "other.nxs"
    steps = (
        Step("1", "NxtomoLoader", LOADER, True, {"preview": []}),
        Step("2", "TomopyRecon", "savu.plugins.reconstructions.tomopy_recon", True, {}),
        Step("3", "Invert", "/home/ada/invert.py", True, {"mode": "fast"}),
        Step("4", "Invert", "savu.plugins.filters.invert", True, {"mode": "fast;odd"}),
    )
    write(path, ProcessList(steps), overwrite=False)
    answer = await idle_api.submit(**{**asked, "process_list": str(path)})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "engine-lacks-steps"), problem
    assert [(each["pos"], each["name"]) for each in problem["lacks"]] == [
        ("2", "TomopyRecon"),
        ("3", "Invert"),
        ("4", "Invert"),
    ]
    assert "step 2 TomopyRecon: savu has no such plugin" in problem["detail"]
    assert "odd" in problem["lacks"][2]["reason"]
    assert problem["elsewhere"] == []


async def test_an_engine_that_is_not_offered_is_refused(idle_api: Api, asked):
    detail = await refused(idle_api, 422, "no-such-engine", **{**asked, "engine": "matlab"})
    assert "offered are savu" in detail


async def test_a_preview_of_a_crop_that_the_scan_has_not_is_refused(
    idle_api: Api, asked, visit: Path
):
    path = visit / "processing" / "crop.nxs"
    parameters = {"preview": [":", "100:200", ":"], "data_path": DATA_PATH}
    write(
        path, ProcessList((Step("1", "NxtomoLoader", LOADER, True, parameters),)), overwrite=False
    )
    body = {**asked, "process_list": str(path)}
    detail = await refused(idle_api, 422, "no-preview", "preview", **body)
    assert "100:200" in detail


async def test_a_body_that_is_not_as_described_is_refused(idle_api: Api, asked):
    for body in (
        {},
        {**asked, "extra": "x"},
        {**asked, "dataset": ""},
        {**asked, "output": "x\0y"},
    ):
        answer = await idle_api.submit(**body)
        assert answer.status_code in (400, 422), answer.text
    assert (await idle_api.client.get("/jobs")).json() == {"jobs": []}


async def test_output_that_exists_is_never_written_to(api: Api, engine, asked, visit: Path):
    """Runs of the same second get folders of their own, and links are not followed."""
    jobs = [await submitted(api, asked) for _ in range(4)]
    folders = {job["output"] for job in jobs}
    assert len(folders) == 4
    first = Path(jobs[0]["output"])
    (first / "mine.txt").write_text("of a colleague")
    await (await engine.next_run()).complete()
    assert (first / "mine.txt").read_text() == "of a colleague"


async def test_two_tabs_at_once_lose_no_job(api: Api, engine, asked):
    answers = await asyncio.gather(*(api.submit(**asked) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {202}
    ids = {answer.json()["job"]["id"] for answer in answers}
    outputs = {answer.json()["job"]["output"] for answer in answers}
    assert len(ids) == len(outputs) == 8
    listed = (await api.client.get("/jobs")).json()["jobs"]
    assert {each["job"]["id"] for each in listed} == ids


@pytest.fixture
def tiny_disk(visit: Path) -> Iterator[Path]:
    """A file system of 32 kB inside the visit."""
    folder = visit / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user cannot mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_is_told_and_leaves_no_folder(tiny_disk: Path, idle_api: Api, asked):
    with contextlib.suppress(OSError), (tiny_disk / "full").open("wb", buffering=0) as stream:
        while stream.write(bytes(1024)):
            pass
    detail = await refused(idle_api, 507, "disk-full", **{**asked, "output": str(tiny_disk)})
    assert "No space left" in detail
    assert [file.name for file in tiny_disk.iterdir()] == ["full"]


# -- With the engine that computes --------------------------------


@pytest_asyncio.fixture
async def builtin_api(tmp_path: Path, visit: Path, engine: FakeEngine) -> AsyncIterator[Api]:
    with tempfile.TemporaryDirectory(prefix="b-") as folder:
        variables = environment(Path(folder), engine, visit, tmp_path / "state")
        api = Api({**variables, "ENGINES": "builtin", "SAVU_PYTHON": "", "SAVU_CATALOGUE": ""})
        try:
            await api.start()
            yield api
        finally:
            await api.end()
            await api.client.aclose()


@pytest.fixture
def tomography(visit: Path) -> dict[str, str]:
    """A cylinder of 64 pixels, seen from 90 sides, and a list that reconstructs it."""
    frames, rows, width = 90, 12, 64
    across = np.sqrt(np.clip(20**2 - (np.arange(width) - 31.5) ** 2, 0, None))
    projection = np.tile(10_000 * np.exp(-0.05 * across), (rows, 1))
    flats, darks = np.full((2, rows, width), 10_000), np.zeros((2, rows, width))
    keys = [1, 1, 2, 2] + [0] * frames
    with h5py.File(visit / "raw" / "cylinder.nxs", "w") as file:
        data = np.concatenate([flats, darks, np.tile(projection, (frames, 1, 1))])
        file[DATA_PATH] = (data + 100).astype("u2")
        file["entry1/tomo_entry/instrument/detector/image_key"] = keys
        angles = [0.0] * 4 + list(np.linspace(0, 180, frames, endpoint=False))
        file["entry1/tomo_entry/data/rotation_angle"] = angles
    printed = subprocess.check_output([sys.executable, "-m", "savu_builtin", "catalogue"])
    plugins = load(json.loads(printed)).plugins
    names = ("NxtomoLoader", "DarkFlatFieldCorrection", "ScikitimageFilterBackProjection")
    steps = tuple(
        Step(str(number), name, plugins[name].id, True, plugins[name].defaults())
        for number, name in enumerate(names, start=1)
    )
    steps[-1].parameters["centre_of_rotation"] = 31.5
    write(visit / "processing" / "cylinder.nxs", ProcessList(steps), overwrite=False)
    return {
        "process_list": str(visit / "processing" / "cylinder.nxs"),
        "dataset": str(visit / "raw" / "cylinder.nxs"),
        "output": str(visit / "processing"),
    }


@pytest.mark.parametrize(("queue", "rows"), [("preview", 4), ("full", 12)])
async def test_the_builtin_engine_reconstructs(
    builtin_api: Api, tomography: dict[str, str], queue: str, rows: int
):
    job = await submitted(builtin_api, tomography, queue)
    ended = await builtin_api.ended(job, queue)
    assert ended["state"] == "completed", ended["message"]
    assert ended["engine"] == "builtin"
    assert ended["result"]["shape"] == [64, rows, 64]
    with h5py.File(ended["result"]["path"]) as file:
        reconstruction = file[ended["result"]["dataset"]][:, rows // 2, :]
    inside = reconstruction[27:37, 27:37].mean()
    outside = np.abs(reconstruction[:6, :6]).mean()
    assert inside > 10 * outside


async def test_the_builtin_engine_imports_nothing_from_where_it_writes(
    builtin_api: Api, tomography: dict[str, str]
):
    first, second = [await submitted(builtin_api, tomography) for _ in range(2)]
    for name in ("argparse.py", "h5py.py", "savu_builtin.py", "numpy.py"):
        (Path(second["output"]) / name).write_text("raise SystemExit('imported')")
    assert (await builtin_api.job(second))["state"] == "queued"
    ended = await builtin_api.ended(second)
    assert ended["state"] == "completed", ended["message"]
    assert (await builtin_api.job(first))["state"] == "completed"


async def test_the_builtin_engine_can_be_cancelled(builtin_api: Api, tomography: dict[str, str]):
    job = await submitted(builtin_api, tomography)
    await builtin_api.client.post(f"/jobs/full/{job['id']}/cancel")
    ended = await builtin_api.ended(job)
    assert ended["state"] == "cancelled", ended["message"]
    assert not processes.marked([job["id"]])
