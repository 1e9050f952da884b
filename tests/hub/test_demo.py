"""``make demo`` as a program: what it says, and that it leaves nothing behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from demo.bed import find_node, free_port
from tests.support.needs import missing, needs_program, needs_root
from tests.support.people import ROOT

NOBODY_IN_PARTICULAR = 23456


@pytest.fixture
def folder() -> Iterator[Path]:
    needs_program("slapd")
    needs_program("nginx")
    folder = Path(tempfile.mkdtemp(prefix="savu-demo-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def start(folder: Path, *options: str, uid: int | None = None) -> subprocess.Popen[str]:
    identity = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
    return subprocess.Popen(
        [sys.executable, "-m", "demo", "--folder", str(folder), *options],
        cwd=ROOT,
        env=os.environ | {"HOME": str(folder), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **identity,  # type: ignore[call-overload]
    )


def until(process: subprocess.Popen[str], words: str) -> str:
    """What was printed, up to the line that has ``words``."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"ended before {words!r}:\n{said}")


def left_of(folder: Path) -> list[str]:
    """Command lines of processes that still have to do with this demo."""
    left = []
    for process in psutil.process_iter():
        try:
            known = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(folder) in text for text in known):
            left.append(" ".join(process.cmdline()))
    return left


def test_ends_with_the_address_the_accounts_and_the_password_and_leaves_nothing(
    folder: Path,
) -> None:
    port = free_port()
    demo = start(folder, "--port", str(port), "--password", "opensesame")
    said = until(demo, "Ctrl-C")
    assert f"http://127.0.0.1:{port}/" in said
    assert "opensesame" in said
    for account in ("ada", "alan", "grace", "hubadmin", "backup", "toor", "halfway"):
        assert account in said
    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0, rest
    assert left_of(folder) == []


def test_port_in_use_is_said_with_what_to_do(folder: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        demo = start(folder, "--port", str(taken.getsockname()[1]))
        said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert re.search(r"Port \d+ cannot be used .*make demo PORT=", said)
    assert left_of(folder) == []


def test_story_plays_for_an_ordinary_user(folder: Path) -> None:
    needs_root()  # to become one
    if not os.access(find_node(), os.X_OK):
        missing("needs a Node.js that other users can run")
    os.chown(folder, NOBODY_IN_PARTICULAR, NOBODY_IN_PARTICULAR)
    demo = start(folder, "--port", str(free_port()), "--story", uid=NOBODY_IN_PARTICULAR)
    said, _ = demo.communicate(timeout=240)
    assert demo.returncode == 0, said
    assert "picture of the reconstructed slice" in said
    assert "grace's part is left out" in said
    assert left_of(folder) == []
