"""What one local session is on the machine: accounts, folders, and the supervisor's process."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import pwd
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from savu_spawner.contract import Program
from savu_spawner.errors import SessionFailed


def default_runtime_dir() -> str:
    """Where the sockets of sessions are unless configured."""
    if os.geteuid() == 0:
        return "/run/savu-spawner"
    parent = os.environ.get("XDG_RUNTIME_DIR")
    return f"{parent}/savu-spawner" if parent else f"/tmp/savu-spawner-{os.geteuid()}"


@dataclass(frozen=True)
class Account:
    """A numeric identity that a process takes."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Account:
        """``name`` of a local account, or ``uid:gid``.

        Raises:
            ValueError: no such account, or an identity that could act for others (0).
        """
        if match := re.fullmatch(r"(\d+):(\d+)", text):
            account = cls(int(match[1]), int(match[2]))
        else:
            try:
                entry = pwd.getpwnam(text)
            except KeyError:
                raise ValueError(f"there is no local account {text!r}") from None
            account = cls(entry.pw_uid, entry.pw_gid)
        if 0 in (account.uid, account.gid):
            raise ValueError(f"{text!r} is root's identity")
        return account


class SessionFolder:
    """The folders of one running session, each open to its own ends only.

    ::

        <runtime_dir>/<hash>/       0711  the supervisor's
        ├── control/                0700  the supervisor's: its socket, how the session ended
        ├── gate/                   0750  web and gate
        ├── api/                    0750  the user, web and gate
        ├── dataserver/             0750  the user and web
        ├── web/                    0700  web: nginx's files
        └── temporary/              0700  the user's

    Hashed, so that a long name does not make a socket's path longer than the kernel takes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, runtime_dir: str, user: str, server: str) -> SessionFolder:
        """The folder of this server of this user."""
        digest = hashlib.sha256(f"{user}/{server}".encode()).hexdigest()[:12]
        return cls(Path(runtime_dir) / digest)

    @property
    def control(self) -> Path:
        return self.path / "control" / "control.sock"

    @property
    def ended_file(self) -> Path:
        return self.path / "control" / "ended.json"

    @property
    def record(self) -> Path:
        """Who the session is of and which process supervises it; read by the caretaker."""
        return self.path / "control" / "session.json"

    @property
    def health_socket(self) -> Path:
        return self.path / "web" / "health.sock"

    @property
    def temporary(self) -> Path:
        return self.path / "temporary"

    def socket(self, program: Program) -> Path:
        return self.path / program / f"{program}.sock"

    def create(self, user: Account | None, service: Account | None) -> None:
        """Make all folders anew; without accounts they are this process's own."""
        self.remove()
        self.path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        if self.path.parent.stat().st_uid != os.geteuid():
            # In a folder of somebody else's, they could put their own sockets in place of ours.
            raise SessionFailed(
                "This hub is not set up to start sessions.",
                log_message=f"LocalSavuSpawner.runtime_dir {self.path.parent} is not the hub's own",
            )
        self.path.mkdir(mode=0o711)
        # mkdir's mode is cut by the umask, and web must be able to pass through.
        self.path.chmod(0o711)
        for name in ("control", "gate", "api", "dataserver", "web", "temporary"):
            (self.path / name).mkdir(mode=0o700)
        if user is None or service is None:
            return
        for name, owner, group, mode in (
            ("gate", service.uid, service.gid, 0o750),
            ("api", user.uid, service.gid, 0o750),
            ("dataserver", user.uid, service.gid, 0o750),
            ("web", service.uid, service.gid, 0o700),
            ("temporary", user.uid, user.gid, 0o700),
        ):
            folder = self.path / name
            os.chown(folder, owner, group)
            folder.chmod(mode)

    def remove(self) -> None:
        """Delete the folders; a folder that is not there is as good."""
        shutil.rmtree(self.path, ignore_errors=True)

    def ended(self) -> dict[str, str] | None:
        """What the supervisor wrote when the session ended."""
        try:
            return dict(json.loads(self.ended_file.read_text()))
        except (OSError, ValueError):
            return None


def supervisor_process(pid: int, started: float) -> psutil.Process | None:
    """The live process of this id and start time; a reused id is somebody else's process."""
    try:
        process = psutil.Process(pid)
        if abs(process.create_time() - started) > 0.5 or process.status() == psutil.STATUS_ZOMBIE:
            return None
    except psutil.NoSuchProcess:
        return None
    return process


async def wait_gone(process: psutil.Process, seconds: float | None) -> bool:
    """Wait for the end of any process (not only a child); False if it takes longer."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, gone.set)
    try:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        await asyncio.wait_for(gone.wait(), seconds)
    except psutil.NoSuchProcess:
        return True
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return True


def kill_tree(process: psutil.Process) -> None:
    """SIGKILL to a process and everything below it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


def kill_orphans(folder: Path) -> None:
    """SIGKILL to what a killed supervisor left of a session.

    Those are the processes that were started with one of the session's folders in their
    environment, or hold a socket in it: nginx writes its title over its environment.
    """
    marker = f"{folder}/"
    members = {
        connection.pid
        for connection in psutil.net_connections("unix")
        if connection.pid and marker in str(connection.laddr)
    }
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if any(marker in value for value in process.environ().values()):
                members.add(process.pid)
    for pid in members - {os.getpid()}:
        with contextlib.suppress(psutil.NoSuchProcess):
            kill_tree(psutil.Process(pid))
