"""The API as one application: its parts, put together."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from savu_api import files, plugins, problems, process_lists, session
from savu_api.activity import Activity, ActivityMiddleware
from savu_api.apart import get_ready
from savu_api.bounded_body import BoundedBodyMiddleware
from savu_api.engines import Engines, load_engines
from savu_api.entries import Plugins
from savu_api.jobs import routes as jobs
from savu_api.jobs.queue import JobQueue
from savu_api.kinds import Looker
from savu_api.paths import DataRoots
from savu_api.settings import Settings

DESCRIPTION = """\
Finds data, keeps Savu's process lists and runs them, as the user whose session this is.

Paths are those below the session's own prefix: `/user/ada/api/session`. Every error is a problem
details object (RFC 9457). Requests that change something need JupyterHub's `X-XSRFToken` header
when they come with a cookie, and none with an API token.
"""

TAGS = [
    {"name": "session", "description": "Whose session this is and what it can reach."},
    {"name": "files", "description": "Folders, files and finding data."},
    {"name": "plugins", "description": "What the engines can do."},
    {"name": "process lists", "description": "Savu's own files, written whole or not at all."},
    {"name": "jobs", "description": "Runs of process lists, and their progress."},
]


def create_app(settings: Settings, engines: Engines | None = None) -> FastAPI:
    """The application; without ``engines``, they are asked what they can do, which blocks."""
    engines = engines if engines is not None else load_engines(settings)
    queue = JobQueue(settings.state_dir / "jobs", engines)
    roots = DataRoots(settings.data_roots)
    looker = Looker(roots)
    known = Plugins(tuple(e.catalogue for e in engines if e.catalogue is not None))
    activity = Activity()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await queue.start()
        threading.Thread(target=get_ready, daemon=True).start()
        try:
            yield
        finally:
            await queue.stop()

    app = FastAPI(
        title="Savu session API",
        version="1",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        # Relative to openapi.json itself, whatever the session's prefix is.
        servers=[{"url": "."}],
        lifespan=lifespan,
        redirect_slashes=False,
    )
    problems.install(app, settings.support_contact)
    app.include_router(session.router(settings, engines, activity, lambda: queue.busy))
    app.include_router(files.router(roots, looker))
    app.include_router(plugins.router(known))
    app.include_router(process_lists.router(roots, looker, engines, known))
    app.include_router(jobs.router(queue, engines, roots.resolve))
    app.add_middleware(BoundedBodyMiddleware)
    app.add_middleware(ActivityMiddleware, activity=activity)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's description, with the errors that are really answered in place of its own."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
            servers=app.servers,
        )
        schemas = schema["components"]["schemas"]
        schemas.pop("HTTPValidationError", None)
        schemas.pop("ValidationError", None)
        schemas["ProblemDetails"] = problems.ProblemDetails.model_json_schema()
        problem = {
            "description": "What is wrong and what to do about it.",
            "content": {
                problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}
            },
        }
        for path in schema["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = problem
        app.openapi_schema = schema
    return app.openapi_schema
