"""The data server as its own program on a unix socket, for tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

STARTUP_SECONDS = 30.0


@dataclass
class DataServer:
    """A running ``python -m savu_dataserver``."""

    process: subprocess.Popen[bytes]
    socket: Path
    log: Path
    client: httpx.Client
    started_in: float
    """Seconds until it was healthy."""

    def get(self, route: str, /, **query: Any) -> httpx.Response:
        """GET a route with a query; None is left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self.client.get(route, params=given)

    def async_client(self) -> httpx.AsyncClient:
        """For requests that overlap."""
        return httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(self.socket), limits=httpx.Limits()),
            base_url="http://dataserver",
            timeout=60,
        )


def environment(socket: Path, roots: Sequence[Path], max_bytes: int, home: Path) -> dict[str, str]:
    """All that the program reads, and nothing else."""
    return {
        "DATASERVER_LISTEN": f"unix:{socket}",
        "DATA_ROOTS": ":".join(map(str, roots)),
        "DATASERVER_MAX_BYTES": str(max_bytes),
        "HOME": str(home),
        "TMPDIR": str(home),
        "PATH": os.environ["PATH"],
    }


@contextmanager
def running_dataserver(
    *roots: Path,
    max_bytes: int = 64 * 1024 * 1024,
    user: int | None = None,
    extra_environment: dict[str, str] | None = None,
) -> Iterator[DataServer]:
    """Start the program, wait until it is healthy, and end it."""
    # Not pytest's folder: a socket's path has at most 107 bytes.
    home = Path(tempfile.mkdtemp(prefix="ds-"))
    home.chmod(0o755)
    if user is not None:
        os.chown(home, user, user)
    socket, log = home / "dataserver.sock", home / "log"
    given = environment(socket, roots, max_bytes, home) | (extra_environment or {})
    identity: dict[str, Any] = (
        {} if user is None else {"user": user, "group": user, "extra_groups": []}
    )
    began = time.monotonic()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "savu_dataserver"], env=given, stderr=stream, **identity
        )
    client = httpx.Client(
        transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://dataserver", timeout=60
    )
    try:
        _wait_until_healthy(process, client, log)
        yield DataServer(process, socket, log, client, time.monotonic() - began)
    finally:
        client.close()
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(home, ignore_errors=True)


def _wait_until_healthy(process: subprocess.Popen[bytes], client: httpx.Client, log: Path) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise AssertionError(f"the data server ended: {log.read_text()}")
        try:
            if client.get("/internal/health").status_code == 204:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise AssertionError(f"the data server did not become healthy: {log.read_text()}")
