"""A session from its start to its end, on a real hub."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
from typing import Any

import psutil
import pytest
import requests

from demo.bed import Bed
from demo.visitor import text_of
from savu_spawner.contract import PROGRAMS
from savu_spawner.local_session import SessionFolder
from tests.support.needs import needs_root
from tests.support.people import person, programs_of, stop_session, wait_until


def test_progress_is_told_in_plain_words_and_moves(bed: Bed) -> None:
    ada = person(bed, "ada")
    ada.start_server()
    events = list(ada.progress())
    said = " ".join(event.get("message", "") for event in events)
    for words in ("Looking you up", "Ada Lovelace", "cm10001_1", "The data server is ready"):
        assert words in said
    percents = [event["progress"] for event in events]
    assert percents == sorted(percents)
    assert len(set(percents)) >= 5
    assert events[-1]["ready"]
    assert ada.open_session().ok
    stop_session(bed, "ada")


def test_session_opens_below_its_prefix_and_ends_without_a_trace(bed: Bed) -> None:
    ada = person(bed, "ada")
    ada.ensure_session()
    assert ada.get("api/session")["user"] == "ada"
    programs = programs_of(bed, "ada")
    assert set(programs) == set(PROGRAMS)
    below = [child for program in programs.values() for child in program.children(recursive=True)]
    stop_session(bed, "ada")
    assert not [p for p in [*programs.values(), *below] if p.is_running()]
    assert not SessionFolder.of(str(bed.runtime_dir), "ada", "").path.exists()


def test_programs_run_as_the_user_and_as_nobodys_account(bed: Bed) -> None:
    needs_root()
    ada = person(bed, "ada")
    ada.ensure_session()
    programs = programs_of(bed, "ada")
    for name in ("api", "dataserver"):
        assert set(programs[name].uids()) == {21001}
        assert set(programs[name].gids()) == {21001}
        assert supplementary_groups(programs[name]) == {31001}
    for name in ("web", "gate"):
        assert set(programs[name].uids()) == {64180}
        assert supplementary_groups(programs[name]) <= {64180}
    stop_session(bed, "ada")


def test_the_hubs_token_is_in_the_gate_and_nowhere_else(bed: Bed) -> None:
    ada = person(bed, "ada")
    ada.ensure_session()
    for name, program in programs_of(bed, "ada").items():
        hub_variables = [v for v in program.environ() if v.startswith(("JUPYTERHUB_", "JPY_"))]
        assert bool(hub_variables) == (name == "gate")
        assert not any("TOKEN" in word for word in program.cmdline())
    stop_session(bed, "ada")


def test_the_user_cannot_reach_the_gate_from_inside(bed: Bed) -> None:
    needs_root()
    ada = person(bed, "ada")
    ada.ensure_session()
    gate = programs_of(bed, "ada")["gate"]
    folder = SessionFolder.of(str(bed.runtime_dir), "ada", "")
    for attempt in (
        f"open('/proc/{gate.pid}/environ','rb').read()",
        f"import os; os.kill({gate.pid}, 15)",
        f"import socket; socket.socket(socket.AF_UNIX).connect('{folder.socket('gate')}')",
        f"import os; os.rename('{folder.path}/gate', '{folder.path}/gone')",
        f"open('{folder.record}').read()",
    ):
        result = subprocess.run(
            [sys.executable, "-c", attempt],
            user=21001,
            group=21001,
            extra_groups=[31001],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "PermissionError" in result.stderr, attempt
    assert gate.is_running()
    stop_session(bed, "ada")


def supplementary_groups(process: psutil.Process) -> set[int]:
    with open(f"/proc/{process.pid}/status") as status:  # noqa: PTH123
        line = next(line for line in status if line.startswith("Groups:"))
    return {int(gid) for gid in line.split()[1:]}


def test_named_server_has_a_session_of_its_own(bed: Bed) -> None:
    ada = person(bed, "ada")
    ada.ensure_session()
    ada.ensure_session("second")
    assert ada.get("api/session")["server"] == ""
    assert ada.get("api/session", server="second")["server"] == "second"
    stop_session(bed, "ada", "second")
    assert ada.get("api/session")["user"] == "ada"
    stop_session(bed, "ada")


@pytest.mark.parametrize("name", ["api", "data", "assets"])
def test_server_name_that_would_shadow_a_path_is_refused_in_words(bed: Bed, name: str) -> None:
    ada = person(bed, "ada")
    with pytest.raises(RuntimeError, match="is used inside every session"):
        ada.ensure_session(name)
    ada.hub("DELETE", f"users/ada/servers/{name}", json={"remove": True})


def test_several_people_at_once(bed: Bed) -> None:
    people = [person(bed, name) for name in ("ada", "alan", "grace")]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(lambda someone: someone.ensure_session(), people))
    for someone in people:
        session = someone.get("api/session")
        assert session["user"] == someone.name
    for someone in people:
        stop_session(bed, someone.name)


@pytest.mark.parametrize("program", ["web", "gate", "api"])
def test_death_of_a_program_ends_the_session_and_the_next_page_says_which(
    bed: Bed, program: str
) -> None:
    ada = person(bed, "ada")
    ada.ensure_session()
    os.kill(programs_of(bed, "ada")[program].pid, signal.SIGKILL)
    wait_until(lambda: f"program “{program}” was killed" in ada.home())
    ended = ada.http.get(f"{bed.url}hub/savu/ended/ada/").json()
    assert program in ended["reason"]
    assert not programs_of(bed, "ada")


def test_dataserver_comes_back_by_itself(bed: Bed) -> None:
    ada = person(bed, "ada")
    ada.ensure_session()
    before = programs_of(bed, "ada")["dataserver"].pid
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: programs_of(bed, "ada").get("dataserver", psutil.Process()).pid != before)
    wait_until(lambda: ada.request("GET", "data/tree", params={"path": "/"}).status_code < 500)
    stop_session(bed, "ada")


def test_stopped_session_is_told_to_the_open_page_and_the_next_one(bed: Bed) -> None:
    ada = person(bed, "ada")
    ada.ensure_session()
    stop_session(bed, "ada")
    assert ada.request("GET", "api/session").status_code == 424
    assert "Your last session ended" in ada.home()
    assert "administrator" in ada.http.get(f"{bed.url}hub/savu/ended/ada/").json()["reason"]
    ada.ensure_session()
    assert "Your last session ended" not in ada.home()
    stop_session(bed, "ada")


def test_end_of_a_named_server_is_told_to_its_page_and_by_its_name(bed: Bed) -> None:
    ada = person(bed, "ada")
    ada.ensure_session("second")
    stop_session(bed, "ada", "second")
    ended = ada.http.get(f"{bed.url}hub/savu/ended/ada/second").json()
    assert "administrator" in ended["reason"]
    assert "Your session “second” ended" in ada.home()
    assert "Your session “second” ended" in text_of(ada.open_session("second"))
    ada.hub("DELETE", "users/ada/servers/second", json={"remove": True})
    assert "second" not in ada.home()


def test_nothing_is_told_of_a_server_that_never_was(bed: Bed) -> None:
    ada = person(bed, "ada")
    assert ada.http.get(f"{bed.url}hub/savu/ended/ada/never").json() is None
    assert "never" not in ada.home()


def test_how_a_session_ended_is_not_told_to_others(bed: Bed) -> None:
    grace = person(bed, "grace")
    assert grace.http.get(f"{bed.url}hub/savu/ended/ada/").status_code == 404


def test_killed_hub_comes_back_and_the_session_is_still_there(bed: Bed) -> None:
    ada = person(bed, "ada")
    ada.ensure_session()
    api = programs_of(bed, "ada")["api"]
    bed.kill_hub()
    assert api.is_running()
    bed.start_hub()
    assert ada.get("api/session")["user"] == "ada"
    assert programs_of(bed, "ada")["api"].pid == api.pid
    stop_session(bed, "ada")
    assert not api.is_running()


def test_caretaker_removes_what_a_killed_supervisor_left(bed: Bed) -> None:
    ada = person(bed, "ada")
    ada.ensure_session()
    folder = SessionFolder.of(str(bed.runtime_dir), "ada", "")
    supervisor = programs_of(bed, "ada")["api"].parent()
    assert supervisor is not None
    members = supervisor.children(recursive=True)
    assert len(members) > len(PROGRAMS), "nginx has a worker, which does not die with its master"
    bed.kill_hub()
    supervisor.kill()
    bed.start_hub()
    wait_until(lambda: not folder.path.exists())
    wait_until(lambda: not [member for member in members if member.is_running()])
    wait_until(lambda: "supervisor was killed" in person(bed, "ada").home())


def test_start_and_end_of_a_session_are_in_the_audit_log(bed: Bed) -> None:
    needs_root()
    person(bed, "ada").ensure_session()
    stop_session(bed, "ada")

    def audited() -> list[dict[str, Any]]:
        lines = bed.hub_log.read_text().splitlines()
        return [json.loads(line)["audit"] for line in lines if line.startswith('{"audit"')]

    wait_until(lambda: audited()[-1]["event"] == "ended")
    start, end = audited()[-2:]
    assert (start["event"], start["user"], start["server"]) == ("started", "ada", "")
    assert (start["uid"], start["gid"], start["supplementary_gids"]) == (21001, 21001, [31001])
    assert end["instance"] == start["instance"]
    assert "stopped" in end["reason"]


def test_running_job_ends_with_its_session_and_is_told_as_failed(bed: Bed) -> None:
    ada = person(bed, "ada")
    ada.ensure_session()
    visit = bed.folder / "data" / "cm10001-1"
    submitted = ada.request(
        "POST",
        "api/jobs/full/submit",
        json={
            "process_list": f"{visit}/processing/process_lists/sample.nxs",
            "dataset": f"{visit}/raw/vessel_00001.nxs",
            "output": f"{visit}/processing",
        },
    )
    assert submitted.status_code == 202, submitted.text
    job = submitted.json()["job"]["id"]

    def engine() -> list[psutil.Process]:
        return [
            process
            for process in programs_of(bed, "ada")["api"].children(recursive=True)
            if "savu_builtin" in process.cmdline()
        ]

    wait_until(engine)
    at_work = engine()
    stop_session(bed, "ada")
    assert not [process for process in at_work if process.is_running()]
    ada.ensure_session()
    told = ada.get(f"api/jobs/full/{job}")["job"]
    assert told["state"] in ("failed", "cancelled")
    assert told["message"]
    stop_session(bed, "ada")


def test_script_with_an_api_token_uses_the_api_without_a_browser(bed: Bed) -> None:
    ada = person(bed, "ada")
    ada.ensure_session()
    answer = ada.hub("POST", "users/ada/tokens", json={"note": "a script"})
    headers = {"Authorization": f"token {answer.json()['token']}"}
    address = f"{bed.url}user/ada/api/"
    assert "AstraReconCpu" in requests.get(f"{address}plugin", headers=headers, timeout=30).json()
    folder = bed.folder / "data" / "cm10001-1" / "processing"
    body = {"plugins": [{"name": "NxtomoLoader", "active": True, "parameters": []}]}
    made = requests.post(
        f"{address}process_list",
        params={"filename": f"{folder}/by-script-{os.getpid()}.nxs"},
        json=body,
        headers=headers,
        timeout=30,
    )
    assert made.status_code == 201, made.text
    assert requests.get(f"{address}plugin", timeout=30).status_code == 401
    stop_session(bed, "ada")
