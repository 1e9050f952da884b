"""File work in threads: a few at a time, and none is waited for longer than users would.

A network file system that hangs holds its threads for ever; they are left behind, and requests
that need none of them (health, activity, jobs) are still answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from savu_api.problems import Problem

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE: Final = 16
PATIENCE: Final = 30.0
"""Seconds: longer than any find is allowed, shorter than the proxies' own time-outs."""

_pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="files")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The function's result or exception. Raises Problem if the storage does not answer in time."""
    future = asyncio.get_running_loop().run_in_executor(_pool, lambda: function(*args, **kwargs))
    try:
        async with asyncio.timeout(PATIENCE):
            return await future
    except TimeoutError as error:
        raise Problem(
            504,
            "storage-timeout",
            f"The storage did not answer within {PATIENCE:.0f} s: try again, it may be busy.",
        ) from error
