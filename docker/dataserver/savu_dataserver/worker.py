"""A process that answers one request after the other about data files."""

from __future__ import annotations

import ctypes
import inspect
import logging
import resource
import select
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

from . import limits, problems, wire
from .answers import dawn, h5grove, tree
from .answers.answer import Answer
from .answers.context import Context, Heavy
from .hdf5.containment import DataRoots
from .hdf5.files import Files
from .problems import MEDIA_TYPE, Problem
from .settings import Settings

log = logging.getLogger("savu_dataserver.worker")

PROGRESS_SECONDS = 0.5
"""Progress is shown no more often."""

KINDS: dict[str, Callable[..., Answer]] = {
    "meta": h5grove.meta,
    "attr": h5grove.attr,
    "data": h5grove.data,
    "stats": h5grove.stats,
    "paths": h5grove.paths,
    "info": dawn.info,
    "slice": dawn.slice_picture,
    "tree": tree.tree,
}
"""What a task may ask for; its arguments are the function's own."""


OPENED = h5py.h5f.OBJ_FILE | h5py.h5f.OBJ_GROUP | h5py.h5f.OBJ_DATASET | h5py.h5f.OBJ_ATTR
"""What must be closed after each request; types are not, h5py keeps some."""


class Unwanted(Exception):
    """Nobody waits for this answer any more."""


def serve(connection: socket.socket, settings: Settings, quick: bool) -> None:
    """Answer tasks until the other end closes.

    Args:
        quick: leave much reading to another worker.
    """
    _bound_memory(settings.max_bytes)
    roots = DataRoots(settings.data_roots)
    while (message := _receive(connection)) is not None:
        kind, task = message
        if kind != wire.TASK:
            continue  # cancelled after the answer was on its way
        try:
            _answer(connection, task, roots, settings.max_bytes, quick)
            if not quick:
                # Give back what the decoding needed; the next request may never come.
                ctypes.CDLL(None).malloc_trim(0)
        except (BrokenPipeError, ConnectionResetError):
            return


def _answer(
    connection: socket.socket, task: dict[str, Any], roots: DataRoots, limit: int, quick: bool
) -> None:
    try:
        with Files(roots) as files:
            answer = perform(task, Context(files, limit, _ticker(connection), quick))
    except Heavy:
        connection.sendall(wire.frame(wire.HEAVY))
        return
    except Unwanted:
        answer = Answer(b"", MEDIA_TYPE, status=499)
    except Problem as problem:
        answer = Answer(problem.body(), MEDIA_TYPE, problem.headers, problem.status)
    header = {
        "status": answer.status,
        "media_type": answer.media_type,
        "headers": answer.headers,
        "length": len(answer.body),
        "resident": _resident(),
        "clean": h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, OPENED) == 0,
    }
    connection.sendall(wire.frame(wire.HEADER, header))
    connection.sendall(answer.body)


def perform(task: dict[str, Any], context: Context) -> Answer:
    """The answer to one task.

    Raises:
        Problem: also for what nobody foresaw in a file.
        Heavy: another worker must do it.
    """
    arguments = dict(task["arguments"])
    function = KINDS[task["kind"]]
    inspect.signature(function).bind(context, **arguments)
    file = str(arguments.get("file") or arguments.get("path"))
    try:
        return function(context, **arguments)
    except MemoryError:
        raise Problem(
            413,
            "too-large",
            f"Reading this part of {file} needs more memory than one request may use. Select less.",
        ) from None
    except (Problem, Heavy, Unwanted):
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        log.warning(
            "%s of %s failed at %s:%s: %r", task["kind"], file, last.name, last.lineno, error
        )
        raise problems.broken(file, "HDF5 found something in it that it cannot handle") from None


def _ticker(connection: socket.socket) -> Callable[[], None]:
    last = time.monotonic()

    def tick() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < PROGRESS_SECONDS:
            return
        last = now
        connection.sendall(wire.frame(wire.PROGRESS))
        # The only thing that can arrive during a task is that it is no longer wanted, or the end.
        if select.select([connection], [], [], 0)[0]:
            raise Unwanted

    return tick


def _receive(connection: socket.socket) -> tuple[bytes, dict[str, Any]] | None:
    head = _exactly(connection, wire.FRAME.size)
    if head is None:
        return None
    kind, length = wire.FRAME.unpack(head)
    payload = _exactly(connection, length)
    if payload is None:
        return None
    return kind, wire.json.loads(payload) if payload else {}


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    """So many bytes, or None at the end."""
    received = bytearray()
    while len(received) < count:
        part = connection.recv(count - len(received))
        if not part:
            return None
        received += part
    return bytes(received)


def _bound_memory(limit: int) -> None:
    """A filter may claim to decode to any size: let that fail, and not the machine."""
    beyond = max(8 * limit, limits.WORKER_MEMORY_BYTES)
    most = _data_bytes() + beyond + 4 * limits.PIECE_BYTES
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _data_bytes() -> int:
    return _statm(5)


def _resident() -> int:
    return _statm(1)


def _statm(field: int) -> int:
    return int(Path("/proc/self/statm").read_text().split()[field]) * resource.getpagesize()
