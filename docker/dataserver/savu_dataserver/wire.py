"""What the web server and a worker say to each other on their socket.

To the worker: a task (JSON), or that nobody waits for its answer any more. From it: a sign of
progress now and then, then a header (JSON) and as many bytes of body as it says. Never pickled:
a worker reads what strangers wrote.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Final

FRAME: Final = struct.Struct("!cI")
"""Kind, and the length of what follows."""

TASK: Final = b"T"
CANCEL: Final = b"C"
PROGRESS: Final = b"."
HEADER: Final = b"H"
HEAVY: Final = b"W"
"""The task is for a worker that may take its time."""

LARGEST_FRAME: Final = 64 * 1024 * 1024


def frame(kind: bytes, content: dict[str, Any] | None = None) -> bytes:
    """One message."""
    payload = b"" if content is None else json.dumps(content).encode()
    return FRAME.pack(kind, len(payload)) + payload
