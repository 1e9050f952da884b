"""What is said about a start, as pages read it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from savu_spawner.session import SpawnLog


async def sentences(reader: AsyncIterator[dict[str, Any]], count: int) -> list[str]:
    async with asyncio.timeout(10):
        return [(await anext(reader))["message"] for _ in range(count)]


async def test_a_page_that_comes_late_reads_from_the_beginning() -> None:
    log = SpawnLog()
    log.begin()
    log.say(5, "one")
    log.say(10, "two")
    assert await sentences(aiter(log), 2) == ["one", "two"]


async def test_a_page_that_came_before_the_start_reads_all_of_it() -> None:
    log = SpawnLog()
    reading = asyncio.ensure_future(sentences(aiter(log), 2))
    await asyncio.sleep(0)
    log.begin()
    log.say(5, "one")
    log.say(10, "two")
    assert await reading == ["one", "two"]


async def test_a_page_goes_on_with_the_next_start() -> None:
    log = SpawnLog()
    log.begin()
    log.say(5, "first")
    reader = aiter(log)
    assert await sentences(reader, 1) == ["first"]
    log.begin()
    log.say(5, "second")
    assert await sentences(reader, 1) == ["second"]
