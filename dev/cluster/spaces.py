"""Spaces: the control plane and each node in namespaces of their own, as machines would be.

The first process of a space is ``dev.cluster.supervisor``. It is found by its command line, which
names the cluster's folder, so that a space is found again whoever started it and however that
ended. When it dies, the kernel ends everything else in the space.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dev.cluster import cgroups, tools
from dev.cluster.errors import ClusterError
from dev.cluster.layout import CHECKOUT, INSIDE, SUPERVISOR_SOCKET, Layout

MODULE = "dev.cluster.supervisor"
START_SECONDS = 30
END_SECONDS = 30


class Space:
    """One space of a cluster, running or not."""

    def __init__(self, layout: Layout, name: str) -> None:
        self.layout = layout
        self.name = name

    @property
    def pid(self) -> int | None:
        """Of its first process, in the machine's numbers; None if it does not run."""
        return next((pid for pid in self._processes() if _is_first(pid)), None)

    def start(self) -> int:
        """Start it if it does not run; returns its first process."""
        if (pid := self.pid) is not None:
            return pid
        self.layout.space(self.name).mkdir(parents=True, exist_ok=True)
        self.layout.logs.mkdir(exist_ok=True)
        log = self.layout.log(self.name, "supervisor")
        unshare = ["unshare", "-mnpui", "--fork", "--kill-child=KILL", "--mount-proc"]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*unshare, "--propagation", "private", "--", *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=CHECKOUT,
                env=tools.environment(),
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            if (pid := self.pid) is not None and _answers(pid):
                # Both: whoever ends the caller's group, as the end of a login does, would end this.
                for one in (pid, process.pid):
                    cgroups.enter(one, self.layout.cgroup)
                return pid
            time.sleep(0.02)
        self.kill()
        raise ClusterError(f"The space of {self.name} did not start:\n{log.read_text().strip()}")

    def kill(self) -> None:
        """End everything in it at once, as a power cut would; on return it is gone."""
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + END_SECONDS
        while any(_alive(pid) for pid in self._processes()):
            if time.monotonic() > deadline:
                raise ClusterError(f"Processes of {self.name} do not end: {self._processes()}")
            time.sleep(0.02)

    def programs(self) -> dict[str, dict[str, int]]:
        """``running``: names and process ids in the space; ``ended``: names and exit codes."""
        answer: dict[str, dict[str, int]] = self._ask({"do": "status"})
        return answer

    def start_program(self, name: str, argv: list[str]) -> None:
        """Start a program in the space unless it runs there."""
        log = INSIDE.log(self.name, name)
        self._ask({"do": "start", "name": name, "argv": argv, "log": str(log)})

    def stop_program(self, name: str) -> None:
        """End a program with SIGKILL; harmless if it does not run."""
        self._ask({"do": "stop", "name": name})

    def path(self, inside: Path | str) -> Path:
        """A file of the space, as the machine sees it."""
        return Path(f"/proc/{self._running_pid()}/root{inside}")

    def run(self, *argv: str, namespaces: str = "n", text: str | None = None) -> str:
        """Run a program of the machine in namespaces of the space (nsenter's letters)."""
        flags = [f"-{letter}" for letter in namespaces]
        return tools.run("nsenter", "-t", self._running_pid(), *flags, "--", *argv, text=text)

    def _command(self) -> list[str]:
        return [sys.executable, "-m", MODULE, str(self.layout.folder), self.name]

    def _processes(self) -> list[int]:
        """The first process, and ``unshare``, which started it and waits for it."""
        return [pid for pid, argv in _commands() if argv[-4:] == self._command()[1:][-4:]]

    def _running_pid(self) -> int:
        if (pid := self.pid) is None:
            raise ClusterError(f"{self.name} does not run")
        return pid

    def _ask(self, request: dict[str, Any]) -> Any:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            try:
                connection.connect(str(self.path(SUPERVISOR_SOCKET)))
                with connection.makefile("rw") as stream:
                    stream.write(json.dumps(request) + "\n")
                    stream.flush()
                    answer = json.loads(stream.readline())
            except (OSError, ValueError) as error:
                raise ClusterError(f"{self.name} does not answer: {error}") from error
        if "error" in answer:
            raise ClusterError(f"{self.name}: {answer['error']}")
        return answer


def spaces_of(layout: Layout) -> list[Space]:
    """Every space of a cluster that has a process."""
    folder = str(layout.folder)
    names = {argv[-1] for _, argv in _commands() if argv[-3:-1] == [MODULE, folder]}
    return [Space(layout, name) for name in sorted(names)]


def _commands() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                yield int(entry.name), (entry / "cmdline").read_text().rstrip("\0").split("\0")


def _is_first(pid: int) -> bool:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                numbers = line.split()[1:]
                return len(numbers) > 1 and numbers[-1] == "1"
    return False


def _answers(pid: int) -> bool:
    return Path(f"/proc/{pid}/root{SUPERVISOR_SOCKET}").exists()


def _alive(pid: int) -> bool:
    """A zombie that its parent has not waited for yet has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
