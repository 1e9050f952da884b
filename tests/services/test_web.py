"""nginx as the web program configures it, with a stand-in for the gate."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

import httpx
import pytest

from tests.support.gate_bed import NAVIGATION, eventually, free_port, make_page, raw_request
from tests.support.needs import needs_program

FAKE_SERVICES = Path(__file__).parents[1] / "support/fake_services.py"
PREFIX = "/user/ada/"
INSIDE = (b"FakeApi", b"FakeDataserver", b"THE PAGE", b"document.title")


@dataclass
class FakeGate:
    """Answers every question of nginx with ``status``, and remembers what it was asked."""

    status: int = 401
    headers: dict[str, str] = field(default_factory=lambda: {"X-Gate-Problem": '{"code":"x"}'})
    asked: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def fake_gate(path: Path) -> Iterator[FakeGate]:
    gate = FakeGate()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            gate.asked.append({**dict(self.headers.items()), "path": self.path})
            if self.path.startswith("/internal/"):
                self.send_response(204)
            else:
                self.send_response(gate.status)
                for name, value in gate.headers.items():
                    self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

        def address_string(self) -> str:
            return "unix"

    server = ThreadingUnixStreamServer(str(path), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield gate
    finally:
        server.shutdown()
        server.server_close()
        path.unlink()


@dataclass
class Web:
    """A running nginx."""

    folder: Path
    url: str
    process: subprocess.Popen[bytes]

    def health(self, program: str) -> httpx.Response:
        transport = httpx.HTTPTransport(uds=str(self.folder / "health.sock"))
        with httpx.Client(transport=transport) as client:
            return client.get(f"http://health/{program}")


def variables(folder: Path, listen: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "SESSION_PREFIX": PREFIX,
        "WEB_LISTEN": listen,
        "WEB_HEALTH_LISTEN": f"unix:{folder}/health.sock",
        "WEB_RUN_DIR": f"{folder}/run",
        "GATE_UPSTREAM": f"unix:{folder}/gate.sock",
        "API_UPSTREAM": f"unix:{folder}/api.sock",
        "DATASERVER_UPSTREAM": f"unix:{folder}/dataserver.sock",
        "FOREIGN_PROGRAMS": "",
    }


def command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "savu_web", "--page", str(folder / "page")]


@contextmanager
def running_web(folder: Path, start: Callable[[str], subprocess.Popen[bytes]]) -> Iterator[Web]:
    needs_program("nginx")
    port = free_port()
    process = start(f"127.0.0.1:{port}")
    web = Web(folder, f"http://127.0.0.1:{port}", process)
    try:
        eventually(lambda: is_up(web), 20, "nginx answers")
        yield web
    finally:
        process.terminate()
        process.wait(10)


def is_up(web: Web) -> bool:
    assert web.process.poll() is None, "nginx ended"
    try:
        return web.health("web").status_code == 204
    except httpx.TransportError:
        return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_page(tmp_path / "page")
    return tmp_path


@pytest.fixture
def gate(folder: Path) -> Iterator[FakeGate]:
    with fake_gate(folder / "gate.sock") as gate:
        yield gate


@pytest.fixture
def web(folder: Path, gate: FakeGate) -> Iterator[Web]:
    """nginx as ``python -m savu_web`` starts it."""

    def start(listen: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command(folder), env=variables(folder, listen))

    with running_web(folder, start) as web:
        yield web


@pytest.fixture
def programs(folder: Path) -> Iterator[None]:
    """FakeApi and FakeDataserver."""
    sockets = [f"{folder}/api.sock", f"{folder}/dataserver.sock"]
    with subprocess.Popen(
        [sys.executable, str(FAKE_SERVICES), *sockets], stderr=subprocess.PIPE
    ) as process:
        assert process.stderr
        assert process.stderr.readline().startswith(b"ready")
        yield
        process.terminate()


# -- Starting -------------------


def test_a_listening_socket_is_taken_over_and_the_health_socket_is_nginxs_own(
    folder: Path, gate: FakeGate
) -> None:
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(folder / "health.sock"))

    def start(listen: str) -> subprocess.Popen[bytes]:
        address, _, port = listen.partition(":")
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, int(port)))
            listener.listen()
            number = listener.fileno()
            taken_over.append(os.fstat(number).st_ino)
            environment = {**variables(folder, listen), "NGINX": f"{number};"}
            return subprocess.Popen(command(folder), env=environment, pass_fds=[number])

    taken_over: list[int] = []
    with running_web(folder, start) as web:
        assert raw_request(web.url, PREFIX).status == 401
        names = [path.readlink() for path in Path(f"/proc/{web.process.pid}/fd").iterdir()]
        assert Path(f"socket:[{taken_over[0]}]") in names
        web.process.send_signal(signal.SIGTERM)
        assert web.process.wait(5) == 0


def test_the_configuration_is_for_its_owner_only(web: Web) -> None:
    path = web.folder / "run/nginx.conf"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"SESSION_PREFIX": "/"}, "SESSION_PREFIX is '/'"),
        ({"API_UPSTREAM": ""}, "API_UPSTREAM is not set"),
        ({"WEB_RUN_DIR": "/proc/none"}, "/proc/none"),
    ],
)
def test_a_bad_environment_ends_with_one_line(
    folder: Path, change: dict[str, str], sentence: str
) -> None:
    needs_program("nginx")
    answer = subprocess.run(
        command(folder),
        env={**variables(folder, "127.0.0.1:1"), **change},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert answer.returncode == os.EX_CONFIG
    assert len(answer.stderr.splitlines()) == 1
    assert sentence in answer.stderr


def test_without_a_page_there_is_no_web(folder: Path) -> None:
    needs_program("nginx")
    (folder / "page/index.html").unlink()
    answer = subprocess.run(
        command(folder),
        env=variables(folder, "127.0.0.1:1"),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert answer.returncode == os.EX_CONFIG
    assert "the page is not built" in answer.stderr


def test_health_says_which_program_answers(web: Web, request: pytest.FixtureRequest) -> None:
    def ask() -> dict[str, int]:
        answers = {name: web.health(name) for name in ("web", "gate", "api", "dataserver", "x")}
        assert all(answer.content == b"" for answer in answers.values())
        return {name: answer.status_code for name, answer in answers.items()}

    assert ask() == {"web": 204, "gate": 204, "api": 503, "dataserver": 503, "x": 404}
    request.getfixturevalue("programs")
    assert ask() == {"web": 204, "gate": 204, "api": 204, "dataserver": 204, "x": 404}


@pytest.fixture
def foreign_web(folder: Path, gate: FakeGate) -> Iterator[tuple[Web, list[str]]]:
    """nginx before two programs of other making on TCP ports, and the paths that reach them."""
    asked: list[str] = []

    class Foreign(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(404 if self.path == "/internal/health" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Foreign) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"

        def start(listen: str) -> subprocess.Popen[bytes]:
            upstreams = {"API_UPSTREAM": address, "DATASERVER_UPSTREAM": address}
            foreign = {"FOREIGN_PROGRAMS": "api,dataserver"}
            environment = variables(folder, listen) | upstreams | foreign
            return subprocess.Popen(command(folder), env=environment)

        with running_web(folder, start) as web:
            yield web, asked
        server.shutdown()


def test_programs_of_other_making_are_well_if_they_answer_anything(
    foreign_web: tuple[Web, list[str]],
) -> None:
    web, _ = foreign_web
    assert web.health("api").status_code == 204
    assert web.health("dataserver").status_code == 204


def test_programs_of_other_making_are_gated_and_proxied(
    foreign_web: tuple[Web, list[str]], gate: FakeGate
) -> None:
    web, asked = foreign_web
    asked.clear()
    for path in ("api/plugin", "data/info/?path=x", "socket.io/?EIO=3"):
        assert raw_request(web.url, PREFIX + path).status == 401
    assert asked == []
    gate.status = 204
    for path in ("api/plugin", "data/info/?path=x", "socket.io/?EIO=3"):
        assert raw_request(web.url, PREFIX + path).status == 200
    assert asked == ["/plugin", "/info/?path=x", "/socket.io/?EIO=3"]


# -- Only what the gate lets in -------------------


PATHS = (
    "",
    "index.html",
    "files",
    "assets/app-1a2b.js",
    "api/x",
    "api/internal/health",
    "data/x",
    "data/internal/health",
    "internal/entries",
)


def leaks(web: Web) -> list[str]:
    """Paths whose answer has something of the session in it."""
    found = []
    for path in PATHS:
        for headers in (NAVIGATION, {"Accept": "*/*"}):
            answer = raw_request(web.url, PREFIX + path, headers)
            if any(text in answer.body for text in INSIDE):
                found.append(path)
    return sorted(set(found))


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 500, 503])
def test_only_a_yes_of_the_gate_opens(web: Web, gate: FakeGate, status: int) -> None:
    """2xx is nginx's yes: the gate says 204 and nothing else of that kind."""
    gate.status = status
    if status == 200:
        assert "api/x" in leaks(web)
        return
    assert leaks(web) == []
    answer = raw_request(web.url, PREFIX + "api/x")
    assert answer.status == (status if status in (401, 403) else 503)


@pytest.mark.usefixtures("programs")
@pytest.mark.parametrize(
    ("mutation", "opened"),
    [
        (("    auth_request /.gate/api;\n", ""), {"api/x"}),
        (("      auth_request /.gate/data;", "auth_request off;"), {"data/x"}),
        (("auth_request /.gate/page;", "auth_request off;"), {"", "assets/app-1a2b.js"}),
    ],
    ids=["api", "data", "page"],
)
def test_removing_the_question_would_be_noticed(
    folder: Path, gate: FakeGate, mutation: tuple[str, str], opened: set[str]
) -> None:
    """The test above can fail: each of the gate's questions holds something back."""
    make_configuration(folder, gate)
    path = folder / "run/nginx.conf"

    def start(listen: str) -> subprocess.Popen[bytes]:
        text = path.read_text().replace("127.0.0.1:1;", f"{listen};")
        assert mutation[0] in text
        path.write_text(text.replace(*mutation))
        nginx = needs_program("nginx")
        run = f"{folder}/run/"
        return subprocess.Popen([nginx, "-p", run, "-c", str(path), "-g", "daemon off;"])

    with running_web(folder, start) as web:
        assert opened <= set(leaks(web))


def make_configuration(folder: Path, gate: FakeGate) -> None:
    from savu_web.__main__ import write
    from savu_web.settings import from_environment

    write(from_environment(variables(folder, "127.0.0.1:1"), folder / "page"))


def test_what_strangers_send_is_not_kept(web: Web) -> None:
    """Nothing that is refused is written to a disk first, however much it is."""
    host, _, port = web.url.removeprefix("http://").partition(":")
    for path in ("api/x", "data/x", "", "oauth_callback", "logout", "api", "internal/entries"):
        with socket.create_connection((host, int(port)), 10) as connection:
            head = f"POST {PREFIX}{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {2**30}\r\n\r\n"
            connection.sendall(head.encode())
            status = int(connection.recv(4096).split(b" ")[1])
            assert status in (401, 405, 413), path


@pytest.mark.usefixtures("programs")
def test_the_gate_learns_the_visitors_request_from_nginx_alone(web: Web, gate: FakeGate) -> None:
    gate.status = 204
    forged = {
        "X-Gate-Method": "GET",
        "X-Gate-Uri": "/",
        "X-Gate-Host": "gate",
        "X-Gate-Upgrade": "x",
        "X-Gate-Reason": "x",
        "Content-Length": "2",
    }
    target = PREFIX + "api/a%20b?c=1&_xsrf=2"
    assert raw_request(web.url, target, forged, "PATCH", b"{}").status == 200
    asked = next(question for question in gate.asked if question["path"] == "/auth/api")
    assert asked["X-Gate-Method"] == "PATCH"
    assert asked["X-Gate-Uri"] == target
    assert asked["X-Gate-Host"] == web.url.removeprefix("http://")
    assert "X-Gate-Upgrade" not in asked
    assert "X-Gate-Reason" not in asked


def test_a_program_that_is_away_is_named(web: Web, gate: FakeGate) -> None:
    gate.status = 204
    for path, code in (("api/x", "api-down"), ("data/x", "dataserver-down")):
        answer = raw_request(web.url, PREFIX + path)
        assert answer.status == 503
        assert f'"code": "{code}"'.encode() in answer.body
        assert answer.headers["content-type"] == "application/problem+json"
