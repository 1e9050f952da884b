"""A spawner for tests: gate, web and stand-ins for the two other programs, as plain processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jupyterhub.spawner import Spawner
from traitlets import Dict, Integer, Unicode

REPOSITORY = Path(__file__).parents[2]


class TrioSpawner(Spawner):
    """Starts the real gate and web, and FakeApi and FakeDataserver."""

    sessions = Unicode(help="Folder for the run directories").tag(config=True)
    page = Unicode(help="Folder of the page").tag(config=True)
    admit = Dict(help="GATE_ADMIT by user name; owner if not named").tag(config=True)
    cache_seconds = Integer(1, help="GATE_CACHE_SECONDS").tag(config=True)
    delays = Dict(help="Seconds, by user name, until FakeApi is started").tag(config=True)
    http_timeouts = Dict(help="http_timeout by user name").tag(config=True)
    gate_environment = Dict(help="More variables for the gate").tag(config=True)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.stopped = False

    async def start(self) -> tuple[str, int]:
        self.stopped = False
        folder = Path(tempfile.mkdtemp(prefix="s", dir=self.sessions))
        with socket.socket() as finder:
            finder.bind(("127.0.0.1", 0))
            port = finder.getsockname()[1]
        sockets = {name: f"{folder}/{name}.sock" for name in ("gate", "api", "dataserver")}
        plain = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": ":".join(str(REPOSITORY / "docker" / name) for name in ("gate", "web")),
        }
        web = {
            **plain,
            "SESSION_PREFIX": unquote(self.server.base_url),
            "WEB_LISTEN": f"127.0.0.1:{port}",
            "WEB_HEALTH_LISTEN": f"unix:{folder}/health.sock",
            "WEB_RUN_DIR": str(folder),
            "FOREIGN_PROGRAMS": "",
            **{f"{name.upper()}_UPSTREAM": f"unix:{path}" for name, path in sockets.items()},
        }
        hub = {k: v for k, v in self.get_env().items() if k.startswith(("JUPYTERHUB_", "JPY_"))}
        gate = {
            **plain,
            **hub,
            "GATE_LISTEN": f"unix:{sockets['gate']}",
            "API_UPSTREAM": f"unix:{sockets['api']}",
            "SESSION_PREFIX": web["SESSION_PREFIX"],
            "SESSION_USER": self.user.name,
            "GATE_LINK_KEY_FILE": "",
            "FOREIGN_PROGRAMS": "",
            "GATE_ADMIT": self.admit.get(self.user.name, "owner"),
            "GATE_CACHE_SECONDS": str(self.cache_seconds),
            **self.gate_environment,
        }
        (folder / "gate.json").write_text(json.dumps(gate))
        python = sys.executable
        self.run(folder, "web", [python, "-m", "savu_web", "--page", self.page], web)
        self.run(folder, "gate", [python, "-m", "savu_gate"], gate)
        self.http_timeout = self.http_timeouts.get(self.user.name, self.http_timeout)
        services = str(REPOSITORY / "tests/support/fake_services.py")
        command = [python, services, sockets["api"], sockets["dataserver"]]
        delay = self.delays.get(self.user.name)
        if delay is None:
            self.run(folder, "services", command, plain)
        else:
            later = asyncio.get_running_loop().call_later
            later(delay, self.run, folder, "services", command, plain)
        pids = {name: process.pid for name, process in self.processes.items()}
        (folder / "session.json").write_text(
            json.dumps({"prefix": self.server.base_url, "port": port, "pids": pids})
        )
        return "127.0.0.1", port

    def run(self, folder: Path, name: str, command: list[str], environment: dict[str, str]) -> None:
        if self.stopped:
            return
        with (folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    async def poll(self) -> int | None:
        if not self.processes:
            return 0
        return self.processes["web"].poll()

    async def stop(self, now: bool = False) -> None:
        self.stopped = True
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            try:
                await asyncio.to_thread(process.wait, 5)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait)
        self.processes = {}
