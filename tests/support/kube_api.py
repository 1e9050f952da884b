"""The part of a Kubernetes API server that a spawner speaks to: pods and events of one namespace.

Real HTTP, lists and watches; nothing schedules or runs anything: a test says what the kubelet
would report.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
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
        """Answer to everything but lists and watches, instead of doing it."""
        self.refused = asyncio.Event()
        """Set by each such answer."""
        self.may_patch = True
        self.keeps_deleted = False
        """Deleted pods stay until :meth:`remove`, as while their containers end."""
        self.logs: dict[str, str] = {}
        """What each container has written."""
        self.lists: list[str] = []
        """Kinds of which everything was asked, in order."""
        self.watching = asyncio.Event()
        """Set with each watch that begins."""
        self.silent = False
        """Watches are accepted, and nothing ever comes of them."""
        self.oldest_version = 0
        """Watches from before it are refused, as after a compaction."""
        self.lost_answers: list[str] = []
        """Names of pods that are made although their creation seems to fail."""
        self.url = ""
        self.runner: web.AppRunner
        self._port = 0
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
        chosen = _selection(request.query)
        if request.query.get("watch") not in ("true", "True", "1"):
            self.lists.append(kind)
            return self._page(kind, chosen, request.query)
        if self.silent:
            self.watching.set()
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            await asyncio.Event().wait()
        since = int(request.query.get("resourceVersion") or 0)
        if since < self.oldest_version:
            return problem(410, f"too old resource version: {since}")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        for version, changed, change in self._history:
            if changed == kind and version > since:
                queue.put_nowait(change)
        self._watchers.setdefault(kind, []).append(queue)
        self.watching.set()
        try:
            async with asyncio.timeout(float(request.query.get("timeoutSeconds") or 3600)):
                while told := await queue.get():
                    if chosen(told["object"]):
                        await response.write(json.dumps(told).encode() + b"\n")
        except TimeoutError:
            metadata = {"resourceVersion": str(self._version)}
            bookmark = {"type": "BOOKMARK", "object": {"metadata": metadata}}
            await response.write(json.dumps(bookmark).encode() + b"\n")
        finally:
            self._watchers[kind].remove(queue)
        return response

    def _page(
        self, kind: str, chosen: Callable[[dict[str, Any]], bool], query: Mapping[str, str]
    ) -> web.Response:
        known = self.pods.values() if kind == "pods" else self._events
        items = [item for item in known if chosen(item)]
        first = int(query.get("continue") or 0)
        last = first + int(query.get("limit") or len(items) or 1)
        metadata = {"resourceVersion": str(self._version)}
        if last < len(items):
            metadata["continue"] = str(last)
        return web.json_response({"kind": "List", "metadata": metadata, "items": items[first:last]})

    async def read(self, request: web.Request) -> web.Response:
        if refused := self._refused():
            return refused
        name = request.match_info["name"]
        if name not in self.pods:
            return problem(404, f'pods "{name}" not found')
        return web.json_response(self.pods[name])

    async def patch(self, request: web.Request) -> web.Response:
        if refused := self._refused():
            return refused
        if not self.may_patch:
            return problem(403, "pods is forbidden: cannot patch")
        pod = self.pods[request.match_info["name"]]
        annotations = (await request.json())["metadata"]["annotations"]
        pod["metadata"].setdefault("annotations", {}).update(annotations)
        self._tell("pods", "MODIFIED", pod)
        return web.json_response(pod)

    async def log(self, request: web.Request) -> web.Response:
        return web.Response(text=self.logs.get(request.query["container"], ""))

    async def create(self, request: web.Request) -> web.Response:
        if refused := self._refused():
            return refused
        pod = await request.json()
        name = pod["metadata"]["name"]
        if name in self.pods:
            return problem(409, f'pods "{name}" already exists')
        if name in self.lost_answers:
            self.lost_answers.remove(name)
            self.add(pod)
            request.transport.close()  # type: ignore[union-attr]
            return problem(500, "never seen")
        self.add(pod)
        return web.json_response(pod, status=201)

    def add(self, pod: dict[str, Any]) -> None:
        """A new pod, of this server's making or of somebody else's."""
        name = pod["metadata"]["name"]
        pod["metadata"] |= {"uid": uuid4().hex, "namespace": NAMESPACE}
        pod["status"] = {"phase": "Pending"}
        self.pods[name] = pod
        self._tell("pods", "ADDED", pod)
        self.created.set()

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
        if self.keeps_deleted:
            self.pods[name]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            self._tell("pods", "MODIFIED", self.pods[name])
        else:
            self.remove(name)
        return web.json_response({"kind": "Status", "status": "Success"})

    def _refused(self) -> web.Response | None:
        if self.refusal is None:
            return None
        self.refused.set()
        return problem(*self.refusal)

    async def go_away(self) -> None:
        """Refuse connections, and break those that there are."""
        self.end_watches()
        for site in list(self.runner.sites):
            await site.stop()
        for connection in list(self.runner.server.connections):  # type: ignore[union-attr]
            connection.force_close()

    async def come_back(self) -> None:
        """Accept connections, on the port of the first time."""
        site = web.TCPSite(self.runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self.runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    def end_watches(self) -> None:
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.put_nowait(None)


def _selection(query: Mapping[str, str]) -> Callable[[dict[str, Any]], bool]:
    """What a query's selectors choose: labels by equality, and the pod that an event is about."""
    labels = dict(part.split("=") for part in query.get("labelSelector", "").split(",") if part)
    fields = dict(part.split("=") for part in query.get("fieldSelector", "").split(",") if part)

    def chosen(thing: dict[str, Any]) -> bool:
        has = thing["metadata"].get("labels") or {}
        about = thing.get("involvedObject", {})
        return all(has.get(name) == value for name, value in labels.items()) and all(
            about.get(name.removeprefix("involvedObject.")) == value
            for name, value in fields.items()
        )

    return chosen


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
async def kube_api(api: KubeApi | None = None) -> AsyncIterator[KubeApi]:
    """Such a server on a port of its own."""
    api = api or KubeApi()
    application = web.Application()
    place = f"/api/v1/namespaces/{NAMESPACE}"
    application.router.add_get(place + "/{kind:pods|events}", api.list_or_watch)
    application.router.add_post(place + "/pods", api.create)
    application.router.add_get(place + "/pods/{name}", api.read)
    application.router.add_patch(place + "/pods/{name}", api.patch)
    application.router.add_get(place + "/pods/{name}/log", api.log)
    application.router.add_delete(place + "/pods/{name}", api.delete)
    runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    api.runner = runner
    await api.come_back()
    try:
        yield api
    finally:
        api.end_watches()
        await runner.cleanup()
