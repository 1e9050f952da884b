"""The gate as a program of its own, with stand-ins for the hub and for api."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from savu_gate.activity import latest_use
from savu_gate.asked import next_url
from savu_gate.entries import ANEW, Entries
from savu_gate.hub import PENDING_LOGINS, GateOAuth, HubUnreachable
from savu_gate.settings import ConfigurationError, from_environment

from tests.support.gate_bed import eventually

FAKE_SERVICES = Path(__file__).parents[1] / "support/fake_services.py"
ACCESS = "access:servers!server=ada/"


@dataclass
class FakeHub:
    """JupyterHub's API as far as the gate uses it. ``tokens`` says who is who."""

    tokens: dict[str, list[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    activity: list[dict[str, Any]] = field(default_factory=list)
    delay: float = 0.0
    status: int = 200
    url: str = ""


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    hub = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = self.headers["Authorization"].removeprefix("token ")
            hub.asked.append(token)
            time.sleep(hub.delay)
            if hub.status != 200:
                self.answer(hub.status, "<html>proxy error</html>")
            elif token in hub.tokens:
                model = {"kind": "user", "name": "ada", "scopes": hub.tokens[token]}
                self.answer(200, json.dumps(model))
            else:
                self.answer(403, '{"status": 403}')

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hub.activity.append(json.loads(body))
            self.answer(200, "")

        def answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}/hub/api"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with running_hub() as hub:
        hub.tokens["good"] = [ACCESS]
        yield hub


def environment(folder: Path, hub_url: str = "http://127.0.0.1:1/hub/api") -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "GATE_LISTEN": f"unix:{folder}/gate.sock",
        "API_UPSTREAM": f"unix:{folder}/api.sock",
        "SESSION_PREFIX": "/user/ada/",
        "SESSION_USER": "ada",
        "GATE_LINK_KEY_FILE": "",
        "FOREIGN_PROGRAMS": "",
        "GATE_ADMIT": "owner",
        "GATE_CACHE_SECONDS": "1",
        "JUPYTERHUB_API_TOKEN": "the-session-token",
        "JUPYTERHUB_API_URL": hub_url,
        "JUPYTERHUB_ACTIVITY_URL": f"{hub_url}/users/ada/activity",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-ada",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": json.dumps([ACCESS]),
        "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/",
        "JUPYTERHUB_SERVER_NAME": "",
        "JUPYTERHUB_USER": "ada",
    }


@dataclass
class RunningGate:
    process: subprocess.Popen[str]
    client: httpx.Client
    folder: Path

    def authorise(self, target: str = "api", token: str = "good", **headers: str) -> int:
        sent = {
            "X-Gate-Method": "GET",
            "X-Gate-Uri": "/user/ada/api/x",
            "X-Gate-Host": "h",
            **({"Authorization": f"token {token}"} if token else {}),
            **headers,
        }
        return self.client.get(f"/auth/{target}", headers=sent).status_code


@contextmanager
def running_gate(variables: dict[str, str]) -> Iterator[RunningGate]:
    path = variables["GATE_LISTEN"].removeprefix("unix:")
    with subprocess.Popen(
        [sys.executable, "-m", "savu_gate"], env=variables, stderr=subprocess.PIPE, text=True
    ) as process:
        client = httpx.Client(
            transport=httpx.HTTPTransport(uds=path), base_url="http://gate", timeout=20
        )
        gate = RunningGate(process, client, Path(path).parent)
        try:
            eventually(lambda: is_well(gate), 120, "the gate answers")
            yield gate
        finally:
            process.terminate()


def is_well(gate: RunningGate) -> bool:
    assert gate.process.poll() is None, gate.process.stderr and gate.process.stderr.read()
    try:
        return gate.client.get("/internal/health").status_code == 204
    except httpx.TransportError:
        return False


@contextmanager
def running_api(folder: Path) -> Iterator[httpx.Client]:
    """FakeApi on ``api.sock``."""
    command = [sys.executable, str(FAKE_SERVICES), f"{folder}/api.sock", f"{folder}/data.sock"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            assert process.stderr.readline().startswith("ready")
            transport = httpx.HTTPTransport(uds=f"{folder}/api.sock")
            yield httpx.Client(transport=transport, base_url="http://api")
        finally:
            process.terminate()


# -- Starting and ending --------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JUPYTERHUB_API_TOKEN", ""),
        ("JUPYTERHUB_CLIENT_ID", ""),
        ("JUPYTERHUB_OAUTH_ACCESS_SCOPES", ""),
        ("JUPYTERHUB_OAUTH_ACCESS_SCOPES", "[]"),
        ("JUPYTERHUB_OAUTH_ACCESS_SCOPES", "access:servers"),
        ("JUPYTERHUB_SERVICE_PREFIX", "user"),
        ("JUPYTERHUB_USER", ""),
        ("GATE_CACHE_SECONDS", "0"),
        ("GATE_CACHE_SECONDS", "-1"),
        ("GATE_CACHE_SECONDS", "1e9"),
        ("GATE_ADMIT", "everybody"),
        ("GATE_ADMIT", ""),
        ("API_UPSTREAM", ""),
        ("GATE_LISTEN", ""),
    ],
)
def test_an_unsafe_environment_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        from_environment({**environment(tmp_path), name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("JUPYTERHUB_OAUTH_ACCESS_SCOPES", "[]"), ("GATE_LISTEN", "unix:/nonexistent/gate.sock")],
)
def test_an_unsafe_environment_ends_the_gate_with_one_line(
    tmp_path: Path, name: str, value: str
) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "savu_gate"],
        env={**environment(tmp_path), name: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == os.EX_CONFIG
    assert len(answer.stderr.splitlines()) == 1
    assert "cannot" in answer.stderr
    assert "the-session-token" not in answer.stderr


def test_the_gate_takes_the_place_of_a_killed_one_and_ends_when_asked(tmp_path: Path) -> None:
    variables = environment(tmp_path)
    path = tmp_path / "gate.sock"
    with running_gate(variables) as gate:
        gate.process.kill()
        gate.process.wait()
        assert path.exists()
    with running_gate(variables) as gate:
        assert stat.S_IMODE(path.stat().st_mode) == 0o666
        assert psutil.Process(gate.process.pid).memory_info().rss < 110 * 2**20
        gate.process.send_signal(signal.SIGTERM)
        assert gate.process.wait(20) == 0
        assert not path.exists()


def test_the_session_is_ready_when_api_answers(tmp_path: Path) -> None:
    with running_gate(environment(tmp_path)) as gate:
        assert gate.client.get("/ready").status_code == 503
        with running_api(tmp_path) as api:
            answer = gate.client.get("/ready")
            assert (answer.status_code, answer.content) == (401, b"")
            assert answer.headers["X-JupyterHub-Version"]
            api.put("/internal/state", json={"healthy": False})
            assert gate.client.get("/ready").status_code == 503


# -- Asking the hub --------------------


def test_many_requests_at_once_ask_the_hub_once(tmp_path: Path, hub: FakeHub) -> None:
    hub.delay = 0.3
    with running_gate(environment(tmp_path, hub.url)) as gate, ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(lambda _: gate.authorise(), range(10)))
        statuses.append(gate.authorise())
    assert statuses == [204] * 11
    assert hub.asked == ["good"]


@pytest.mark.parametrize("status", [503, 404, 299])
def test_a_hub_that_talks_nonsense_is_neither_yes_nor_no(
    tmp_path: Path, hub: FakeHub, status: int
) -> None:
    with running_gate(environment(tmp_path, hub.url)) as gate:
        assert gate.authorise() == 204
        hub.status = status  # with a page of some proxy's, not an answer of the hub's
        assert gate.authorise(token="unknown") == 503
        time.sleep(1.1)
        assert gate.authorise() == 204
        hub.status = 200
        del hub.tokens["good"]
        time.sleep(1.1)
        assert gate.authorise() == 401
        hub.status = 500
        time.sleep(1.1)
        assert gate.authorise() == 503


async def test_an_old_answer_is_used_for_a_limited_time_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running_hub() as hub:
        hub.tokens["good"] = [ACCESS]
        monkeypatch.setenv("JUPYTERHUB_API_URL", hub.url)
        oauth = GateOAuth(api_token="t", oauth_client_id="c", api_url=hub.url, cache_max_age=1)
        oauth.stale_seconds = 300
        assert await oauth.user_for_token("good", sync=False)
        hub.status = 500
        await asyncio.sleep(1.1)
        assert await oauth.user_for_token("good", sync=False)
        oauth.stale_seconds = 1
        await asyncio.sleep(1.1)
        with pytest.raises(HubUnreachable):
            await oauth.user_for_token("good", sync=False)


def test_a_cache_without_an_end_is_refused() -> None:
    for seconds in (0, -1):
        with pytest.raises(ValueError, match="for ever"):
            GateOAuth(api_token="t", oauth_client_id="c", cache_max_age=seconds)


def test_strangers_cannot_fill_the_memory_with_logins() -> None:
    oauth = GateOAuth(api_token="t", oauth_client_id="c", cache_max_age=1)
    newest = [oauth.generate_state("/user/ada/") for _ in range(PENDING_LOGINS + 10)][-1]
    assert len(oauth._oauth_states) == PENDING_LOGINS
    assert oauth.get_next_url(newest) == "/user/ada/"


# -- Where a login leads --------------------


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/user/ada/", "/user/ada/"),
        ("/user/ada/files?path=/dls/a%20b&x=1", "/user/ada/files?path=/dls/a%20b&x=1"),
        ("/user/%61da/files", "/user/ada/files"),
        ("/user/ada/a%20b%3Fc", "/user/ada/a%20b%3Fc"),
        ("/user/bob/", "/user/ada/"),
        ("//evil.example/../user/ada/", "/user/ada/"),
        ("/user/ada//evil.example", "/user/ada/"),
        ("/user/ada/\\evil.example", "/user/ada/"),
        ("/user/ada/%5cevil.example", "/user/ada/"),
        ("/user/ada/../bob/", "/user/ada/"),
        ("/user/ada/x/%2e%2e/y", "/user/ada/"),
        ("/user/ada/%0d%0aSet-Cookie:x", "/user/ada/"),
        ("/user/ada/%ff", "/user/ada/"),
        ("http://evil.example/user/ada/", "/user/ada/"),
        ("", "/user/ada/"),
    ],
)
def test_a_login_leads_to_the_page_asked_for_or_to_the_start(target: str, expected: str) -> None:
    assert next_url(target, "/user/ada/") == expected


@given(st.text())
def test_a_login_leads_nowhere_else(target: str) -> None:
    for asked in (target, f"/user/a%40b/{target}"):
        answer = next_url(asked, "/user/a%40b/")
        path = answer.partition("?")[0]
        assert path.startswith("/user/a%40b/")
        assert not path.removeprefix("/user/a%40b/").startswith("/")
        assert "\\" not in path
        assert "/../" not in f"{path}/"


# -- Activity --------------------


NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BEFORE = NOW - timedelta(minutes=5)


@pytest.mark.parametrize(
    ("answer", "seen", "expected"),
    [
        ({"busy": True, "last_user_event": None}, None, NOW),
        ({"busy": False, "last_user_event": None}, None, None),
        ({"busy": False, "last_user_event": BEFORE.isoformat()}, None, BEFORE),
        ({"busy": False, "last_user_event": "2026-11-24T11:55:00Z"}, None, BEFORE),
        ({"busy": False, "last_user_event": "2026-11-24T11:55:00"}, None, BEFORE),
        ({"busy": False, "last_user_event": "2026-11-24T11:00:00Z"}, BEFORE, BEFORE),
        ({"busy": False, "last_user_event": "2099-01-01T00:00:00Z"}, None, NOW),
        ({"busy": "yes", "last_user_event": "soon"}, None, None),
        (None, BEFORE, BEFORE),
        ([1, 2], None, None),
    ],
)
def test_the_session_was_last_used_by_a_person_or_a_job(
    answer: object, seen: datetime | None, expected: datetime | None
) -> None:
    assert latest_use(NOW, answer, seen) == expected


@pytest.mark.parametrize("state", ["idle", "busy", "used"])
def test_use_and_jobs_are_reported_to_the_hub_and_idleness_is_not(
    tmp_path: Path, hub: FakeHub, state: str
) -> None:
    with running_api(tmp_path) as api:
        used = (datetime.now(UTC) - timedelta(minutes=3)).isoformat()
        facts = {"idle": {}, "busy": {"busy": True}, "used": {"last_user_event": used}}
        api.put("/internal/state", json=facts[state])
        with running_gate(environment(tmp_path, hub.url)) as gate:
            if state == "idle":
                assert gate.authorise(token="") == 401
                assert gate.authorise() == 204
                assert hub.activity == []
                return
            report = eventually(lambda: hub.activity, 5, "a report")[0]
    stamp = datetime.fromisoformat(report["last_activity"])
    age = datetime.now(UTC) - stamp
    assert report["servers"] == {"": {"last_activity": report["last_activity"]}}
    assert age < timedelta(minutes=1) if state == "busy" else age > timedelta(minutes=2)


# -- Entries by others --------------------


def test_a_visitor_who_comes_back_later_is_noted_anew() -> None:
    clock = [NOW]
    entries = Entries(lambda: clock[0])
    entries.note("hubadmin", "user")
    clock[0] += timedelta(minutes=1)
    entries.note("hubadmin", "user")
    assert [(e.first, e.last) for e in entries.newest_first()] == [(NOW, clock[0])]
    clock[0] += ANEW
    entries.note("hubadmin", "user")
    assert len(entries.newest_first()) == 2
    assert entries.newest_first()[0].first == clock[0]
