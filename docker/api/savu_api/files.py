"""Routes: folders, files and finding data."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from savu_api import finding
from savu_api.blocking import in_thread
from savu_api.kinds import Looker, is_data_name
from savu_api.listing import Lister
from savu_api.models import FileEntry, Folder, FoundFiles
from savu_api.paths import DataRoots
from savu_api.sending import send_file

PathQuery = Annotated[str, Query(description="Absolute path inside the data roots.")]


def router(roots: DataRoots, looker: Looker) -> APIRouter:
    """``/files``, ``/files/content`` and ``/data/find``."""
    routes = APIRouter(tags=["files"])
    lister = Lister(roots, looker)

    @routes.get("/files", summary="What is in a folder")
    async def list_folder(
        path: PathQuery,
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
    ) -> Folder:
        """One page. `type` is told by the name, and for small `.nxs` files by a look inside."""
        return await in_thread(_list_folder, path, offset, limit)

    def _list_folder(path: str, offset: int, limit: int) -> Folder:
        folder = roots.resolve(path)
        page = lister.page(folder, offset, limit)
        parent = roots.parent(folder)
        return Folder(
            path=str(folder),
            parent=None if parent is None else str(parent),
            writable=os.access(folder, os.W_OK | os.X_OK),
            entries=[
                FileEntry(
                    name=entry.name,
                    path=entry.path,
                    type=entry.kind,
                    size=entry.size,
                    mtime=entry.modified,
                    readable=entry.readable,
                    writable=entry.writable,
                )
                for entry in page.entries
            ],
            total=page.total,
            offset=offset,
            truncated=page.truncated,
        )

    @routes.get(
        "/files/content",
        summary="Download a file",
        response_class=Response,
        responses={
            200: {"content": {"application/octet-stream": {}}},
            206: {"description": "The range that was asked for."},
        },
    )
    async def download(request: Request, path: PathQuery) -> Response:
        """With `Range` for a part of it."""
        return await send_file(request, roots, await in_thread(roots.resolve, path))

    @routes.get("/data/find", summary="HDF5 files below a folder")
    async def find_data(path: PathQuery) -> FoundFiles:
        """Files named as HDF5 that begin as HDF5; process lists and results are among them."""

        def is_wanted(file: Path, _status: os.stat_result) -> bool:
            return looker.is_hdf5(file)

        def search() -> FoundFiles:
            folder = roots.resolve(path)
            found = finding.find(roots, folder, is_wanted, is_data_name)
            return found_files(folder, found)

        return await in_thread(search)

    return routes


def found_files(folder: Path, found: finding.Found) -> FoundFiles:
    """A search's answer."""
    return FoundFiles(
        path=str(folder), files=[str(file) for file in found.files], truncated=found.truncated
    )
