"""A process with an API server that says at once when a pod is ready, and when it is gone.

``python -m bench.server PODS``: prints its URL; serves until its standard input ends. It stands in
for a cluster so that nothing is measured but the spawner: nothing schedules or runs anything.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from bench.observer import MOMENT
from tests.support.kube_api import KubeApi, kube_api

GOLDEN = Path(__file__).parents[1] / "tests/unit/golden/claim.yaml"
READY_AFTER = "bench/ready-after"
"""Annotation: seconds after which a pod is ready."""
CHANGES_A_SECOND = 50


class Replay(KubeApi):
    """Ready after as many seconds as a pod itself says, gone a moment after its deletion."""

    def __init__(self) -> None:
        super().__init__()
        self.keeps_deleted = True
        self._later: set[asyncio.Task[None]] = set()

    def add(self, pod: dict[str, Any]) -> None:
        super().add(pod)
        annotations = pod["metadata"].get("annotations") or {}
        if READY_AFTER in annotations:
            self._schedule(self._become_ready(pod, float(annotations[READY_AFTER])))

    async def delete(self, request: web.Request) -> web.Response:
        answer = await super().delete(request)
        name = request.match_info["name"]
        if answer.status == 200:
            self._schedule(self._become_gone(name, random.uniform(0.5, 1.5)))
        return answer

    async def _become_ready(self, pod: dict[str, Any], seconds: float) -> None:
        await asyncio.sleep(seconds)
        pod["status"][MOMENT] = time.monotonic()
        self.report_ready(pod["metadata"]["name"])

    async def _become_gone(self, name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.pods[name]["status"][MOMENT] = time.monotonic()
        self.remove(name)

    async def keep_changing(self) -> None:
        """Pods change as those of a busy hub do."""
        names = list(self.pods)
        while names:
            await asyncio.sleep(1 / CHANGES_A_SECOND)
            self.report(random.choice(names), touched=time.time())

    def _schedule(self, doing: Any) -> None:
        task = asyncio.create_task(doing)
        self._later.add(task)
        task.add_done_callback(self._later.discard)


def session_pods(count: int) -> list[dict[str, Any]]:
    """Pods of running sessions, as large as a real API server sends them."""
    text = json.dumps(yaml.safe_load(GOLDEN.read_text()))
    pods = []
    for number in range(count):
        pod = json.loads(text)
        pod["metadata"]["name"] = f"session-{number}"
        # Both kinds of spawner are to see them.
        pod["metadata"]["labels"] |= {"component": "singleuser-server"}
        # The field managers' share, which is about as large as the rest.
        pod["metadata"]["managedFields"] = [{"fieldsV1": {"f:spec": json.loads(text)["spec"]}}]
        pods.append(pod)
    return pods


async def main(count: int) -> None:
    """Serve until the standard input ends."""
    async with kube_api(Replay()) as api:
        assert isinstance(api, Replay)
        for pod in session_pods(count):
            api.add(pod)
            api.report_ready(pod["metadata"]["name"])
        changing = asyncio.create_task(api.keep_changing())
        print(api.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)
        changing.cancel()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
