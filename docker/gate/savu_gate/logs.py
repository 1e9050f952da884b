"""One line an event on stderr, and nothing that opens a session: no token, code, state, _xsrf."""

from __future__ import annotations

import logging
import traceback
from types import TracebackType

LONGEST = 500


class OneLine(logging.Formatter):
    """A record as one line; of an exception the place only, as its text may quote a request."""

    def format(self, record: logging.LogRecord) -> str:
        text = " ".join(record.getMessage().split())[:LONGEST]
        if record.exc_info and record.exc_info[0]:
            text += f" ({record.exc_info[0].__name__} {where(record.exc_info[2])})"
        return f"gate: {record.levelname.lower()}: {text}"


def where(trace: TracebackType | None) -> str:
    """Innermost calls of a traceback: ``at file:line in function``, values left out."""
    frames = traceback.extract_tb(trace)[-4:]
    return "; ".join(f"at {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)


def configure() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("savu_gate").setLevel(logging.INFO)
    # Below ERROR these quote cookies, OAuth states and request lines with their codes; JupyterHub
    # logs through the first two.
    for name in ("tornado.application", "tornado.general", "tornado.access"):
        logging.getLogger(name).setLevel(logging.ERROR)
