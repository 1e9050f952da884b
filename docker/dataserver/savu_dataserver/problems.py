"""What can be wrong with a request, as HTTP says it (RFC 9457 problem details).

Refused (403), absent (404), too large (413), foreign (415), broken (422) and not answering (503)
are different answers.
"""

from __future__ import annotations

import json
from http import HTTPStatus

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An answer that is not what was asked for.

    ``detail`` is a sentence for the user: what is wrong and what to do. ``code`` is for programs.
    """

    def __init__(self, status: int, code: str, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def body(self) -> bytes:
        """The JSON document."""
        return json.dumps(
            {
                "type": "about:blank",
                "title": HTTPStatus(self.status).phrase,
                "status": self.status,
                "detail": self.detail,
                "code": self.code,
                # h5grove's name for it: H5Web shows this one to the user.
                "message": self.detail,
            }
        ).encode()


def invalid(detail: str) -> Problem:
    """The request itself makes no sense."""
    return Problem(400, "invalid-request", detail)


def outside(what: str) -> Problem:
    """It exists or not, but this service does not go there."""
    return Problem(
        403,
        "outside-data-roots",
        f"{what} is outside the folders that this session may read. "
        "If it should be inside, ask your support contact to add its folder.",
    )


def file_absent(path: str) -> Problem:
    return Problem(
        404, "file-not-found", f"There is no file {path}. It may have been moved or removed."
    )


def path_absent(path: str, file: str) -> Problem:
    # "not a valid path" is what H5Web looks for.
    return Problem(404, "path-not-found", f"{path} is not a valid path in {file}.")


def too_large(what: str, size: int, limit: int) -> Problem:
    return Problem(
        413,
        "too-large",
        f"{what} would need {_mebibytes(size)} and at most {_mebibytes(limit)} are read for one "
        "request. Select less of it.",
    )


def broken(what: str, why: str) -> Problem:
    return Problem(
        422, "broken", f"{what} cannot be read: {why}. It may be damaged or incompletely copied."
    )


def unsuitable(detail: str) -> Problem:
    """Sound request, sound file, but the one cannot be applied to the other."""
    return Problem(422, "unsuitable", detail)


def not_answering(file: str) -> Problem:
    return Problem(
        503,
        "storage-not-answering",
        f"The storage that holds {file} does not answer. Other files can still be read; try this "
        "one again in a minute, and tell your support contact if it stays so.",
        Retry_After="15",
    )


def busy(detail: str) -> Problem:
    return Problem(503, "busy", detail, Retry_After="2")


def _mebibytes(size: int) -> str:
    if size < 1024 * 1024:
        return f"{size} bytes"
    return f"{size / 1024**2:,.1f} MiB"
