"""The list of jobs survives kills and damage."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from savu_api.jobs.job import Job, Result, Rows, from_record
from savu_api.jobs.store import JobStore, StoreInUse
from savu_api.jobs.user_log import Progress

JOB = Job(
    id="0123456789ab",
    queue="preview",
    sequence=7,
    state="completed",
    process_list="/d/list.nxs",
    dataset="/d/scan.nxs",
    output="/d/out/20261124020000_scan",
    engine="builtin",
    submitted="2026-11-24T02:00:00.000Z",
    exit_code=0,
    rows=Rows(62, 66, 128),
    result=Result("/d/out/scan_processed.nxs", "/entry/final_result_tomo/data", (256, 4, 256)),
    progress=Progress(100.0, "TiffSaver", 100.0, 3, 3),
)


def test_what_was_stored_is_read_back(tmp_path: Path):
    store = JobStore(tmp_path / "jobs")
    store.load()
    older = replace(JOB, id="ba9876543210", sequence=2)
    store.save(JOB)
    store.save(older)
    assert JobStore(tmp_path / "jobs").load() == [older, JOB]


def test_the_list_is_the_users_own(tmp_path: Path):
    store = JobStore(tmp_path / "jobs")
    store.load()
    store.save(JOB)
    assert (tmp_path / "jobs").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "jobs" / f"{JOB.id}.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b'{"id": "0123',
        b"[]",
        b"null",
        b'{"id": 3}',
        b"\xff\xfe\x00",
        b'{"progress": {"x": 1}}',
    ],
)
def test_a_damaged_file_is_set_aside_and_costs_no_other_job(tmp_path: Path, damage: bytes):
    store = JobStore(tmp_path)
    store.save(JOB)
    (tmp_path / "damaged.json").write_bytes(damage)
    assert store.load() == [JOB]
    assert (tmp_path / "damaged.json.unreadable").read_bytes() == damage
    assert store.load() == [JOB]


def test_a_file_under_another_jobs_name_is_set_aside(tmp_path: Path):
    store = JobStore(tmp_path)
    store.save(JOB)
    (tmp_path / f"{JOB.id}.json").rename(tmp_path / "another.json")
    assert store.load() == []


def test_a_kill_while_writing_leaves_the_old_or_the_new(tmp_path: Path):
    store = JobStore(tmp_path)
    store.save(JOB)
    writer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, itertools\n"
            "from dataclasses import replace\n"
            "from pathlib import Path\n"
            "from savu_api.jobs.store import JobStore\n"
            "store = JobStore(Path(sys.argv[1])); job, = store.load(); print(flush=True)\n"
            "for n in itertools.count():\n"
            "    store.save(replace(job, message='x' * (n % 5000)))\n",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    writer.stdout.readline()
    for _ in range(200):
        job = from_record(json.loads((tmp_path / f"{JOB.id}.json").read_bytes()))
        assert replace(job, message="") == JOB
    assert writer.poll() is None
    writer.kill()
    writer.communicate()
    (job,) = store.load()
    assert replace(job, message="") == JOB
    assert [file.name for file in tmp_path.iterdir()] == [f"{JOB.id}.json"]


def test_a_forgotten_job_is_gone(tmp_path: Path):
    store = JobStore(tmp_path)
    store.save(JOB)
    store.forget(JOB.id)
    store.forget(JOB.id)
    assert store.load() == []


def test_two_sessions_cannot_keep_their_jobs_in_one_folder(tmp_path: Path):
    first, second = JobStore(tmp_path), JobStore(tmp_path)
    first.lock()
    with pytest.raises(StoreInUse, match="a state folder of its own"):
        second.lock(patience=0.1)
    first.unlock()
    second.lock(patience=0)
    second.unlock()
