"""The process that imports HDF5 once and gives birth to workers.

``python -m savu_dataserver.nursery FD``: FD is a SOCK_SEQPACKET socket to the web server. A packet
``{"birth": number, "quick": bool}`` with a socket attached makes a worker that serves on it;
``{"kill": number}`` ends one. Told back: ``{"ready": true}``, ``{"ended": number, "status": …}``
(negative: the signal). It ends, and all workers with it, when the web server does.
"""

from __future__ import annotations

import ctypes
import gc
import json
import logging
import os
import selectors
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import worker
from .settings import Settings, from_environment

log = logging.getLogger("savu_dataserver.nursery")

PACKET_BYTES = 4096
PR_SET_PDEATHSIG = 1


def main(descriptor: int) -> None:
    """Serve the socket until it closes."""
    die_with_parent()
    settings = from_environment()
    _leave_for_nowhere()
    control = socket.socket(fileno=descriptor)
    wake_read, wake_write = socket.socketpair()
    wake_read.setblocking(False)
    wake_write.setblocking(False)
    signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # The terminal's Ctrl-C reaches the whole group; the web server decides when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(wake_read, selectors.EVENT_READ)
    children: dict[int, int] = {}
    # Workers share these pages for as long as nobody writes to them; the collector would.
    gc.collect()
    gc.freeze()
    _tell(control, {"ready": True})
    while True:
        for key, _ in selector.select():
            if key.fileobj is wake_read:
                wake_read.recv(4096)
                _report_ended(control, children)
            elif not _obey(control, wake_read, wake_write, children, settings):
                for pid in children:
                    os.kill(pid, signal.SIGKILL)
                return


def die_with_parent() -> None:
    """Be killed when the process that started this one ends, however it ends."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _obey(
    control: socket.socket,
    wake_read: socket.socket,
    wake_write: socket.socket,
    children: dict[int, int],
    settings: Settings,
) -> bool:
    packet, descriptors, _, _ = socket.recv_fds(control, PACKET_BYTES, 1)
    if not packet:
        return False
    order: dict[str, Any] = json.loads(packet)
    if "kill" in order:
        for pid, number in children.items():
            if number == order["kill"]:
                os.kill(pid, signal.SIGKILL)
        return True
    connection = socket.socket(fileno=descriptors[0])
    try:
        pid = os.fork()
    except OSError as error:
        log.warning("no further worker: %s", error)
        connection.close()
        _tell(control, {"ended": order["birth"], "status": 1})
        return True
    if pid == 0:
        control.close()
        wake_read.close()
        wake_write.close()
        _live(connection, settings, bool(order["quick"]))
    connection.close()
    children[pid] = order["birth"]
    return True


def _live(connection: socket.socket, settings: Settings, quick: bool) -> None:
    """A worker's whole life."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        die_with_parent()
        worker.serve(connection, settings, quick)
        status = 0
    except BaseException:
        log.exception("a worker failed")
    finally:
        # Not through the interpreter's end: HDF5 would tidy up what is the nursery's too.
        os._exit(status)


def _report_ended(control: socket.socket, children: dict[int, int]) -> None:
    while children:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        number = children.pop(pid, None)
        if number is not None:
            _tell(control, {"ended": number, "status": os.waitstatus_to_exitcode(status)})


def _tell(control: socket.socket, message: dict[str, Any]) -> None:
    try:
        control.send(json.dumps(message).encode())
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)


def _leave_for_nowhere() -> None:
    """HDF5 also looks for linked files in the current folder: have one that is empty for ever."""
    folder = tempfile.mkdtemp(prefix="dataserver-")
    os.chdir(folder)
    Path(folder).rmdir()


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    main(int(sys.argv[1]))
