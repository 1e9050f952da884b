"""The real ``python -m savu_api`` on a unix socket of its own, asked over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

START_SECONDS = 60.0
STOP_SECONDS = 60.0


def api_environment(data_roots: Sequence[Path], run: Path, **changes: str) -> dict[str, str]:
    """All variables of the contract for ``api``, as whoever starts a session sets them."""
    environment = {
        "API_LISTEN": f"unix:{run / 'api.sock'}",
        "API_STATE_DIR": str(run / "state"),
        "DATA_ROOTS": ":".join(map(str, data_roots)),
        "VISIT_PATH_TEMPLATE": f"{data_roots[0]}/{{visit}}",
        "SESSION_USER": "ada",
        "SESSION_DISPLAY_NAME": "Ada Lovelace",
        "SESSION_SERVER_NAME": "",
        "SESSION_GROUPS": "ada=21001,cm10001_1=31001",
        "HUB_URL": "/hub/",
        "SUPPORT_CONTACT": "support@example.org",
        "ENGINES": "builtin",
        "SAVU_PYTHON": "",
        "SAVU_CATALOGUE": "",
        "HOME": str(run),
        "TMPDIR": str(run),
        "NUMBA_CACHE_DIR": str(run),
        "PATH": os.environ["PATH"],
    }
    return environment | changes


@dataclass(frozen=True)
class Api:
    """One running service."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    run: Path
    log: Path

    def terminate(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def serve(
    data_roots: Sequence[Path],
    *,
    changes: Mapping[str, str] | None = None,
    uid: int | None = None,
    gid: int | None = None,
    groups: Sequence[int] | None = None,
    run: Path | None = None,
    command: Sequence[str] = (sys.executable, "-m", "savu_api"),
) -> Iterator[Api]:
    """Start the service, as another user if ``uid`` is given, wait until it is healthy, end it.

    ``run`` is its folder for socket and state; a new one if absent, short enough for a socket.
    """
    with tempfile.TemporaryDirectory(prefix="savu-api-") as made:
        folder = run or Path(made)
        if uid is not None:
            os.chown(folder, uid, -1 if gid is None else gid)
        log = folder / "api.log"
        with log.open("ab") as stderr:
            process = subprocess.Popen(
                command,
                env=api_environment(data_roots, folder, **(changes or {})),
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                user=uid,
                group=gid,
                extra_groups=groups,
                cwd="/",
            )
        transport = httpx.HTTPTransport(uds=str(folder / "api.sock"))
        client = httpx.Client(transport=transport, base_url="http://api", timeout=30)
        try:
            _wait_until_healthy(process, client, log)
            yield Api(process, client, folder, log)
        finally:
            client.close()
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _wait_until_healthy(process: subprocess.Popen[bytes], client: httpx.Client, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if client.get("/internal/health").status_code == 204:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None:
            raise AssertionError(f"the API ended with {process.returncode}:\n{log.read_text()}")
        if time.monotonic() > deadline:
            raise AssertionError(f"the API is not healthy in time:\n{log.read_text()}")
        time.sleep(0.02)


def run_once(environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """The service with an environment it is to refuse: its exit status and what it said."""
    return subprocess.run(
        [sys.executable, "-m", "savu_api"],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is these problem details, in a sentence and without a trace of the program."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["code"] == code, problem
    assert problem["title"]
    assert problem["type"] == "about:blank"
    assert problem["detail"].endswith((".", "]", ")")), problem["detail"]
    assert "Traceback" not in json.dumps(problem)
    assert "/proc/self/fd" not in json.dumps(problem)
    return problem


def savu_variables(catalogue: Path) -> dict[str, str]:
    """An engine called savu that has this catalogue; it is asked for nothing else."""
    return {"ENGINES": "savu", "SAVU_PYTHON": sys.executable, "SAVU_CATALOGUE": str(catalogue)}
