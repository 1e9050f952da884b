"""What is asked of a Kubernetes API server about pods, each with a bound, and again where it helps.

KubeSpawner repeats a request only after a time-out: a server that refuses the connection for a
second fails a start, and a stop that fails leaves its pod behind.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from logging import Logger, LoggerAdapter
from typing import Any, TypeVar

import aiohttp
from kubernetes_asyncio.client import ApiClient, CoreV1Api, V1DeleteOptions, V1Preconditions
from kubernetes_asyncio.client.rest import ApiException

Answer = TypeVar("Answer")

UNREACHABLE = (aiohttp.ClientError, OSError, TimeoutError)
"""What a request raises when no answer came."""

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP statuses after which the same request may succeed."""

NOT_FOUND, CONFLICT = 404, 409

CONTAINER_LOG_LINES = 20

PAGE = 100
"""Objects of one page of a list."""


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed in a moment."""
    if isinstance(error, ApiException):
        return error.status in TRANSIENT
    return isinstance(error, UNREACHABLE)


def sentence_of(error: BaseException) -> str:
    """What the API server said, in its own words; else what kind of silence it was."""
    if isinstance(error, ApiException):
        try:
            return str(json.loads(error.body or "")["message"])
        except (TypeError, ValueError, KeyError):
            return f"{error.status} {error.reason}"
    return f"{type(error).__name__} {error}".strip()


async def patiently(
    request: Callable[[], Awaitable[Answer]],
    seconds: float | None,
    told: Callable[[BaseException], None],
) -> Answer:
    """The answer to ``request``, made again while the server is away or busy.

    Each failure is ``told``. Pauses are as long as the server asks, else 0.1 s to 4 s.

    Raises:
        ApiException: a refusal that no waiting mends, or the last failure after ``seconds`` (None:
            tried for ever).
        aiohttp.ClientError, OSError, TimeoutError: no answer within ``seconds``.
    """
    begun, pause = time.monotonic(), 0.1
    while True:
        try:
            return await request()
        except (ApiException, *UNREACHABLE) as error:
            if not is_transient(error):
                raise
            wait = _asked_to_wait(error) or random.uniform(pause / 2, pause)
            if seconds is not None and time.monotonic() - begun + wait > seconds:
                raise
            told(error)
        await asyncio.sleep(wait)
        pause = min(2 * pause, 4.0)


def _asked_to_wait(error: BaseException) -> float:
    """Seconds of the header ``Retry-After``, which the API server sends with a 429."""
    headers = getattr(error, "headers", None) or {}
    try:
        return max(0.0, float(headers.get("Retry-After", 0)))
    except ValueError:
        return 0.0


@dataclass(frozen=True)
class Pods:
    """The pods of one namespace."""

    api: CoreV1Api
    namespace: str
    request_timeout: float
    """Seconds that one request may take."""
    log: Logger | LoggerAdapter[Any]

    async def create(self, pod: Mapping[str, Any]) -> dict[str, Any]:
        """Make ``pod``; what the server made of it."""
        return await self._ask(self.api.create_namespaced_pod, self.namespace, pod)

    async def read(self, name: str) -> dict[str, Any] | None:
        """The pod as it is; None if there is none."""
        try:
            return await self._ask(self.api.read_namespaced_pod, name, self.namespace)
        except ApiException as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def select(self, labels: str) -> list[dict[str, Any]]:
        """All pods with these labels; without a namespace those of every namespace."""
        method: Callable[..., Awaitable[Any]] = self.api.list_pod_for_all_namespaces
        if self.namespace:
            method = partial(self.api.list_namespaced_pod, self.namespace)
        pods: list[dict[str, Any]] = []
        following: dict[str, Any] = {}
        while True:
            page = await self._ask(method, label_selector=labels, limit=PAGE, **following)
            pods += page["items"]
            if not page["metadata"].get("continue"):
                return pods
            following = {"_continue": page["metadata"]["continue"]}

    async def delete(self, name: str, uid: str, grace_seconds: int) -> None:
        """Have exactly this pod deleted, if it still is there."""
        options = V1DeleteOptions(
            grace_period_seconds=grace_seconds, preconditions=V1Preconditions(uid=uid)
        )
        try:
            await self._ask(self.api.delete_namespaced_pod, name, self.namespace, body=options)
        except ApiException as error:
            # A conflict: a pod of this name with another uid, which is not to be touched.
            if error.status not in (NOT_FOUND, CONFLICT):
                raise

    async def annotate(self, name: str, annotations: Mapping[str, str]) -> None:
        """Add to what is noted on a pod."""
        patch = {"metadata": {"annotations": dict(annotations)}}
        await self._ask(self.api.patch_namespaced_pod, name, self.namespace, patch)

    async def last_lines(self, name: str, container: str) -> list[str]:
        """The end of a container's log; that of its previous run if it has just begun anew."""
        for previous in (False, True):
            try:
                body = await self._body(
                    self.api.read_namespaced_pod_log,
                    name,
                    self.namespace,
                    container=container,
                    previous=previous,
                    tail_lines=CONTAINER_LOG_LINES,
                )
            except (ApiException, *UNREACHABLE):
                continue
            if body:
                return body.decode(errors="replace").splitlines()
        return []

    async def _ask(
        self, method: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(await self._body(method, *args, **kwargs))
        return answer

    async def _body(
        self, method: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any
    ) -> bytes:
        """An answer as the server sent it.

        The client's models would lose what is newer than they, and refuse what they do not expect.
        """
        async with asyncio.timeout(self.request_timeout):
            answer = await method(*args, **kwargs, _preload_content=False)
            async with answer:
                body: bytes = await answer.read()
        if answer.status >= 300:
            raise refusal(answer, body)
        return body


def refusal(answer: Any, body: bytes) -> ApiException:
    """A response that is an error, as the client raises those that it reads itself."""
    error = ApiException(status=answer.status, reason=answer.reason)
    error.body, error.headers = body, answer.headers
    return error


def serialized(thing: Any) -> dict[str, Any]:
    """A model of the API client as JSON has it, without what is not set."""
    # Nothing but its rules for JSON is used: a real one would open a connection pool.
    made: dict[str, Any] = ApiClient.__new__(ApiClient).sanitize_for_serialization(thing)
    return made
