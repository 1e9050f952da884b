"""Every refusal and failure as problem details (RFC 9457): what is wrong and what to do."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"


class Problem(Exception):
    """An answer other than success. ``detail`` is a sentence for the user, ``code`` for programs.

    Further members of the answer, such as ``errors``, are given by name.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.extra = extra
        self.headers = dict(headers or {})


class ProblemDetails(BaseModel):
    """What every answer of status 400 and above is."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "about:blank",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "There is nothing at /dls/i13/data/2026/cm10001-1/missing.nxs.",
                    "code": "not-found",
                }
            ]
        },
    )

    type: str = Field(description="Always about:blank: `code` tells the kinds apart.")
    title: str = Field(description="The status in words.")
    status: int
    detail: str = Field(description="A sentence: what is wrong and what to do about it.")
    code: str = Field(description="A short word for programs.")


def answer(problem: Problem) -> Response:
    """The HTTP answer to a problem."""
    content = {
        "type": "about:blank",
        "title": _title(problem.status),
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        **problem.extra,
    }
    # ASCII: names of files may hold what is not valid in UTF-8.
    return Response(json.dumps(content), problem.status, problem.headers, media_type=MEDIA_TYPE)


def install(app: FastAPI, support_contact: str = "") -> None:
    """Make the app answer every error this way."""

    @app.exception_handler(Problem)
    async def _problem(_request: Request, error: Problem) -> Response:
        return answer(error)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        return answer(_of_http(request, error))

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Response:
        return answer(_of_validation(error))

    @app.exception_handler(OSError)
    async def _file_system(_request: Request, error: OSError) -> Response:
        return answer(of_os_error(error, str(error.filename or "the file system")))

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> Response:
        log.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__)
        help_ = f" If it happens again, contact {support_contact}." if support_contact else ""
        detail = "The session's API failed on this request, which was written to its log."
        return answer(Problem(500, "internal-error", detail + help_))


@contextlib.contextmanager
def file_errors(path: object) -> Iterator[None]:
    """Turn OSError about ``path`` into the problem that it is."""
    try:
        yield
    except OSError as error:
        raise of_os_error(error, str(path)) from error


def of_os_error(error: OSError, path: str) -> Problem:
    """What the file system said about ``path``, as a problem."""
    shown = _shorten(path)
    match error.errno:
        case errno.ENOENT:
            return Problem(404, "not-found", f"There is nothing at {shown}.")
        case errno.EACCES | errno.EPERM:
            return Problem(
                403,
                "permission-denied",
                f"The file system does not let you do this with {shown}: "
                "its owner, or the visit's principal contact, can give access.",
            )
        case errno.EROFS:
            return Problem(403, "read-only", f"{shown} is on a read-only file system.")
        case errno.EEXIST:
            return Problem(409, "exists", f"There already is something at {shown}.")
        case errno.ENOTDIR:
            return Problem(404, "not-a-folder", f"{shown} is not a folder, or below a file.")
        case errno.EISDIR:
            return Problem(400, "not-a-file", f"{shown} is a folder, and a file is needed.")
        case errno.ENAMETOOLONG:
            return Problem(400, "name-too-long", f"A file cannot have so long a name: {shown}.")
        case errno.ELOOP:
            return Problem(400, "link-loop", f"{shown} is a link that leads to itself.")
        case errno.ENOSPC | errno.EDQUOT:
            return Problem(
                507,
                "disk-full",
                f"There is no space left for {shown}, so nothing was changed: "
                "free some space or choose another folder, then try again.",
            )
        case errno.ETXTBSY | errno.EBUSY:
            return Problem(409, "busy", f"{shown} is in use: try again when it is not.")
    reason = error.strerror or type(error).__name__
    return Problem(
        503,
        "storage-error",
        f"The storage gave an error for {shown} ({reason}): try again, it may pass.",
    )


def _shorten(path: str) -> str:
    return path if len(path) <= 300 else f"{path[:140]}…{path[-140:]}"


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _of_http(request: Request, error: HTTPException) -> Problem:
    headers = dict(error.headers or {})
    if error.status_code == 404:
        detail = f"This API has nothing at {_shorten(request.url.path)}: see openapi.json."
        return Problem(404, "no-such-route", detail, headers=headers)
    if error.status_code == 405:
        detail = f"{request.method} cannot be used here: see openapi.json."
        return Problem(405, "method-not-allowed", detail, headers=headers)
    if error.status_code == 400:
        detail = f"The request cannot be read: {error.detail}."
        return Problem(400, "invalid-request", detail, headers=headers)
    return Problem(error.status_code, "http-error", f"{error.detail}.", headers=headers)


def _of_validation(error: RequestValidationError) -> Problem:
    errors = [
        {"where": [str(part)[:100] for part in item["loc"]], "message": item["msg"]}
        for item in error.errors()[:20]
    ]
    first = errors[0]
    where = ".".join(first["where"])
    return Problem(
        400,
        "invalid-request",
        f"The request is not as described in openapi.json: {where}: {first['message']}.",
        errors=errors,
    )
