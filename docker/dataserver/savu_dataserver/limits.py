"""Every bound of the service that is not a setting, with its reason."""

from __future__ import annotations

from typing import Final

STALL_SECONDS: Final = 8.0
"""Without a sign of progress for so long a worker is taken as hung: 503 within 10 s."""

STALLED_FILE_SECONDS: Final = 15.0
"""A file that hung a worker is refused at once for so long: its mount would only hang another."""

QUICK_BYTES: Final = 512 * 1024
"""Decoded bytes that the metadata worker reads itself: titles and axes never wait behind images."""

PIECE_BYTES: Final = 16 * 1024 * 1024
"""Decoded bytes read in one call: between two a worker shows progress and can be cancelled."""

WORKER_MEMORY_BYTES: Final = 256 * 1024 * 1024
"""Least memory a worker may use beyond what it was born with, whatever the setting: HDF5 needs
8 KiB for each part of a virtual dataset."""

WORKER_GROWTH_BYTES: Final = 96 * 1024 * 1024
"""A worker that holds so much more than when it was born is replaced by a new one."""

WORKER_TASKS: Final = 5000
"""Requests after which a worker is replaced whatever its size."""

EARLY_DEATH_SECONDS: Final = 0.5
"""A worker that was ended so soon after it got a task is replaced, and the task done again."""

IDLE_WORKER_SECONDS: Final = 30.0
"""Workers beyond the first of a lane end after so long without work."""

WAITING_REQUESTS: Final = 256
"""More than these waiting for a worker are answered 503 at once."""

PATH_BYTES: Final = 4096
"""Longest file path (Linux's PATH_MAX) and path inside a file."""

LINKS: Final = 64
"""Links followed for one path: more is taken as a loop."""

LINKED_FILES: Final = 64
"""Files opened for one request by following external links."""

VIRTUAL_DEPTH: Final = 8
"""Virtual datasets made of virtual datasets made of …"""

VIRTUAL_SOURCES: Final = 20_000
"""Mappings of one virtual dataset: one for each frame of the longest scans."""

CHILDREN: Final = 2000
"""Members of one group that are listed."""

ATTRIBUTES: Final = 500
"""Attributes of one object that are listed."""

ATTRIBUTE_BYTES: Final = 1024 * 1024
"""Decoded size of one attribute's value that is sent unasked."""

TYPE_MEMBERS: Final = 500
"""Members of a compound or enumeration, at all its levels together, that are described."""

TYPE_DEPTH: Final = 16
"""Levels of a type (array of compound of …) that are described."""

PATHS: Final = 20_000
"""Paths in one listing."""

TREE_DEPTH: Final = 32
TREE_NODES: Final = 5000

WALK_SECONDS: Final = 4.0
"""Time spent on listing one file's tree; what is found by then is sent, marked as cut off."""
