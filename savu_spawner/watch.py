"""Copies of what a Kubernetes API server holds, kept true by one watch, and told at once.

KubeSpawner's reflector lists everything anew each ten seconds, gives up after a minute without an
API server, and is asked in a loop of sleeps. This one lists once, goes on from where it was after
every interruption, tries for ever, and wakes whoever waits in the moment in which a change arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from logging import Logger, LoggerAdapter
from typing import Any, TypeVar

from kubernetes_asyncio.client.rest import ApiException

from savu_spawner.cluster import UNREACHABLE, refusal, sentence_of

Found = TypeVar("Found")
Thing = Mapping[str, Any]
"""An object of the API, as JSON has it."""

PAGE = 50
"""Objects a page of the first list: parsing one must not keep the hub's loop for long."""

STREAM_SECONDS = 8
"""The server ends a watch after this time and is asked to go on from there: so a connection that
died without a word is noticed within seconds, at the price of a request each time."""

GRACE_SECONDS = 2
"""After which a watch that the server did not end is given up."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 4.0
"""Seconds between two tries while the server cannot be reached."""

GONE = 410
"""HTTP status: the version that we knew is too old to go on from."""


class Watch:
    """All objects that a selection chooses, by ``namespace/name``.

    Made with a list method of an API client of kubernetes_asyncio and its arguments. Has the names
    by which KubeSpawner knows its reflectors: ``pods``, ``first_load_future``, ``stop``.
    """

    def __init__(
        self,
        list_method: Callable[..., Awaitable[Any]],
        log: Logger | LoggerAdapter[Any],
        **selection: str,
    ) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.heard = 0.0
        """When (``time.monotonic``) the server last answered; 0 if never."""
        self.first_load_future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Whoever waits hears of what went wrong in words of their own.
        self.first_load_future.add_done_callback(lambda f: f.cancelled() or f.exception())
        self._list_method = list_method
        self._selection = selection
        self._log = log
        self._what = f"{getattr(list_method, '__name__', 'objects')} {selection}"
        self._version: str | None = None
        self._listeners: dict[str | None, list[Callable[[], None]]] = defaultdict(list)
        self._task: asyncio.Task[None] | None = None
        self._unreachable_since: float | None = None

    @property
    def pods(self) -> dict[str, dict[str, Any]]:
        """``objects``, as KubeSpawner calls it."""
        return self.objects

    def start(self) -> None:
        """Begin; :meth:`loaded` tells when the copies are complete."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End; the copies stay as they are."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        if not self.first_load_future.done():
            self.first_load_future.cancel()

    async def loaded(self) -> None:
        """Wait until the copies are complete for the first time."""
        await asyncio.shield(self.first_load_future)

    @contextlib.contextmanager
    def listening(self, key: str | None, told: Callable[[], None]) -> Iterator[None]:
        """Call ``told`` whenever the object ``key`` changes; with None, whenever any does."""
        self._listeners[key].append(told)
        try:
            yield
        finally:
            self._listeners[key].remove(told)
            if not self._listeners[key]:
                del self._listeners[key]

    async def until(
        self, key: str, condition: Callable[[dict[str, Any] | None], Found | None]
    ) -> Found:
        """What ``condition`` says of the object ``key``, as soon as that is true."""
        changed = asyncio.Event()
        with self.listening(key, changed.set):
            while not (found := condition(self.objects.get(key))):
                await changed.wait()
                changed.clear()
            return found

    def knows_of(self, thing: Thing) -> bool:
        """Whether the copies are at least as new as ``thing``, an answer of the same server."""
        # Versions are documented as opaque, and as comparable numbers since Kubernetes 1.35; etcd's
        # always were.
        version, other = self._version or "", thing["metadata"]["resourceVersion"]
        return version.isdigit() and other.isdigit() and int(version) >= int(other)

    # -- Listing and watching ---------------------------------------------------------------------

    async def _run(self) -> None:
        pause = SHORTEST_PAUSE
        while True:
            begun = time.monotonic()
            try:
                if self._version is None:
                    await self._list()
                await self._stream(self._version)
                if time.monotonic() - begun < SHORTEST_PAUSE:
                    await asyncio.sleep(SHORTEST_PAUSE)
                continue
            except ApiException as error:
                if error.status == GONE:
                    self._version = None
                    self._log.info("watch of %s: listing anew", self._what)
                else:
                    self._failed(sentence_of(error))
            except (*UNREACHABLE, ValueError) as error:
                # A watch that the server did not end in time is one whose connection is dead.
                self._failed(sentence_of(error))
            except Exception:
                # Whatever it was, a hub without its copies would be worse.
                self._log.exception("watch of %s: listing anew", self._what)
                self._version = None
            pause = SHORTEST_PAUSE if self.heard > begun else min(2 * pause, LONGEST_PAUSE)
            await asyncio.sleep(random.uniform(pause / 2, pause))

    async def _list(self) -> None:
        """Everything there is, page by page; then those are told of that have changed."""
        objects: dict[str, dict[str, Any]] = {}
        following: dict[str, Any] = {}
        while True:
            answer = await self._list_method(
                **self._selection,
                **following,
                limit=PAGE,
                _preload_content=False,
                _request_timeout=STREAM_SECONDS + GRACE_SECONDS,
            )
            async with answer:
                body = await answer.read()
            if answer.status >= 300:
                raise refusal(answer, body)
            page = json.loads(body)
            self._reached()
            objects |= {_key(found): found for found in page["items"]}
            if not page["metadata"].get("continue"):
                break
            following = {"_continue": page["metadata"]["continue"]}
        before, self.objects = self.objects, objects
        self._version = page["metadata"]["resourceVersion"]
        for key in before.keys() | objects.keys():
            if before.get(key) != objects.get(key):
                self._tell(key)
        if not self.first_load_future.done():
            self.first_load_future.set_result(None)

    async def _stream(self, version: str | None) -> None:
        """Follow changes after ``version`` until the server ends the watch.

        Not by the client's own ``Watch``: that makes a new API client, TLS and all, each time.
        """
        answer = await self._list_method(
            **self._selection,
            watch=True,
            resource_version=version,
            allow_watch_bookmarks=True,
            timeout_seconds=STREAM_SECONDS,
            _preload_content=False,
            _request_timeout=STREAM_SECONDS + GRACE_SECONDS,
        )
        async with answer:
            if answer.status >= 300:
                raise refusal(answer, await answer.read())
            self._reached()
            while line := await answer.content.readline():
                self._reached()
                self._take(json.loads(line))

    def _take(self, change: Mapping[str, Any]) -> None:
        """One line of a watch."""
        found = change["object"]
        if change["type"] == "ERROR":
            raise ApiException(status=found.get("code"), reason=found.get("message"))
        self._version = found["metadata"]["resourceVersion"]
        if change["type"] == "BOOKMARK":
            return
        key = _key(found)
        if change["type"] == "DELETED":
            self.objects.pop(key, None)
        else:
            self.objects[key] = found
        self._tell(key)

    def _tell(self, key: str) -> None:
        for told in [*self._listeners.get(key, ()), *self._listeners.get(None, ())]:
            told()

    def _reached(self) -> None:
        self.heard = time.monotonic()
        if self._unreachable_since is not None:
            gap = self.heard - self._unreachable_since
            self._log.info("watch of %s: goes on after %.1f s", self._what, gap)
            self._unreachable_since = None

    def _failed(self, why: str) -> None:
        """One line for an outage, not one a try."""
        if self._unreachable_since is None:
            self._unreachable_since = time.monotonic()
            self._log.warning("watch of %s: %s; trying until it works", self._what, why)


def _key(found: Thing) -> str:
    return f"{found['metadata']['namespace']}/{found['metadata']['name']}"
