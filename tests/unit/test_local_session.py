"""Accounts, folders and processes of a local session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from savu_spawner.contract import SOCKET_PATH_LIMIT
from savu_spawner.errors import SessionFailed
from savu_spawner.local_session import (
    Account,
    SessionFolder,
    kill_tree,
    supervisor_process,
    wait_gone,
)
from tests.support.needs import needs_root

USER, SERVICE = Account(21001, 21002, (31001,)), Account(64180, 64181)


@pytest.mark.parametrize("text", ["0:5", "5:0", "root", "no-such-account", "", "5", "-1:5", "a:b"])
def test_account_that_is_root_or_nobody_known_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"root's identity|no local account"):
        Account.parse(text)


def test_account_is_given_by_numbers_or_by_name() -> None:
    assert Account.parse("64180:64181") == Account(64180, 64181)
    daemon = Account.parse("daemon")
    assert daemon.uid > 0
    assert daemon.gid > 0


def test_folders_are_open_to_their_ends_only(tmp_path: Path) -> None:
    needs_root()
    folder = SessionFolder.of(str(tmp_path), "ada", "")
    folder.create(USER, SERVICE)
    seen = {}
    for path in folder.path.iterdir():
        status = path.stat()
        seen[path.name] = (status.st_uid, status.st_gid, oct(status.st_mode & 0o7777))
    assert seen == {
        "control": (0, 0, "0o700"),
        "gate": (64180, 64181, "0o750"),
        "api": (21001, 64181, "0o750"),
        "dataserver": (21001, 64181, "0o750"),
        "web": (64180, 64181, "0o700"),
        "temporary": (21001, 21002, "0o700"),
    }


def test_folder_of_anothers_is_not_used(tmp_path: Path) -> None:
    needs_root()
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(SessionFailed):
        SessionFolder.of(str(tmp_path), "ada", "").create(None, None)


def test_socket_paths_stay_short_for_any_name() -> None:
    folder = SessionFolder.of("/run/savu-spawner", "ü" * 500, "server" * 50)
    for program in ("gate", "api", "dataserver"):
        assert len(str(folder.socket(program)).encode()) < SOCKET_PATH_LIMIT


def test_sessions_of_two_servers_do_not_meet() -> None:
    paths = {
        SessionFolder.of("/run", user, server).path
        for user, server in [("ada", ""), ("ada", "b"), ("alan", ""), ("alan", "b")]
    }
    assert len(paths) == 4


async def test_reused_process_id_is_somebody_elses_process() -> None:
    here = psutil.Process()
    assert supervisor_process(here.pid, here.create_time()) is not None
    assert supervisor_process(here.pid, here.create_time() - 100) is None


async def test_end_of_a_process_is_awaited_and_a_tree_is_killed() -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    process = psutil.Process(parent.pid)
    assert not await wait_gone(process, 0.01)
    while not process.children():
        assert parent.poll() is None
    [child] = process.children()
    kill_tree(process)
    assert await wait_gone(process, 10)
    parent.wait()
    assert await wait_gone(child, 10)
