"""A real hub with its directory, proxy and people, for tests."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import requests

from demo.bed import Bed
from demo.story import Place
from demo.visitor import Visitor
from savu_spawner.local_session import SessionFolder, supervisor_process
from tests.support.needs import missing, needs_program

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse"

HUBS = {"jupyterhub-6": Path(sys.executable), "jupyterhub-5.5": ROOT / ".venv-hub5/bin/python"}
"""The interpreters that have each supported JupyterHub."""


@contextlib.contextmanager
def running_bed(hub: str = "jupyterhub-6") -> Iterator[Bed]:
    """The demo's servers in a folder that every user may pass through, removed afterwards."""
    needs_program("slapd")
    needs_program("nginx")
    python = HUBS[hub]
    if not python.exists():
        missing(f"needs {hub} in {python.parent.parent.name}, which `make test` installs")
    folder = Path(tempfile.mkdtemp(prefix="savu-test-"))
    folder.chmod(0o711)
    bed = Bed(
        folder,
        password=PASSWORD,
        python=str(python),
        config=ROOT / "tests" / "hub" / "jupyterhub_config.py",
    )
    try:
        with bed:
            yield bed
    finally:
        if log := os.environ.get("SAVU_TEST_LOGS"):
            shutil.copytree(folder / "logs", Path(log) / hub, dirs_exist_ok=True)
            shutil.copy(bed.hub_log, Path(log) / hub)
        shutil.rmtree(folder, ignore_errors=True)


def person(bed: Place, name: str) -> Visitor:
    """Somebody who has logged in."""
    visitor = Visitor(bed.url, name, bed.password)
    visitor.log_in()
    return visitor


def stop_session(bed: Place, name: str, server: str = "") -> None:
    """An administrator stops a session; returns when the hub has finished."""
    admin = person(bed, "hubadmin")
    path = f"users/{name}/servers/{server}" if server else f"users/{name}/server"
    admin.hub("DELETE", path)
    wait_until(lambda: not session_known(admin, name, server))


def session_known(admin: Visitor, name: str, server: str = "") -> bool:
    """Whether the hub lists this server as running or pending."""
    answer = admin.hub("GET", f"users/{name}")
    return server in (answer.json().get("servers") or {}) if answer.ok else False


def wait_until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Look again until something holds that another program does.

    Raises:
        AssertionError: it did not, in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


def programs_of(bed: Bed, name: str, server: str = "") -> dict[str, psutil.Process]:
    """The running programs of a session, by name: the children of its supervisor."""
    folder = SessionFolder.of(str(bed.runtime_dir), name, server)
    try:
        pid, started = json.loads(folder.record.read_text())["supervisor"]
    except FileNotFoundError:
        return {}
    supervisor = supervisor_process(pid, started)
    found = {}
    for process in supervisor.children() if supervisor else []:
        with contextlib.suppress(psutil.NoSuchProcess):
            # nginx writes its title over its command line.
            words = process.cmdline()
            program = words[-1].removeprefix("savu_") if "-m" in words else "web"
            found[program] = process
    return found


def is_json(answer: requests.Response) -> bool:
    return "json" in answer.headers.get("Content-Type", "")
