"""A real JupyterHub and configurable-http-proxy, sessions of the real gate and nginx, and visitors.

The two other programs of each session are stand-ins (``fake_services``).
"""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from tests.support.needs import find_program, missing, needs_program

REPOSITORY = Path(__file__).parents[2]

NAVIGATION = {
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Dest": "document",
    "Accept": "text/html,*/*;q=0.8",
}
FETCH = {
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Dest": "empty",
    "Accept": "*/*",
}
WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def eventually(condition: Callable[[], Any], seconds: float = 15, what: str = "") -> Any:
    """The first true value of ``condition`` within ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition}"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        return int(finder.getsockname()[1])


@dataclass
class Session:
    """A running session: where it is, and its processes."""

    user: str
    name: str
    prefix: str
    """Percent-encoded, a slash at both ends."""
    folder: Path
    port: int
    pids: dict[str, int]

    @property
    def direct(self) -> str:
        """Base URL of the session's own port, past the proxy."""
        return f"http://127.0.0.1:{self.port}"

    def socket(self, program: str) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=str(self.folder / f"{program}.sock"))
        return httpx.Client(transport=transport, base_url="http://program")

    def gate_environment(self) -> dict[str, str]:
        environment: dict[str, str] = json.loads((self.folder / "gate.json").read_text())
        return environment

    def logs(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("*.log"))


@dataclass
class Browser:
    """A person's browser: keeps cookies by path, sends what browsers send."""

    url: str
    name: str
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, timeout=60)

    def log_in(self) -> Browser:
        """At the hub's own login page."""
        page = self.client.get("/hub/login", headers=NAVIGATION)
        form = {"username": self.name, "password": "-", "_xsrf": self.cookie("_xsrf", "/hub/")}
        answer = self.client.post("/hub/login", data=form, headers=NAVIGATION)
        assert (page.status_code, answer.status_code) == (200, 302), answer.text
        return self

    def navigate(self, path: str, *, consent: bool = True, **headers: str) -> httpx.Response:
        """Open a page as a click does, following redirects, and JupyterHub's question if asked."""
        answer = self.client.get(path, headers={**NAVIGATION, **headers}, follow_redirects=True)
        if consent and answer.status_code == 200 and "/oauth2/authorize" in str(answer.url):
            form = {
                "scopes": re.findall(r'name="scopes" value="([^"]*)"', answer.text),
                "_xsrf": self.cookie("_xsrf", "/hub/"),
            }
            answer = self.client.post(
                str(answer.url), data=form, headers=NAVIGATION, follow_redirects=True
            )
        return answer

    def fetch(
        self, method: str, path: str, *, xsrf: str | None = None, **options: Any
    ) -> httpx.Response:
        """As the page's own script does: with the proof, unless ``xsrf`` says otherwise."""
        proof = self.xsrf_for(path) if xsrf is None else xsrf
        headers = {**FETCH, **({"X-XSRFToken": proof} if proof else {})}
        headers.update(options.pop("headers", {}))
        return self.client.request(method, path, headers=headers, **options)

    def xsrf_for(self, path: str) -> str:
        prefixes = sorted(
            (c.path for c in self.client.cookies.jar if c.name == "_xsrf"), key=len, reverse=True
        )
        found = next((prefix for prefix in prefixes if path.startswith(prefix)), None)
        return self.cookie("_xsrf", found) if found else ""

    def cookie(self, name: str, path: str) -> str:
        return next(
            (c.value or "" for c in self.client.cookies.jar if (c.name, c.path) == (name, path)), ""
        )

    def cookie_header(self, path: str) -> str:
        """The Cookie header that this browser would send to ``path``."""
        request = self.client.build_request("GET", path)
        return request.headers.get("Cookie", "")


@dataclass
class GateBed:
    """The running hub and proxy."""

    url: str
    hub_url: str
    folder: Path
    chief: str
    """Token that may start servers, make tokens, grant and revoke shares."""
    robot: str
    """Token of a service that may access alice's servers."""
    hub: subprocess.Popen[bytes]

    def browser(self, name: str) -> Browser:
        return Browser(self.url, name).log_in()

    def api(self, method: str, path: str, **options: Any) -> httpx.Response:
        return httpx.request(
            method,
            f"{self.hub_url}/hub/api{path}",
            headers={"Authorization": f"token {self.chief}"},
            timeout=60,
            **options,
        )

    def start(self, user: str, name: str = "") -> Session:
        """Start a server and wait until JupyterHub calls it ready."""
        self.request_start(user, name)
        return self.wait_ready(user, name)

    def request_start(self, user: str, name: str = "") -> None:
        self.api("POST", f"/users/{quote(user)}")
        answer = self.api("POST", self._server(user, name))
        assert answer.status_code in (201, 202), answer.text

    def server_model(self, user: str, name: str = "") -> dict[str, Any]:
        model: dict[str, Any] = self.api("GET", f"/users/{quote(user)}").json()
        server: dict[str, Any] = model.get("servers", {}).get(name, {})
        return server

    def wait_ready(self, user: str, name: str = "") -> Session:
        model = eventually(
            lambda: (m := self.server_model(user, name)).get("ready") and m,
            180,
            f"{user}/{name} is ready; {self.log_tail()}",
        )
        for path in self.folder.glob("s*/session.json"):
            facts = json.loads(path.read_text())
            alive = Path(f"/proc/{facts['pids']['web']}").exists()
            if facts["prefix"] == model["url"] and alive:
                return Session(
                    user, name, facts["prefix"], path.parent, facts["port"], facts["pids"]
                )
        raise AssertionError(f"no session of {user}/{name} in {self.folder}")

    def stop(self, session: Session) -> None:
        self.api("DELETE", self._server(session.user, session.name))
        eventually(lambda: not self.server_model(session.user, session.name), 90, "stopped")

    def token(self, user: str, *scopes: str) -> tuple[str, str]:
        """A new API token of this user, and its id."""
        body = {"note": "test", **({"scopes": list(scopes)} if scopes else {})}
        answer = self.api("POST", f"/users/{quote(user)}/tokens", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()["token"], answer.json()["id"]

    def _server(self, user: str, name: str) -> str:
        end = f"servers/{quote(name)}" if name else "server"
        return f"/users/{quote(user)}/{end}"

    def log_tail(self) -> str:
        return (self.folder / "hub.log").read_text()[-2000:]


def find_proxy() -> str:
    """configurable-http-proxy: the repository's own, or one on the PATH."""
    own = REPOSITORY / "node_modules/.bin/configurable-http-proxy"
    if own.exists():
        return str(own)
    return needs_program("configurable-http-proxy")


@contextmanager
def running_gate_bed(python: str = sys.executable, **environment: str) -> Iterator[GateBed]:
    """Hub and proxy on loopback, stopped afterwards with every session."""
    if find_program("nginx") is None:
        missing("needs nginx, which is not installed")
    proxy = find_proxy()
    with tempfile.TemporaryDirectory(prefix="gate") as name:
        folder = Path(name)
        make_page(folder / "page")
        ports = [free_port() for _ in range(3)]
        chief, robot = secrets.token_hex(16), secrets.token_hex(16)
        variables = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("JUPYTERHUB_", "JPY_"))},
            "BED_FOLDER": name,
            "BED_PORTS": ",".join(map(str, ports)),
            "BED_PROXY": proxy,
            "BED_CHIEF_TOKEN": chief,
            "BED_ROBOT_TOKEN": robot,
            "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(16),
            "PYTHONPATH": str(REPOSITORY),
            **environment,
        }
        config = REPOSITORY / "tests/support/gate_hub_config.py"
        with (folder / "hub.log").open("ab") as log:
            hub = subprocess.Popen(
                [python, "-m", "jupyterhub", "-f", str(config)],
                env=variables,
                cwd=name,
                stdout=log,
                stderr=log,
            )
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        bed = GateBed(urls[0], urls[1], folder, chief, robot, hub)
        try:
            eventually(
                lambda: answers(f"{urls[0]}/hub/health", hub, bed),
                240,
                f"hub is up; {bed.log_tail()}",
            )
            yield bed
        finally:
            hub.send_signal(signal.SIGCONT)
            hub.terminate()
            try:
                hub.wait(120)
            finally:
                hub.kill()
                end_leftovers(folder)


def end_leftovers(folder: Path) -> None:
    """A hub that had to be killed leaves its sessions' processes: end those that it started."""
    for path in folder.glob("s*/session.json"):
        for pid in json.loads(path.read_text())["pids"].values():
            command = Path(f"/proc/{pid}/environ")
            try:
                ours = str(folder).encode() in command.read_bytes()
                if ours:
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                continue


def answers(url: str, hub: subprocess.Popen[bytes], bed: GateBed) -> bool:
    assert hub.poll() is None, f"the hub ended: {bed.log_tail()}"
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def make_page(folder: Path) -> None:
    """A page with the shape of the built one."""
    (folder / "assets").mkdir(parents=True)
    script = '<script type="module" crossorigin src="./assets/app-1a2b.js"></script>'
    (folder / "index.html").write_text(f"<!doctype html><title>THE PAGE</title>{script}")
    (folder / "assets/app-1a2b.js").write_text("document.title = 'ran';\n" + "// pad\n" * 400)


def start_together(bed: GateBed, *who: tuple[str, str]) -> list[Session]:
    """Start several sessions at once."""
    with ThreadPoolExecutor(len(who)) as pool:
        return list(pool.map(lambda pair: bed.start(*pair), who))


@dataclass(frozen=True)
class RawAnswer:
    status: int
    headers: dict[str, str]
    body: bytes


def raw_request(
    url: str,
    target: str,
    headers: dict[str, str] | None = None,
    method: str = "GET",
    body: bytes = b"",
    seconds: float = 10,
) -> RawAnswer:
    """One request sent byte for byte as given: no client tidies path, method or headers."""
    where = urlsplit(url)
    assert where.hostname
    lines = {"Host": where.netloc, "Connection": "close", **(headers or {})}
    head = f"{method} {target} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    with socket.create_connection((where.hostname, where.port or 80), seconds) as connection:
        connection.sendall(head.encode("latin-1") + b"\r\n" + body)
        answer = http.client.HTTPResponse(connection, method=method)
        answer.begin()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        content = b"" if answer.status == 101 else answer.read()
        return RawAnswer(answer.status, fields, content)
