"""The demo's servers: slapd, JupyterHub and its proxy, on loopback, with the sample data."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
from savu_builtin.sample import generate

from demo.slapd import Slapd
from savu_spawner.caretaker.local import look, remove

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"

VISIT_GROUPS = {"cm10001-1": 31001, "cm10002-1": 31002}

HUB_SECONDS = 300
"""Longer than a busy machine takes: what is given up here is a hub that hangs."""


class DemoError(Exception):
    """The demo cannot run; the sentence says why and what to do."""


def _ignore(_: str) -> None:
    pass


class Bed:
    """Everything that the demo starts; ``stop`` ends all of it.

    Args:
        folder: where data, database and logs are kept, made if need be.
        port: of the proxy, on 127.0.0.1; 0 for any.
        password: of every account in the directory.
        say: told how far the start is.
        cleanup: whether the end of the hub ends its sessions.
        python: the interpreter that runs JupyterHub.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        password: str = "",
        say: Callable[[str], None] = _ignore,
        cleanup: bool = True,
        python: str = sys.executable,
        config: Path = HERE / "jupyterhub_config.py",
    ) -> None:
        self.folder = folder.resolve()
        self.password = password or kept_password(self.folder)
        self.cleanup = cleanup
        self.python = python
        self.config = config
        self.slapd: Slapd | None = None
        self.hub: subprocess.Popen[bytes] | None = None
        self._say = say
        self._port = port

    @property
    def url(self) -> str:
        """Of the login page."""
        return f"http://127.0.0.1:{self._port}/"

    @property
    def protects_files(self) -> bool:
        """Whether each session runs as its own user, which takes root."""
        return os.geteuid() == 0

    @property
    def hub_log(self) -> Path:
        return self.folder / "hub" / "jupyterhub.log"

    @property
    def runtime_dir(self) -> Path:
        """Short, since the paths of sockets are; the same for every start in this folder."""
        digest = hashlib.sha256(str(self.folder).encode()).hexdigest()[:10]
        return Path("/tmp") / f"savu-demo-{digest}-{os.geteuid()}"

    def start(self) -> None:
        """Start all; on return the login page answers.

        Raises:
            DemoError: something is missing or in use; nothing is left running.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        _check_port(self._port)
        (self.folder / "hub").mkdir(parents=True, exist_ok=True)
        (self.folder / "hub").chmod(0o700)
        self.folder.chmod(self.folder.stat().st_mode | 0o711)
        self._say("sample data: two visits, one scan each")
        groups = VISIT_GROUPS if os.geteuid() == 0 else None
        generate(self.folder / "data", groups)
        self._say("directory: a real OpenLDAP server with the demo's accounts")
        self.slapd = Slapd(self.folder / "slapd", HERE / "users.ldif", password=self.password)
        self.slapd.start()
        self._end_leftovers()
        self._say("JupyterHub and its proxy")
        self.start_hub()

    def start_hub(self) -> None:
        """Start JupyterHub (again); it adopts what an earlier one left running."""
        assert self.slapd is not None
        self._port = self._port or free_port()
        environment = os.environ | {
            "PATH": f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}",
            "DEMO_DIR": str(self.folder),
            "DEMO_URL": self.url,
            "DEMO_HUB_URL": f"http://127.0.0.1:{free_port()}",
            "DEMO_PROXY_API_URL": f"http://127.0.0.1:{free_port()}",
            "DEMO_PROXY_TOKEN": secrets.token_hex(32),
            "DEMO_NODE": find_node(),
            "DEMO_PROXY": str(CHECKOUT / "node_modules/.bin/configurable-http-proxy"),
            "DEMO_LDAP_URL": self.slapd.url,
            "DEMO_LDAP_CA": str(self.slapd.ca_file),
            "DEMO_RUNTIME_DIR": str(self.runtime_dir),
            "DEMO_CLEANUP": "1" if self.cleanup else "0",
        }
        with self.hub_log.open("ab") as log:
            self.hub = subprocess.Popen(
                [self.python, "-m", "jupyterhub", "-f", str(self.config)],
                cwd=self.folder / "hub",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for this process, which then ends the hub in order.
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        self._await_hub()

    def _await_hub(self) -> None:
        assert self.hub is not None
        deadline = time.monotonic() + HUB_SECONDS
        while time.monotonic() < deadline:
            if self.hub.poll() is not None:
                raise DemoError(
                    f"JupyterHub ended while starting (see {self.hub_log}):\n{self._log_tail()}"
                )
            if answers(self.url + "hub/health"):
                return
            time.sleep(0.05)
        raise DemoError(f"JupyterHub did not answer within {HUB_SECONDS} s, see {self.hub_log}")

    def stop_hub(self) -> None:
        """End JupyterHub in order, and its proxy and service with it."""
        if self.hub is None:
            return
        self.hub.terminate()
        try:
            self.hub.wait(30)
        except subprocess.TimeoutExpired:
            self.kill_hub()
        self.hub = None

    def kill_hub(self) -> None:
        """SIGKILL to JupyterHub, its proxy and its service, as a crash of the machine would."""
        if self.hub is not None:
            _kill_but_sessions(psutil.Process(self.hub.pid))
            self.hub.wait()
            self.hub = None

    def stop(self) -> None:
        """End everything that was started, sessions included."""
        self.stop_hub()
        self._end_leftovers()
        if self.slapd is not None:
            self.slapd.stop()
            self.slapd = None

    def _end_leftovers(self) -> None:
        if self.cleanup:
            for found in look(self.runtime_dir):
                asyncio.run(remove(found))
            shutil.rmtree(self.runtime_dir, ignore_errors=True)

    def _log_tail(self) -> str:
        return "\n".join(self.hub_log.read_text(errors="replace").splitlines()[-15:])

    def __enter__(self) -> Bed:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def kept_password(folder: Path) -> str:
    """The password of this folder's demo: made once, readable by its owner."""
    file = folder / "password"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(4))
    return file.read_text()


def find_node() -> str:
    """Node.js 20.19 or newer: the machine's, or the one beside this Python."""
    beside = Path(sys.executable).parent / "node"
    for candidate in (beside, shutil.which("node")):
        if candidate and Path(candidate).exists():
            return str(candidate)
    raise DemoError("Node.js is missing: make demo installs it")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _check_port(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise DemoError(
            f"Port {port} cannot be used ({error.strerror}). Choose another: make demo PORT=8123"
        ) from None


def _kill_but_sessions(hub: psutil.Process) -> None:
    """SIGKILL to the hub, its proxy and its services; supervisors of sessions are left alone."""
    others = []
    for child in hub.children():
        with contextlib.suppress(psutil.Error):
            if "savu_spawner.supervisor" not in child.cmdline():
                others.append(child)
    for process in (hub, *others):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
