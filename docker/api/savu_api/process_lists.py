"""Routes: find, read, check, create, replace and delete process lists."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request
from savu_format.process_list import (
    NotAProcessList,
    ProcessList,
    holds_process_list,
    parse,
    read_bounded,
    serialize,
)
from savu_format.whole_file import write_whole
from starlette.responses import Response

from savu_api import finding
from savu_api.apart import LookFailed, apart
from savu_api.blocking import in_thread
from savu_api.engines import Engines
from savu_api.entries import Compiled, Plugins, compile_list, entry
from savu_api.files import found_files
from savu_api.kinds import Looker, is_list_name
from savu_api.models import (
    CheckedList,
    Deleted,
    FoundFiles,
    IterationModel,
    Lack,
    ListEngine,
    ProcessListInput,
    ProcessListModel,
)
from savu_api.paths import DataRoots
from savu_api.problems import Problem, file_errors
from savu_api.sending import send_file

HDF5_FAILS: Final = "The file is damaged: the HDF5 library fails on it."

LOCK_SECONDS: Final = 2.0
"""How long a colleague's session is waited for that saves into the same folder just now."""

FileQuery = Annotated[str, Query(description="Absolute path of the list, ending in .nxs.")]
IfMatch = Annotated[
    str | None, Header(description="The ETag that was read: refused with 412 if it changed since.")
]


@dataclass(frozen=True)
class Stored:
    """A list as its file holds it."""

    path: Path
    process_list: ProcessList
    tag: str
    """ETag: of the file's bytes."""
    is_result: bool
    """The file is the result of a run, which holds a copy of the list that it ran."""


class ProcessLists:
    """The process lists below the data roots. Blocks on the file system."""

    def __init__(self, roots: DataRoots) -> None:
        self._roots = roots
        self._lock = threading.Lock()
        self._in_use: dict[Path, tuple[threading.Lock, int]] = {}

    def load(self, given: str) -> Stored:
        """The list at this path. Raises Problem."""
        return self._load(self._roots.resolve(given))

    def create(self, given: str, process_list: ProcessList) -> Stored:
        """Write a list where there is nothing. Raises Problem."""
        path = self._roots.resolve(given)
        _check_name(path)
        content = apart(serialize, process_list)
        with self._folder_of(path) as folder, file_errors(path):
            try:
                write_whole(folder / path.name, content, overwrite=False)
            except FileExistsError as error:
                raise Problem(
                    409,
                    "exists",
                    f"There already is a file {path}: nothing was written. "
                    "Choose another name, or replace it with PUT.",
                ) from error
        return self._load(path)

    def replace(
        self,
        given: str,
        compile_for: Callable[[ProcessList], ProcessList],
        if_match: str | None,
    ) -> Stored:
        """Put what ``compile_for`` makes of the list there in its place. Raises Problem."""
        path = self._roots.resolve(given)
        with self._alone(path):
            stored = self._load(path)
            _check_is_list(stored, "replaced")
            _check_match(stored, if_match)
            content = apart(serialize, compile_for(stored.process_list))
            with self._folder_of(path) as folder, file_errors(path):
                write_whole(folder / path.name, content, overwrite=True)
            return self._load(path)

    def delete(self, given: str, if_match: str | None) -> Path:
        """Remove a list, and nothing but a list. Raises Problem."""
        path = self._roots.resolve(given)
        with self._alone(path):
            stored = self._load(path)
            _check_is_list(stored, "deleted")
            _check_match(stored, if_match)
            with self._folder_of(path) as folder, file_errors(path):
                (folder / path.name).unlink()
        return path

    def _load(self, path: Path) -> Stored:
        with (
            self._roots.open_file(path) as descriptor,
            os.fdopen(descriptor, "rb", closefd=False) as file,
            file_errors(path),
        ):
            try:
                content = read_bounded(file)
                process_list = apart(parse, content)
                is_result = not apart(holds_process_list, content)
            except (NotAProcessList, LookFailed) as error:
                why = HDF5_FAILS if isinstance(error, LookFailed) else error
                raise Problem(
                    422, "not-a-process-list", f"{path} cannot be opened as a process list. {why}"
                ) from error
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        return Stored(path, process_list, tag, is_result)

    @contextlib.contextmanager
    def _folder_of(self, path: Path) -> Iterator[Path]:
        with self._roots.open_folder(path.parent) as folder:
            yield folder

    @contextlib.contextmanager
    def _alone(self, path: Path) -> Iterator[None]:
        """One change at a time to a file: of two with the same If-Match one is refused.

        Colleagues have sessions of their own, so there is a lock on the list's folder as well.
        """
        with (
            self._alone_here(path),
            self._roots.open_folder(path.parent) as folder,
            locked(folder),
        ):
            yield

    @contextlib.contextmanager
    def _alone_here(self, path: Path) -> Iterator[None]:
        with self._lock:
            lock, users = self._in_use.get(path, (threading.Lock(), 0))
            self._in_use[path] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, users = self._in_use[path]
                if users == 1:
                    del self._in_use[path]
                else:
                    self._in_use[path] = (lock, users - 1)


@contextlib.contextmanager
def locked(folder: Path, patience: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the advisory lock on a folder, if it can be had in time.

    It only narrows a race that the ETag leaves open: storage without locks, or a program that
    keeps one for ever, is not to keep anybody from saving.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + patience
        while not _try_lock(descriptor) and time.monotonic() < deadline:
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    """Whether there is nothing to wait for."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _check_name(path: Path) -> None:
    if not is_list_name(path.name) or path.name.startswith("."):
        raise Problem(
            400, "invalid-name", f"{path.name} cannot be a process list: its name ends in .nxs."
        )


def _check_is_list(stored: Stored, change: str) -> None:
    if stored.is_result:
        raise Problem(
            422,
            "is-a-result",
            f"{stored.path} is the result of a run and is not {change} as a process list is. "
            "Save the list that it holds under a name of its own.",
        )

    if not os.access(stored.path, os.W_OK):
        raise Problem(
            403,
            "write-protected",
            f"{stored.path} is write-protected for you and was not {change}: "
            "save under another name, or ask its owner.",
        )


def _check_match(stored: Stored, if_match: str | None) -> None:
    if if_match is None or if_match.strip() == "*":
        return
    if stored.tag not in (tag.strip() for tag in if_match.split(",")):
        raise Problem(
            412,
            "changed",
            f"{stored.path} was changed since it was opened, so nothing was written: "
            "open it again, or save under another name.",
            etag=stored.tag,
        )


def list_engines(process_list: ProcessList, engines: Engines) -> list[ListEngine]:
    """Which engines run a list, what the others lack, and who has it."""
    missing = {engine.name: engine.missing(process_list) for engine in engines}
    answer = []
    for engine in engines:
        lacks = missing[engine.name]
        lacked = {lack.pos for lack in lacks}
        elsewhere = [
            other.name
            for other in engines
            if lacked and other.available and not lacked & {it.pos for it in missing[other.name]}
        ]
        answer.append(
            ListEngine(
                name=engine.name,
                runs=engine.available and not lacks,
                lacks=[Lack(pos=lack.pos, name=lack.name, reason=lack.reason) for lack in lacks],
                elsewhere=elsewhere,
            )
        )
    return answer


def router(roots: DataRoots, looker: Looker, engines: Engines, plugins: Plugins) -> APIRouter:
    """The routes below ``/process_list``."""
    routes = APIRouter(prefix="/process_list", tags=["process lists"])
    lists = ProcessLists(roots)

    def shown(stored: Stored, response: Response) -> ProcessListModel:
        response.headers["ETag"] = stored.tag
        response.headers["Cache-Control"] = "no-cache"
        process_list = stored.process_list
        return ProcessListModel(
            filename=str(stored.path),
            plugins=[entry(step, plugins) for step in process_list.steps],
            engines=list_engines(process_list, engines),
            iterations=[
                IterationModel(start=item.start, end=item.end, iterations=item.iterations)
                for item in process_list.iterations
            ],
            version=process_list.version,
        )

    def compiled(body: ProcessListInput, before: ProcessList | None = None) -> ProcessList:
        result = compile_list(body, plugins, before)
        _refuse_errors(result)
        return result.process_list

    @routes.get("", summary="Read a list, or find lists below a folder")
    async def get_list(
        response: Response,
        filename: Annotated[str | None, Query(description="A list to read.")] = None,
        path: Annotated[str | None, Query(description="A folder to search.")] = None,
    ) -> ProcessListModel | FoundFiles:
        """With `filename` the list and its ETag; with `path` the lists below that folder.

        A result of Savu also holds the list that it ran: it can be read, and is not found.
        """
        if filename is not None:
            return shown(await in_thread(lists.load, filename), response)
        if path is None:
            raise Problem(
                400, "invalid-request", "Give the filename of a list, or a path to search."
            )

        def search() -> FoundFiles:
            folder = roots.resolve(path)
            return found_files(
                folder, finding.find(roots, folder, looker.is_process_list, is_list_name)
            )

        return await in_thread(search)

    @routes.post("", status_code=201, summary="Create a list")
    async def create(
        filename: FileQuery, body: ProcessListInput, response: Response
    ) -> ProcessListModel:
        """Never overwrites: 409 if there is anything of that name."""
        process_list = compiled(body)
        return shown(await in_thread(lists.create, filename, process_list), response)

    @routes.put("", summary="Replace a list")
    async def replace(
        filename: FileQuery,
        body: ProcessListInput,
        response: Response,
        if_match: IfMatch = None,
    ) -> ProcessListModel:
        """Whole or not at all. What the request leaves as it was is kept byte for byte."""
        stored = await in_thread(
            lists.replace, filename, lambda before: compiled(body, before), if_match
        )
        return shown(stored, response)

    @routes.delete("", summary="Delete a list")
    async def delete(filename: FileQuery, if_match: IfMatch = None) -> Deleted:
        """Only what is a process list is deleted."""
        return Deleted(filename=str(await in_thread(lists.delete, filename, if_match)))

    @routes.get(
        "/download",
        summary="Download a list",
        response_class=Response,
        responses={200: {"content": {"application/octet-stream": {}}}},
    )
    async def download(request: Request, filename: FileQuery) -> Response:
        """The file as Savu reads it."""
        stored = await in_thread(lists.load, filename)
        return await send_file(request, roots, stored.path)

    @routes.post("/check", summary="Check a list without writing it")
    async def check(body: ProcessListInput) -> CheckedList:
        """Each value against its type and options, each step against the engines."""
        result = compile_list(body, plugins)
        return CheckedList(
            plugins=[entry(step, plugins) for step in result.process_list.steps],
            engines=list_engines(result.process_list, engines),
            errors=list(result.errors),
        )

    return routes


def _refuse_errors(result: Compiled) -> None:
    if not result.errors:
        return
    first = result.errors[0]
    more = f" And {len(result.errors) - 1} more." if len(result.errors) > 1 else ""
    raise Problem(
        400,
        "invalid-process-list",
        f"Nothing was written. Step {first.pos}, {first.plugin}: {first.message}{more}",
        errors=[error.model_dump() for error in result.errors],
    )
