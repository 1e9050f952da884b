"""The part of a Kubernetes API server that a spawner speaks to: pods and events of one namespace.

Real HTTP, lists and watches; nothing schedules or runs anything: a test says what the kubelet
would report.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from aiohttp import web

NAMESPACE = "default"


class KubeApi:
    """Pods and events, changed by HTTP and by tests."""

    def __init__(self) -> None:
        self.pods: dict[str, dict[str, Any]] = {}
        self.created = asyncio.Event()
        self.deletions: list[dict[str, Any]] = []
        self.refusal: tuple[int, str] | None = None
        """Answer to everything that creates or deletes, instead of doing it."""
        self.url = ""
        self._version = 1
        self._events: list[dict[str, Any]] = []
        self._history: list[tuple[int, str, dict[str, Any]]] = []
        self._watchers: dict[str, list[asyncio.Queue[dict[str, Any] | None]]] = {}

    def report(self, name: str, **status: Any) -> None:
        """What the kubelet says about a pod."""
        self.pods[name]["status"] |= status
        self._tell("pods", "MODIFIED", self.pods[name])

    def report_ready(self, name: str, address: str = "10.1.2.3") -> None:
        containers = self.pods[name]["spec"]["containers"]
        self.report(
            name,
            phase="Running",
            podIP=address,
            conditions=[{"type": "PodScheduled", "status": "True"}],
            containerStatuses=[running(container["name"]) for container in containers],
        )

    def event(self, name: str, reason: str, message: str, container: str = "") -> None:
        """Something that happened to a pod."""
        event = {
            "metadata": {"name": uuid4().hex, "namespace": NAMESPACE, "uid": uuid4().hex},
            "involvedObject": {
                "kind": "Pod",
                "name": name,
                "uid": self.pods[name]["metadata"]["uid"],
                "fieldPath": f"spec.containers{{{container}}}",
            },
            "reason": reason,
            "message": message,
            "type": "Normal",
            "count": 1,
            "lastTimestamp": "2026-01-01T00:00:00Z",
            "eventTime": None,
        }
        self._events.append(event)
        self._tell("events", "ADDED", event)

    def remove(self, name: str) -> None:
        """The pod is gone."""
        self._tell("pods", "DELETED", self.pods.pop(name))

    def _tell(self, kind: str, what: str, thing: dict[str, Any]) -> None:
        self._version += 1
        thing["metadata"]["resourceVersion"] = str(self._version)
        change = {"type": what, "object": json.loads(json.dumps(thing))}
        self._history.append((self._version, kind, change))
        for watcher in self._watchers.get(kind, []):
            watcher.put_nowait(change)

    async def list_or_watch(self, request: web.Request) -> web.StreamResponse:
        kind = request.match_info["kind"]
        if request.query.get("watch") not in ("true", "True", "1"):
            items = list(self.pods.values()) if kind == "pods" else self._events
            listed = {"resourceVersion": str(self._version)}
            return web.json_response({"kind": "List", "metadata": listed, "items": items})
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        since = int(request.query.get("resourceVersion") or 0)
        for version, changed, change in self._history:
            if changed == kind and version > since:
                queue.put_nowait(change)
        self._watchers.setdefault(kind, []).append(queue)
        try:
            while told := await queue.get():
                await response.write(json.dumps(told).encode() + b"\n")
        finally:
            self._watchers[kind].remove(queue)
        return response

    async def create(self, request: web.Request) -> web.Response:
        if refused := self._refused():
            return refused
        pod = await request.json()
        name = pod["metadata"]["name"]
        if name in self.pods:
            return problem(409, f'pods "{name}" already exists')
        pod["metadata"] |= {"uid": uuid4().hex, "namespace": NAMESPACE}
        pod["status"] = {"phase": "Pending"}
        self.pods[name] = pod
        self._tell("pods", "ADDED", pod)
        self.created.set()
        return web.json_response(pod, status=201)

    async def delete(self, request: web.Request) -> web.Response:
        if refused := self._refused():
            return refused
        name = request.match_info["name"]
        options = await request.json() if request.can_read_body else {}
        if name not in self.pods:
            return problem(404, f'pods "{name}" not found')
        uid = (options.get("preconditions") or {}).get("uid")
        if uid and uid != self.pods[name]["metadata"]["uid"]:
            return problem(409, "the uid in the precondition does not match")
        self.deletions.append({"name": name, **options})
        self.remove(name)
        return web.json_response({"kind": "Status", "status": "Success"})

    def _refused(self) -> web.Response | None:
        return problem(*self.refusal) if self.refusal else None

    def end_watches(self) -> None:
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.put_nowait(None)


def problem(status: int, message: str) -> web.Response:
    """An error as the API server words it."""
    return web.json_response(
        {"kind": "Status", "status": "Failure", "message": message, "code": status}, status=status
    )


def running(name: str, *, restarts: int = 0, **last: Any) -> dict[str, Any]:
    """Status of a container that runs and is ready, after ``last`` if it has died before."""
    return {
        "name": name,
        "ready": True,
        "restartCount": restarts,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        "lastState": {"terminated": last} if last else {},
    }


@asynccontextmanager
async def kube_api() -> AsyncIterator[KubeApi]:
    """Such a server on a port of its own."""
    api = KubeApi()
    application = web.Application()
    place = f"/api/v1/namespaces/{NAMESPACE}"
    application.router.add_get(place + "/{kind:pods|events}", api.list_or_watch)
    application.router.add_post(place + "/pods", api.create)
    application.router.add_delete(place + "/pods/{name}", api.delete)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield api
    finally:
        api.end_watches()
        await runner.cleanup()
