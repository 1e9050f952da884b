"""The HTTP interface. It touches no file: each request becomes a task for a worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from . import problems
from .pool import Pool
from .problems import MEDIA_TYPE, Problem
from .settings import Settings
from .workers import Reply

log = logging.getLogger("savu_dataserver.app")

PIECE = 256 * 1024
"""Bytes given to the network at once: more would be copied and held once more."""

HEADERS = {
    # Whatever a file holds, it is data: a browser must not run it.
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    # A file may grow at any time.
    "Cache-Control": "private, no-cache",
}

FilePath = Annotated[str, Query(description="absolute path of the HDF5 file")]
InnerPath = Annotated[str, Query(description="path inside the file")]
Resolve = Annotated[str, Query(description="links: none, only_valid or all")]
Selected = Annotated[
    str | None, Query(description="index or start:stop:step for each axis: 0,:,10:20")
]


class ReplyResponse(Response):
    """Sends a worker's answer piece by piece, as fast as it is taken."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(
            status_code=reply.status,
            headers={**HEADERS, **reply.headers, "Content-Length": str(len(reply.body))},
            media_type=reply.media_type,
        )
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            start = {"type": "http.response.start", "status": self.status_code}
            await send({**start, "headers": self.raw_headers})
            view = memoryview(self._reply.body)
            for first in range(0, len(view), PIECE):
                piece = bytes(view[first : first + PIECE])
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._reply.release()


def create_app(settings: Settings) -> FastAPI:
    """The application; its workers start and end with it."""
    pool = Pool(settings.max_bytes)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await pool.start()
        yield
        await pool.close()

    app = FastAPI(
        title="Savu data server",
        summary="Metadata and slices of HDF5 and NeXus files, read-only",
        version="0.1.0",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # A redirect would point outside the session's prefix, which this program does not know.
        redirect_slashes=False,
    )
    _add_errors(app)

    async def answer(request: Request, kind: str, file: str, arguments: dict[str, Any]) -> Response:
        task = asyncio.ensure_future(pool.perform(kind, file, arguments))
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                # Scrubbing through slices leaves most of them unwanted before their turn comes.
                return Response(status_code=499)
            return ReplyResponse(task.result())
        finally:
            gone.cancel()
            if not task.done():
                task.cancel()

    def get(path: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """A route, with and without a slash at its end."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            app.get(path, response_class=Response)(function)
            app.get(path + "/", response_class=Response, include_in_schema=False)(function)
            return function

        return register

    @app.get("/internal/health", include_in_schema=False)
    async def health() -> Response:
        return Response(status_code=204 if pool.ready else 503)

    @get("/h5grove")
    async def h5grove_root() -> Response:
        """Whether h5grove's interface is here."""
        return Response("ok", media_type="text/plain", headers=HEADERS)

    @get("/h5grove/meta")
    async def meta(
        request: Request,
        file: FilePath,
        path: InnerPath = "/",
        resolve_links: Resolve = "only_valid",
    ) -> Response:
        """What an object is: kind, type, shape, names of attributes, members of a group."""
        arguments = {"file": file, "path": path, "resolve_links": resolve_links}
        return await answer(request, "meta", file, arguments)

    @get("/h5grove/attr")
    async def attr(
        request: Request,
        file: FilePath,
        path: InnerPath = "/",
        attr_keys: Annotated[list[str] | None, Query(description="only these")] = None,
    ) -> Response:
        """Values of an object's attributes."""
        arguments = {"file": file, "path": path, "attr_keys": attr_keys}
        return await answer(request, "attr", file, arguments)

    @get("/h5grove/data")
    async def data(
        request: Request,
        file: FilePath,
        path: InnerPath = "/",
        selection: Selected = None,
        format: Annotated[str, Query(description="json, bin, csv, npy or tiff")] = "json",
        dtype: Annotated[str, Query(description="origin, or safe: as a browser has it")] = "origin",
        flatten: Annotated[bool, Query(description="as one row")] = False,
    ) -> Response:
        """Values of a dataset, or of a part of it."""
        arguments = {
            "file": file,
            "path": path,
            "selection": selection,
            "format": format,
            "dtype": dtype,
            "flatten": flatten,
        }
        return await answer(request, "data", file, arguments)

    @get("/h5grove/stats")
    async def stats(
        request: Request, file: FilePath, path: InnerPath = "/", selection: Selected = None
    ) -> Response:
        """Least, greatest, mean and standard deviation of the finite values."""
        arguments = {"file": file, "path": path, "selection": selection}
        return await answer(request, "stats", file, arguments)

    @get("/h5grove/paths")
    async def paths(
        request: Request,
        file: FilePath,
        path: InnerPath = "/",
        resolve_links: Resolve = "only_valid",
    ) -> Response:
        """All paths below a group, for searching."""
        arguments = {"file": file, "path": path, "resolve_links": resolve_links}
        return await answer(request, "paths", file, arguments)

    @get("/info")
    async def info(
        request: Request,
        path: FilePath,
        dataset: Annotated[str | None, Query(description="default: the file's main one")] = None,
    ) -> Response:
        """A dataset's name, shape and type, one a line, as DAWN's data server writes them."""
        return await answer(request, "info", path, {"path": path, "dataset": dataset})

    @get("/slice")
    async def slice_picture(
        request: Request,
        path: FilePath,
        dataset: Annotated[str | None, Query(description="default: the file's main one")] = None,
        slice: Selected = None,
        format: Annotated[str, Query(description="PNG or JPG")] = "PNG",
        bin: Annotated[
            str | None, Query(description="MEAN:2x3, also MAXIMUM, MINIMUM, POINT")
        ] = None,
        histo: Annotated[
            str | None,
            Query(description="OUTLIER_VALUES:5-95 (default), MEAN, MEDIAN or FULL_RANGE"),
        ] = None,
        low: Annotated[float | None, Query(alias="min", description="shown as black")] = None,
        high: Annotated[float | None, Query(alias="max", description="shown as white")] = None,
        width: Annotated[
            int | None, Query(ge=1, le=100_000, description="at most, in pixels")
        ] = None,
    ) -> Response:
        """A slice as a grey picture."""
        arguments = {
            "path": path,
            "dataset": dataset,
            "slice": slice,
            "format": format,
            "bin": bin,
            "histo": histo,
            "low": low,
            "high": high,
            "width": width,
        }
        return await answer(request, "slice", path, arguments)

    @get("/tree")
    async def tree(
        request: Request,
        path: FilePath,
        group: Annotated[str, Query(description="where to begin")] = "/",
        depth: Annotated[int | None, Query(ge=1, description="levels at most")] = None,
    ) -> Response:
        """Everything in a file, or below a group of it."""
        arguments = {"path": path, "group": group, "depth": depth}
        return await answer(request, "tree", path, arguments)

    return app


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _add_errors(app: FastAPI) -> None:
    def respond(problem: Problem) -> Response:
        headers = {**HEADERS, **problem.headers}
        return Response(problem.body(), problem.status, headers, MEDIA_TYPE)

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> Response:
        return respond(error)

    @app.exception_handler(RequestValidationError)
    async def validation(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return respond(problems.invalid(f"Parameter {first['loc'][-1]}: {first['msg']}."))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        known = {404: ("no-route", "There is nothing at this address.")}
        known[405] = ("method-not-allowed", "Data are only read here: use GET.")
        code, detail = known.get(error.status_code, ("http", str(error.detail)))
        return respond(Problem(error.status_code, code, detail))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        log.error("%s failed", request.url.path, exc_info=error)
        return respond(
            Problem(500, "internal", "The data server failed. Its log says why; try again.")
        )
