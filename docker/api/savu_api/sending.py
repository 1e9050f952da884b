"""A file's bytes as an answer: from the descriptor that was checked, with ranges."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from savu_api.blocking import in_thread
from savu_api.paths import DataRoots, check_regular
from savu_api.problems import Problem

CHUNK: Final = 1024 * 1024


class FileAnswer(StreamingResponse):
    """Part of an open file; closes it however the request ends."""

    def __init__(
        self, descriptor: int, start: int, stop: int, status: int, headers: dict[str, str]
    ) -> None:
        self._descriptor = descriptor
        super().__init__(self._read(start, stop), status, headers, "application/octet-stream")

    async def _read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        # Never beyond the size that was promised: a log grows while it is read.
        while start < stop:
            chunk = await in_thread(os.pread, self._descriptor, min(CHUNK, stop - start), start)
            if not chunk:
                raise OSError(f"The file became shorter while it was sent, at byte {start}.")
            start += len(chunk)
            yield chunk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._descriptor)


async def send_file(request: Request, roots: DataRoots, path: Path) -> Response:
    """The file to be saved by the browser, whole or the one range asked for. Raises Problem."""
    descriptor, status = await in_thread(_open, roots, path)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(path.name, errors='replace')}",
        "Accept-Ranges": "bytes",
        "ETag": f'"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"',
        "Last-Modified": formatdate(status.st_mtime, usegmt=True),
        "Cache-Control": "no-cache",
    }
    size = status.st_size
    try:
        part = _range(request, headers, size)
    except Problem:
        os.close(descriptor)
        raise
    if part is None:
        return FileAnswer(descriptor, 0, size, 200, {**headers, "Content-Length": str(size)})
    start, stop = part
    headers |= {
        "Content-Length": str(stop - start),
        "Content-Range": f"bytes {start}-{stop - 1}/{size}",
    }
    return FileAnswer(descriptor, start, stop, 206, headers)


def _open(roots: DataRoots, path: Path) -> tuple[int, os.stat_result]:
    descriptor = roots.open(path)
    try:
        return descriptor, check_regular(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise


def _range(request: Request, headers: dict[str, str], size: int) -> tuple[int, int] | None:
    """First byte and the one after the last of the range asked for; None for the whole file.

    Several ranges, other units and outdated ones get the whole file, as RFC 9110 allows.
    """
    asked = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", request.headers.get("range", "").strip())
    if asked is None or asked[1] == asked[2] == "":
        return None
    condition = request.headers.get("if-range")
    if condition is not None and condition not in (headers["ETag"], headers["Last-Modified"]):
        return None
    if asked[1]:
        start, stop = int(asked[1]), min(int(asked[2]) + 1 if asked[2] else size, size)
    else:
        start, stop = max(size - int(asked[2]), 0), size
    if asked[1] and asked[2] and int(asked[2]) < int(asked[1]):
        return None
    if start >= size or start >= stop:
        raise Problem(
            416,
            "no-such-range",
            f"The file has {size} bytes, and none of those asked for.",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, stop
