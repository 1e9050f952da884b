"""Routes: whose session this is, where its data is, and the programs inside asking about it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from savu_api.activity import Activity
from savu_api.blocking import in_thread
from savu_api.engines import Engines
from savu_api.models import (
    ActivityModel,
    DefaultPaths,
    EngineModel,
    GroupModel,
    Session,
    VisitModel,
)
from savu_api.settings import Settings
from savu_api.visits import Visit, find_visits

VISITS_SECONDS: Final = 60.0
"""How long found visits are remembered: groups are fixed for a session, folders seldom come."""


class VisitsOfUser:
    """The user's visits, looked up at most once a minute."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._visits: list[Visit] = []
        self._valid_until = 0.0

    async def get(self) -> list[Visit]:
        """Newest first."""
        if time.monotonic() >= self._valid_until:
            self._visits = await in_thread(
                find_visits, self._settings.groups, self._settings.visit_path_template
            )
            self._valid_until = time.monotonic() + VISITS_SECONDS
        return self._visits


def router(
    settings: Settings, engines: Engines, activity: Activity, is_busy: Callable[[], bool]
) -> APIRouter:
    """``/session``, ``/default_paths`` and ``/internal/…``."""
    routes = APIRouter(tags=["session"])
    visits = VisitsOfUser(settings)

    @routes.get("/session", summary="Whose session this is, and what it can reach")
    async def get_session() -> Session:
        """The user as the directory knows them, their visits and the engines."""
        found = await visits.get()
        default = engines.default
        return Session(
            user=settings.user,
            display_name=settings.display_name,
            server=settings.server_name,
            uid=os.geteuid(),
            gid=os.getegid(),
            groups=[GroupModel(name=group.name, gid=group.gid) for group in settings.groups],
            hub_url=settings.hub_url,
            support_contact=settings.support_contact,
            data_roots=[str(root) for root in settings.data_roots],
            visits=[
                VisitModel(
                    name=visit.name,
                    path=str(visit.path),
                    readable=visit.readable,
                    group=visit.group.name,
                )
                for visit in found
            ],
            default_paths=await in_thread(default_paths, found, settings.data_roots),
            engines=[
                EngineModel(
                    name=engine.name,
                    version=engine.version,
                    available=engine.available,
                    default=default is not None and engine.name == default.name,
                    reason=engine.reason,
                )
                for engine in engines
            ],
        )

    @routes.get("/default_paths", summary="Where to look first, and where to put things")
    async def get_default_paths() -> DefaultPaths:
        """Of the newest visit that the user may read; without one, the first data root."""
        return await in_thread(default_paths, await visits.get(), settings.data_roots)

    @routes.get("/internal/health", status_code=204, include_in_schema=False)
    async def health() -> Response:
        return Response(status_code=204)

    @routes.get("/internal/activity", include_in_schema=False)
    async def get_activity() -> ActivityModel:
        return ActivityModel(busy=is_busy(), last_user_event=activity.last_user_event)

    return routes


def default_paths(visits: Sequence[Visit], roots: Sequence[Path]) -> DefaultPaths:
    """``raw`` and ``processing`` of the newest readable visit, where it has them."""
    top = next((visit.path for visit in visits if visit.readable), roots[0])
    raw, processing = (
        str(top / name) if (top / name).is_dir() else str(top) for name in ("raw", "processing")
    )
    return DefaultPaths(data=raw, process_list=processing, output=processing)
