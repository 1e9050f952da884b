"""Session, plugins, the description of the API, and the program itself: start, environment, end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.api import api_environment, assert_problem, run_once, savu_variables, serve
from tests.support.catalogue import CATALOGUE, write_catalogue
from tests.support.needs import needs_root

# -- Session ---------------------------------------------------------------------------------------


@pytest.fixture
def dls(tmp_path: Path) -> Path:
    """A facility's tree: two visits of the user, one of them closed, and one of somebody else."""
    for path in (
        "i13/data/2025/cm10001-1",
        "i13/data/2026/cm10001-2/raw",
        "i13/data/2026/cm10001-2/processing",
        "i12/data/2026/nt20002-9",
    ):
        (tmp_path / "dls" / path).mkdir(parents=True)
    return tmp_path / "dls"


def test_a_session_says_who_and_where(dls: Path) -> None:
    changes = {
        "VISIT_PATH_TEMPLATE": f"{dls}/{{instrument}}/data/{{year}}/{{visit}}",
        "SESSION_GROUPS": "ada=21001,dls_staff=5000,cm10001_1=31001,cm10001-2=31002",
        "SESSION_SERVER_NAME": "second",
    }
    with serve([dls], changes=changes) as api:
        session = api.client.get("/session").json()
        defaults = api.client.get("/default_paths").json()
    newest = f"{dls}/i13/data/2026/cm10001-2"
    assert {key: session[key] for key in session if key not in ("engines", "groups")} == {
        "user": "ada",
        "display_name": "Ada Lovelace",
        "server": "second",
        "uid": os.geteuid(),
        "gid": os.getegid(),
        "hub_url": "/hub/",
        "support_contact": "support@example.org",
        "data_roots": [str(dls)],
        "visits": [
            {"name": "cm10001-2", "path": newest, "readable": True, "group": "cm10001-2"},
            {
                "name": "cm10001-1",
                "path": f"{dls}/i13/data/2025/cm10001-1",
                "readable": True,
                "group": "cm10001_1",
            },
        ],
        "default_paths": defaults,
    }
    assert session["groups"][1] == {"name": "dls_staff", "gid": 5000}
    assert defaults == {
        "data": f"{newest}/raw",
        "process_list": f"{newest}/processing",
        "output": f"{newest}/processing",
    }


def test_without_visits_the_first_data_root_is_where_to_begin(tmp_path: Path) -> None:
    with serve([tmp_path], changes={"SESSION_GROUPS": "", "VISIT_PATH_TEMPLATE": ""}) as api:
        assert api.client.get("/session").json()["visits"] == []
        assert set(api.client.get("/default_paths").json().values()) == {str(tmp_path)}


def test_a_visit_that_may_not_be_read_is_shown_as_such_and_no_default(dls: Path) -> None:
    needs_root()
    for folder in (dls.parent, *dls.parents):
        if folder.stat().st_uid == 0 and folder != Path("/tmp") and len(folder.parts) > 2:
            folder.chmod(folder.stat().st_mode | 0o055)
    (dls / "i13/data/2026/cm10001-2").chmod(0o700)
    changes = {
        "VISIT_PATH_TEMPLATE": f"{dls}/{{instrument}}/data/{{year}}/{{visit}}",
        "SESSION_GROUPS": "cm10001_1=31001,cm10001_2=31002",
    }
    with serve([dls], changes=changes, uid=21001, gid=21001, groups=[31001]) as api:
        session = api.client.get("/session").json()
    assert (session["uid"], session["gid"]) == (21001, 21001)
    assert [(v["name"], v["readable"]) for v in session["visits"]] == [
        ("cm10001-2", False),
        ("cm10001-1", True),
    ]
    assert session["default_paths"]["data"] == f"{dls}/i13/data/2025/cm10001-1"


def test_an_engine_that_cannot_be_used_is_named_with_the_reason(tmp_path: Path) -> None:
    with serve([tmp_path], changes={"ENGINES": "savu", "SAVU_PYTHON": "/no/python"}) as api:
        (engine,) = api.client.get("/session").json()["engines"]
    assert (engine["name"], engine["available"], engine["default"]) == ("savu", False, False)
    assert "/no/python" in engine["reason"]


# -- Plugins ---------------------------------------------------------------------------------------


def test_all_plugins_are_named_or_those_asked_for(api: httpx.Client) -> None:
    assert api.get("/plugin").json() == sorted(CATALOGUE["plugins"])
    assert api.get("/plugin", params={"q": "ASTRA"}).json() == ["AstraReconCpu"]
    assert api.get("/plugin", params={"q": "nxtomolaoder"}).json() == ["NxtomoLoader"]
    assert api.get("/plugin", params={"q": "tomography data"}).json() == ["NxtomoLoader"]
    assert api.get("/plugin", params={"q": "zzzzzz"}).json() == []


def test_a_plugin_is_described_with_its_defaults(api: httpx.Client) -> None:
    answer = api.get("/plugin/NxtomoLoader").json()
    assert answer["id"] == CATALOGUE["plugins"]["NxtomoLoader"]["id"]
    assert answer["engines"] == ["savu"]
    dark = answer["parameters"][2]
    assert (dark["value"], dark["default"]) == ("[None, None, 1.0]", "[None, None, 1.0]")


def test_an_unknown_plugin_is_404(api: httpx.Client) -> None:
    assert_problem(api.get("/plugin/Nothing"), 404, "no-such-plugin")
    assert_problem(api.get("/plugin/" + "a" * 10_000), 404, "no-such-plugin")


# -- Activity --------------------------------------------------------------------------------------


def test_only_requests_by_people_count_as_activity(tmp_path: Path) -> None:
    with serve([tmp_path]) as api:

        def last() -> str | None:
            activity = api.client.get("/internal/activity").json()
            assert activity["busy"] is False
            event: str | None = activity["last_user_event"]
            return event

        api.client.get("/jobs", headers={"X-Background": "1"})
        with api.client.stream("GET", "/jobs/events"):
            pass
        assert last() is None
        api.client.get("/default_paths")
        first = last()
        assert first is not None
        assert first.endswith("Z")
        api.client.get("/jobs", headers={"X-Background": "1"})
        assert last() == first
        api.client.get("/session")
        assert last() > first


# -- Description -----------------------------------------------------------------------------------


def test_the_api_describes_itself_completely(api: httpx.Client) -> None:
    schema = api.get("/openapi.json").json()
    assert schema["servers"] == [{"url": "."}]
    tags = {tag["name"] for tag in schema["tags"]}
    for path, operations in schema["paths"].items():
        assert not path.startswith("/internal")
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert set(operation["tags"]) <= tags, where
            assert "422" not in operation["responses"], where
            assert "application/problem+json" in operation["responses"]["default"]["content"], where
            (success,) = [code for code in operation["responses"] if code in ("200", "201", "202")]
            (content,) = operation["responses"][success]["content"].items()
            if content[0] == "application/json":
                assert content[1]["schema"], where
    text = json.dumps(schema)
    for reference in set(text.split('"#/components/schemas/')[1:]):
        assert reference.split('"')[0] in schema["components"]["schemas"]


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/", "/session/", "/nothing"])
def test_what_is_not_there_is_404_as_problem_details(api: httpx.Client, path: str) -> None:
    assert_problem(api.get(path), 404, "no-such-route")


def test_a_method_that_cannot_be_used_is_405(api: httpx.Client) -> None:
    answer = api.post("/session")
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET"


# -- The program -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"), [("DATA_ROOTS", "data"), ("API_LISTEN", "unix:/no/such/folder/api.sock")]
)
def test_a_wrong_environment_ends_it_with_one_line_and_78(
    tmp_path: Path, name: str, value: str
) -> None:
    ended = run_once(api_environment([tmp_path], tmp_path) | {name: value})
    assert ended.returncode == 78
    (line,) = ended.stderr.splitlines()
    assert "cannot start: " in line
    assert name in line


def test_it_starts_with_little_work_and_stays_small(tmp_path: Path) -> None:
    catalogue = write_catalogue(tmp_path)
    with serve([tmp_path], changes=savu_variables(catalogue)) as api:
        process = psutil.Process(api.process.pid)
        memory = process.memory_info().rss
        worked = sum(process.cpu_times()[:2])
    assert memory < 120 * 2**20
    # Of work, which a busy machine takes longer for.
    assert worked < 4


def test_its_socket_is_for_everyone_who_reaches_its_folder(tmp_path: Path) -> None:
    with serve([tmp_path]) as api:
        status = (api.run / "api.sock").stat()
        assert stat.S_ISSOCK(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o666
        assert stat.S_IMODE((api.run / "state").stat().st_mode) == 0o700


def test_sigterm_ends_it_soon_and_cleanly_with_a_stream_open(tmp_path: Path) -> None:
    with serve([tmp_path]) as api:
        opened = threading.Event()

        def listen() -> None:
            transport = httpx.HTTPTransport(uds=str(api.run / "api.sock"))
            with (
                httpx.Client(transport=transport, base_url="http://api", timeout=30) as client,
                client.stream("GET", "/jobs/events") as stream,
            ):
                opened.set()
                with contextlib.suppress(httpx.RemoteProtocolError):
                    for _ in stream.iter_lines():
                        pass

        thread = threading.Thread(target=listen)
        thread.start()
        assert opened.wait(10)
        assert api.terminate() == 0
        thread.join(10)
        assert not thread.is_alive()
        assert not (api.run / "api.sock").exists()
        assert "Traceback" not in api.log.read_text()


def test_a_socket_left_by_a_killed_program_is_replaced(tmp_path: Path) -> None:
    with serve([tmp_path]) as api:
        api.process.kill()
        api.process.wait()
        assert (api.run / "api.sock").exists()
        with serve([tmp_path], run=api.run) as again:
            assert again.client.get("/session").status_code == 200


def test_the_socket_of_a_running_program_is_not_taken(tmp_path: Path) -> None:
    with serve([tmp_path]) as api:
        ended = run_once(api_environment([tmp_path], api.run))
        assert ended.returncode == 78
        assert "another program already listens" in ended.stderr
        assert api.client.get("/session").status_code == 200


def test_it_can_listen_at_an_address(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # The fixture asks at the socket; here only the address is real.
    environment: dict[str, Any] = api_environment([tmp_path], tmp_path)
    environment["API_LISTEN"] = f"127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "savu_api"], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/internal/health").status_code == 204
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
    finally:
        process.terminate()
        assert process.wait(10) == 0


def test_the_reference_names_every_request_and_no_other(api: httpx.Client) -> None:
    reference = Path(__file__).parents[2].joinpath("docs/reference/api.md").read_text()
    named = set(re.findall(r"^\| `((?:GET|POST|PUT|DELETE) /[^`]*)` \|", reference, re.MULTILINE))
    schema = api.get("/openapi.json").json()
    described = {
        f"{method.upper()} {path}"
        for path, operations in schema["paths"].items()
        for method in operations
    }
    # Rows of the table of differences name hebi's own requests.
    requests = reference[reference.index("## Requests") : reference.index("## Differences")]
    assert described == {request for request in named if f"`{request}`" in requests}


def test_the_reference_names_every_code_of_this_package() -> None:
    top = Path(__file__).parents[2]
    reference = top.joinpath("docs/reference/api.md").read_text()
    package = top / "docker/api/savu_api"
    text = "".join(file.read_text() for file in sorted(package.glob("*.py")))
    codes = re.findall(r"Problem\(\s*\d{3},\s*\"([a-z0-9-]+)\"", text)
    assert len(codes) > 25
    missing = {code for code in codes if f"`{code}`" not in reference}
    # A failure of the program itself needs no place in a reference.
    assert missing <= {"internal-error"}
