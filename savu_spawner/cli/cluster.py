"""The few things that commands ask of Kubernetes; answers are plain dicts, as the API has them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any

from kubernetes_asyncio.client.rest import ApiException

from savu_spawner.cluster import CONFLICT, NOT_FOUND, Pods, serialized
from savu_spawner.pod.labels import SERVERNAME, USERNAME, selector
from savu_spawner.watch import Watch

REQUEST_SECONDS = 30.0
GRACE_SECONDS = 5
"""For a session's programs to end by themselves."""
GONE_SECONDS = 120.0
"""For a pod to be gone: its grace period, and a busy machine."""

Object = dict[str, Any]

log = logging.getLogger("savu_spawner")


class NoSuchSession(Exception):
    """No session of the command line is meant, or several; a sentence."""


class Cluster:
    """One namespace of a cluster.

    Args:
        api: kubernetes_asyncio's CoreV1Api; closed by whoever made it.
    """

    def __init__(self, api: Any, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self.pods = Pods(api, namespace, REQUEST_SECONDS, log)

    # -- Reading ----------------------------------------------------------------------------------

    async def sessions(self) -> list[Object]:
        """Pods of the command line, by name."""
        listed = await self.api.list_namespaced_pod(self.namespace, label_selector=selector(None))
        return sorted(map(serialized, listed.items), key=lambda pod: str(pod["metadata"]["name"]))

    async def session(self, user: str, uid: int, server: str) -> Object:
        """The one that these options mean; without any, the only one there is.

        Raises:
            NoSuchSession: none is meant, or several.
        """
        found = [pod for pod in await self.sessions() if is_meant(pod, user, uid, server)]
        if len(found) == 1:
            return found[0]
        if not found:
            whose = user or (f"user ID {uid}" if uid >= 0 else "")
            of = f" of {whose}" if whose else ""
            raise NoSuchSession(
                f"No session{of} was started here (namespace {self.namespace}):"
                " savu-spawner start starts one."
            )
        names = ", ".join(described(pod) for pod in found)
        raise NoSuchSession(
            f"There are several sessions ({names}): say which with --user or --uid, and --server."
        )

    async def secret_and_time(self, name: str) -> tuple[Object, float]:
        """A Secret, and the cluster's own time in seconds since 1970.

        The clock of this machine may be wrong by more than a link lives.
        """
        answer = await self.api.read_namespaced_secret_with_http_info(name, self.namespace)
        secret, _, headers = answer
        try:
            now = parsedate_to_datetime(headers["Date"]).timestamp()
        except (KeyError, TypeError, ValueError):
            now = time.time()
        return serialized(secret), now

    async def events(self, pod: Mapping[str, Any]) -> list[Object]:
        """What happened to this pod, as far as it is still known."""
        listed = await self.api.list_namespaced_event(
            self.namespace, field_selector=f"involvedObject.uid={pod['metadata']['uid']}"
        )
        return [serialized(event) for event in listed.items]

    # -- Following --------------------------------------------------------------------------------

    @asynccontextmanager
    async def following(self, pod: Mapping[str, Any]) -> AsyncIterator[Following]:
        """``pod`` and its events, as they change.

        Raises:
            TimeoutError: the API server does not say what there is.
        """
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        watches = [
            Watch(
                self.api.list_namespaced_pod,
                log,
                namespace=self.namespace,
                field_selector=f"metadata.name={name}",
            ),
            Watch(
                self.api.list_namespaced_event,
                log,
                namespace=self.namespace,
                field_selector=f"involvedObject.uid={uid}",
            ),
        ]
        for watch in watches:
            watch.start()
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                for watch in watches:
                    await watch.loaded()
            with ExitStack() as listening:
                following = Following(f"{self.namespace}/{name}", uid, *watches)
                for watch in watches:
                    listening.enter_context(watch.listening(None, following.changed.set))
                yield following
        finally:
            for watch in watches:
                await watch.stop()

    # -- Removing ---------------------------------------------------------------------------------

    async def remove(self, pod: Mapping[str, Any]) -> None:
        """Delete exactly this pod and what it owns, and wait until the pod is gone.

        Raises:
            TimeoutError: it is still there; its deletion goes on.
        """
        name = pod["metadata"]["name"]
        async with self.following(pod) as following:
            await self.pods.delete(name, pod["metadata"]["uid"], GRACE_SECONDS)
            # The pod's, and deleted with it; but one that kubectl applied has no owner.
            for delete in (self.api.delete_namespaced_secret, self.api.delete_namespaced_service):
                with suppress_gone():
                    await delete(name, self.namespace)
            async with asyncio.timeout(GONE_SECONDS):
                while following.pod is not None:
                    await following.change()


class Following:
    """A pod and its events as they are known now."""

    def __init__(self, key: str, uid: str, pods: Watch, events: Watch) -> None:
        self._key = key
        self._uid = uid
        self._pods = pods
        self._events = events
        self.changed = asyncio.Event()

    @property
    def pod(self) -> Object | None:
        """None once it is gone, even if there is another of its name."""
        pod = self._pods.objects.get(self._key)
        return pod if pod and pod["metadata"]["uid"] == self._uid else None

    @property
    def events(self) -> list[Object]:
        return list(self._events.objects.values())

    async def change(self) -> None:
        """Return after the next change, or one since this was called last."""
        await self.changed.wait()
        self.changed.clear()


class suppress_gone:  # noqa: N801 - reads as `with suppress_gone():`
    """What is not there, or is another by now, need not be deleted."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        return isinstance(error, ApiException) and error.status in (NOT_FOUND, CONFLICT)


def is_meant(pod: Mapping[str, Any], user: str, uid: int, server: str) -> bool:
    """Whether these options name this session."""
    annotations = pod["metadata"].get("annotations") or {}
    runs_as = pod["spec"]["securityContext"].get("runAsUser")
    return (
        (not user or annotations.get(USERNAME) == user.lower())
        and (uid < 0 or runs_as == uid)
        and (not server or annotations.get(SERVERNAME, "") == server)
    )


def described(pod: Mapping[str, Any]) -> str:
    """A session for a sentence: whose, and which."""
    annotations = pod["metadata"].get("annotations") or {}
    server = annotations.get(SERVERNAME, "")
    return str(annotations.get(USERNAME, "?")) + (f", server {server}" if server else "")
