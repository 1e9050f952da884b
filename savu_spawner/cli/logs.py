"""``savu-spawner logs``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
from traitlets import Bool, Integer

from savu_spawner.cli.application import COMMON_ALIASES, WHO_ALIASES, Command, Misused
from savu_spawner.cli.cluster import REQUEST_SECONDS, Cluster
from savu_spawner.cluster import refusal, sentence_of

ALL_LINES = 100


class Logs(Command):
    """Prints what the containers of a session write: web, gate, api, dataserver.

    With a container's name that one alone. -f goes on until the session ends.
    """

    name = "savu-spawner logs"
    description = __doc__
    examples = """
        savu-spawner logs
        savu-spawner logs api -f
    """
    words = 1
    aliases: dict[Any, Any] = {  # noqa: RUF012
        **COMMON_ALIASES,
        **WHO_ALIASES,
        "tail": "Logs.tail",
    }
    flags: dict[Any, Any] = {  # noqa: RUF012
        ("f", "follow"): ({"Logs": {"follow": True}}, "Go on until the session ends."),
    }

    follow = Bool(False, help="Go on until the session ends.").tag(config=True)
    tail = Integer(ALL_LINES, min=0, help="How many of the last lines of each.").tag(config=True)

    async def run(self) -> int:
        cluster = self.cluster()
        pod = await cluster.session(self.user, self.uid, self.server)
        names = [
            container["name"]
            for kind in ("initContainers", "containers")
            for container in pod["spec"].get(kind) or []
        ]
        if self.extra_args:
            (asked,) = self.extra_args
            if asked not in names:
                raise Misused(f"The session has no container {asked}; it has {', '.join(names)}.")
            names = [asked]
        marked = len(names) > 1
        if self.follow:
            await asyncio.gather(*(self.show(cluster, pod, name, marked) for name in names))
            return 0
        for name in names:
            await self.show(cluster, pod, name, marked)
        return 0

    async def show(self, cluster: Cluster, pod: Mapping[str, Any], name: str, marked: bool) -> None:
        """Print what one container has written, or as it writes it."""
        async for line in lines(cluster, pod, name, self.tail, follow=self.follow):
            print(f"{name} | {line}" if marked else line, flush=True)


async def lines(
    cluster: Cluster, pod: Mapping[str, Any], container: str, tail: int, *, follow: bool
) -> AsyncIterator[str]:
    """A container's last lines, then with ``follow`` each new one until it ends."""
    answer = await cluster.api.read_namespaced_pod_log(
        pod["metadata"]["name"],
        cluster.namespace,
        container=container,
        follow=follow,
        tail_lines=tail,
        _preload_content=False,
        _request_timeout=aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS),
    )
    async with answer:
        if answer.status >= 400:
            # It has not run yet: the API server's own words say what it waits for.
            yield f"({sentence_of(refusal(answer, await answer.read()))})"
            return
        async for line in answer.content:
            yield line.decode("utf-8", "replace").rstrip("\n")
