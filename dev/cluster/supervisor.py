"""The first process of a space: makes the space its own, then starts and ends programs on request.

    python -m dev.cluster.supervisor CLUSTER SPACE     (in new namespaces, see spaces.py)

A space has its own /run and /var; what its programs want to write there stays in it and ends with
it. Requests are lines of JSON on a unix socket, answered in kind.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from dev.cluster.layout import CHECKOUT, INSIDE, SUPERVISOR_SOCKET, Layout

KEPT_CHECKOUT = Path("/run/checkout")
READ_ONLY = ("kernel", "vm", "fs", "debug", "dev")
"""Settings of the whole machine below /proc/sys: nothing here may change them."""

WANTED_BY_KUBELETS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1_000_000,
    "kernel/keys/root_maxbytes": 25_000_000,
}
"""A kubelet sets these for the whole machine and ends if it cannot: it is shown what it wants."""


def main() -> None:
    layout, name = Layout(Path(sys.argv[1])), sys.argv[2]
    os.chdir("/")
    furnish(layout.folder, name)
    Supervisor(SUPERVISOR_SOCKET).run()


def furnish(folder: Path, name: str) -> None:
    """Make mounts, host name and network of the namespaces that this process is the first of."""
    # Mounts made by a kubelet must reach its containers (HostToContainer).
    _mount("--make-rshared", "/")
    _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run")
    INSIDE.folder.mkdir()
    _mount("--rbind", str(folder), str(INSIDE.folder))
    # Apart from the original, or every volume would be mounted below both.
    _mount("--make-rprivate", str(INSIDE.folder))
    _mount("--make-rshared", str(INSIDE.folder))
    _cover_var()
    Path("/run/netns").mkdir()
    for group in READ_ONLY:
        if (path := Path("/proc/sys") / group).is_dir():
            _mount("--bind", str(path), str(path))
            _mount("-o", "remount,bind,ro", str(path))
    for setting, value in WANTED_BY_KUBELETS.items():
        shown = Path("/run/settings") / setting
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.write_text(f"{value}\n")
        _mount("--bind", str(shown), f"/proc/sys/{setting}")
    socket.sethostname(name)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _cover_var() -> None:
    """An empty /var, in which the checkout, if that is where it is, stays."""
    is_inside = CHECKOUT.is_relative_to("/var")
    if is_inside:
        KEPT_CHECKOUT.mkdir()
        _mount("--rbind", str(CHECKOUT), str(KEPT_CHECKOUT))
    _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/var")
    for path in ("/var/lib/cni", "/var/log", "/var/tmp"):
        Path(path).mkdir(parents=True)
    Path("/var/tmp").chmod(0o1777)
    Path("/var/run").symlink_to("/run")
    if is_inside:
        CHECKOUT.mkdir(parents=True, exist_ok=True)
        _mount("--rbind", str(KEPT_CHECKOUT), str(CHECKOUT))


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"mount {' '.join(arguments)}: {done.stderr.strip()}")


class Supervisor:
    """Starts, ends and reaps; everything that lost its parent in the space is its child too."""

    def __init__(self, path: Path) -> None:
        self._running: dict[str, int] = {}
        self._ended: dict[str, int] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        early = path.with_suffix(".early")
        self._listener.bind(str(early))
        self._listener.listen()
        early.rename(path)  # where it is found, it answers
        self._selector.register(self._listener, selectors.EVENT_READ)
        wake, alarm = socket.socketpair()
        wake.setblocking(False)
        alarm.setblocking(False)
        self._wake = wake
        self._alarm = alarm  # referenced, or it would be closed
        self._selector.register(wake, selectors.EVENT_READ)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(alarm.fileno())

    def run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._wake:
                    self._wake.recv(4096)
                else:
                    self._serve()
            self._reap()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection, connection.makefile("rw") as stream:
            connection.settimeout(10)
            try:
                answer = self._do(json.loads(stream.readline()))
            except (OSError, ValueError, KeyError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            with contextlib.suppress(OSError):
                stream.write(json.dumps(answer) + "\n")
                stream.flush()

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        self._reap()
        if request["do"] == "start":
            self._start(request["name"], request["argv"], request["log"])
        elif request["do"] == "stop":
            self._stop(request["name"])
        return {"running": self._running, "ended": self._ended}

    def _start(self, name: str, argv: list[str], log: str) -> None:
        if name in self._running:
            return
        with Path(log).open("ab") as output:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._ended.pop(name, None)
        self._running[name] = process.pid
        # Reaped below with every other child, not by the object.
        process.returncode = 0

    def _stop(self, name: str) -> None:
        """End a program at once, as a crash would; on return it is gone."""
        if (pid := self._running.get(name)) is None:
            return
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        self._note(pid, status)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._note(pid, status)

    def _note(self, pid: int, status: int) -> None:
        for name, running in list(self._running.items()):
            if running == pid:
                del self._running[name]
                self._ended[name] = os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    main()
