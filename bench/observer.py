"""When a process hears from the API server that a pod is ready, and that it is gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kubernetes_asyncio import watch
from kubernetes_asyncio.client import CoreV1Api

from savu_spawner.diagnosis import is_ready

MOMENT = "benchMoment"
"""In a replayed pod's status: when it was told, by the machine's monotonic clock."""


class Observer:
    """A watch of its own beside those of the spawners: what is measured begins where this hears.

    A replayed pod carries the moment in which its server told of it, and that is taken instead.
    """

    def __init__(self) -> None:
        self._heard = asyncio.Condition()
        self.ready: dict[str, float] = {}
        """By pod, ``time.monotonic`` of the first time that it was ready."""
        self.gone: dict[str, float] = {}

    def forget(self, name: str) -> None:
        """Before a pod of the same name is made anew."""
        self.ready.pop(name, None)
        self.gone.pop(name, None)

    async def run(self, api: CoreV1Api, namespace: str) -> None:
        async with watch.Watch() as changes:
            async for change in changes.stream(
                lambda **kwargs: api.list_namespaced_pod(namespace, **kwargs)
            ):
                self._note(change["type"], change["raw_object"])
                async with self._heard:
                    self._heard.notify_all()

    async def heard_of_end(self, name: str) -> None:
        """Wait until this has heard that a pod is gone."""
        async with self._heard:
            await self._heard.wait_for(lambda: name in self.gone)

    def _note(self, kind: str, pod: dict[str, Any]) -> None:
        name, now = pod["metadata"]["name"], pod["status"].get(MOMENT, time.monotonic())
        if kind == "DELETED":
            self.gone.setdefault(name, now)
        elif is_ready(pod):
            self.ready.setdefault(name, now)


@asynccontextmanager
async def observing(api: CoreV1Api, namespace: str) -> AsyncIterator[Observer]:
    """An observer of one namespace."""
    observer = Observer()
    task = asyncio.create_task(observer.run(api, namespace))
    try:
        yield observer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
