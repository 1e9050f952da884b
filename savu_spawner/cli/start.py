"""``savu-spawner start``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
from kubernetes_asyncio.client.rest import ApiException
from traitlets import Bool

from savu_spawner.cli.application import (
    DIFFERS,
    WHO_ALIASES,
    WITH_FILE,
    told,
)
from savu_spawner.cli.cluster import Cluster, Following, described
from savu_spawner.cli.description import (
    PREFIX,
    SAMPLE_CONTAINER,
    SessionCommand,
    SessionDescription,
    differences,
)
from savu_spawner.cli.reach import fresh_link, way_to
from savu_spawner.cli.who import chosen_identity
from savu_spawner.contract import DESCRIPTIONS, LINK_SECONDS
from savu_spawner.diagnosis import is_ready, not_ready, said_of, start_failure
from savu_spawner.errors import SessionFailed
from savu_spawner.pod.labels import SERVERNAME, USERNAME, Owner, owner_of, stranger
from savu_spawner.pod.volumes import LINK_KEY_VOLUME


class Start(SessionCommand):
    """Starts a session as a pod, without a hub, and prints a link to it.

    The pod is the one that a hub with this configuration would start, with a service that opens a
    port for it on the cluster's machines. The link lets one browser in, once, and is good for two
    minutes; `savu-spawner url` prints another. Without a configuration the session shows a sample
    scan that it generates, which ends with it; --data shows a folder instead.

    The session is that of a user of the directory (--user), or of an account of this machine
    (--uid). A session that is there already is not started twice: its link is printed, or what
    of it differs from what was asked for.

    The exit status is 0 if the session runs as asked for, 1 if it failed or was refused, 2 for
    options that cannot be, 3 if a session runs that differs, 69 if the cluster refuses, 78 if the
    configuration cannot be read.
    """

    name = "savu-spawner start"
    description = __doc__
    examples = """
        savu-spawner start --uid $(id -u)
        savu-spawner start --user yco10151 --config jupyterhub_config.py
        savu-spawner start --uid $(id -u) --data /dls/tmp --image api=localhost/savu-api:mine
    """
    aliases: dict[Any, Any] = {  # noqa: RUF012
        **WITH_FILE,
        **WHO_ALIASES,
        "gid": "Command.gid",
        "data": "SessionCommand.data",
        "image": "SessionCommand.image",
    }
    flags: dict[Any, Any] = {  # noqa: RUF012
        "allow-uid": (
            {"Command": {"allow_uid": True}},
            "Accept a user ID of a system account (below 1000).",
        ),
        "replace": (
            {"Start": {"replace": True}},
            "End a session that runs and differs, and start this one.",
        ),
        "keep": (
            {"Start": {"keep": True}},
            "Leave a pod that does not become ready, to look at it with kubectl.",
        ),
    }

    replace = Bool(False, help="End a session that runs and differs.").tag(config=True)
    keep = Bool(False, help="Leave a pod that does not become ready.").tag(config=True)

    async def run(self) -> int:
        self.load_pods()
        identity = await chosen_identity(self)
        session = await self.describe(identity)
        cluster = Cluster(session.spawner.api, session.spawner.namespace)
        there = await cluster.pods.read(session.name)
        if there is not None:
            check_ours(there)
            session = await self.describe(identity, there["metadata"]["annotations"].get(PREFIX))
            differing = differences(there, session.pod()) or over(there)
            if not differing:
                told(f"The session of {described(there)} is there already.")
                return await self.finish(cluster, there, session.spawner.start_timeout)
            if not self.replace:
                told(f"A session of {described(there)} runs, and differs:")
                for line in differing:
                    told(f"  {line}")
                return told("--replace ends it and starts this one.", DIFFERS)
            told(f"Ending the session of {described(there)}, which differs…")
            await cluster.remove(there)
            session = await self.describe(identity)
        return await self.make(cluster, session)

    async def make(self, cluster: Cluster, session: SessionDescription) -> int:
        """Create it and follow it until it is ready; nothing is left if it does not become so."""
        who = session.identity
        groups = ", ".join(group.name for group in who.groups) or "no further groups"
        told(
            f"Starting a session of {who.display_name} (user ID {who.uid}, group {who.group.name},"
            f" {groups}) in namespace {cluster.namespace}."
        )
        # The pod first: what it owns goes with it, whatever happens to this command.
        pod = await cluster.pods.create(session.pod())
        try:
            for create, thing in (
                (cluster.api.create_namespaced_secret, session.secret(pod)),
                (cluster.api.create_namespaced_service, session.service(pod)),
            ):
                await create(cluster.namespace, thing)
            return await self.finish(cluster, pod, session.spawner.start_timeout)
        except BaseException as error:
            if isinstance(error, SessionFailed):
                await tell_details(cluster, pod)
            if not self.keep:
                told("Removing it.")
                await cluster.remove(pod)
            raise

    async def finish(self, cluster: Cluster, pod: Mapping[str, Any], seconds: float) -> int:
        """Wait until it is ready, and print how to come in.

        Raises:
            SessionFailed: it will not become ready, or did not within ``seconds``.
        """
        async with cluster.following(pod) as following:
            try:
                async with asyncio.timeout(seconds):
                    ready = await until_ready(following)
            except TimeoutError:
                missing = ", ".join(DESCRIPTIONS[each] for each in not_ready(following.pod))
                raise SessionFailed(
                    f"The session was not ready within {seconds:.0f} seconds; missing: {missing}."
                ) from None
        await print_way(cluster, ready)
        return 0


def check_ours(pod: Mapping[str, Any]) -> None:
    """Do nothing for a pod that this command may replace.

    Raises:
        SessionFailed: somebody else made it.
    """
    if owner_of(pod) is None or stranger(pod, Owner(*_of(pod), None)):
        name = pod["metadata"]["name"]
        raise SessionFailed(f"There is a pod {name} that this command did not make: it is left.")


def over(pod: Mapping[str, Any]) -> list[str]:
    """Why a pod that is as asked for is of no use, if it is not."""
    failure = start_failure(pod, [])
    return [failure.sentence] if failure else []


async def until_ready(following: Following) -> Mapping[str, Any]:
    """The pod once it is ready; says what happens until then.

    Raises:
        SessionFailed: it will not become ready.
    """
    said: set[str] = set()
    percent = 0
    while True:
        pod = following.pod
        if pod is None:
            raise SessionFailed("The session's pod is gone: somebody deleted it.")
        events = [event for event in following.events if not is_about_key(event)]
        for reached, words in (*sample_said(pod), *said_of(pod, events)):
            if words not in said:
                said.add(words)
                percent = max(percent, reached)
                told(f"{percent:>4} %  {words}")
        if is_ready(pod):
            return pod
        if failure := start_failure(pod, events):
            raise SessionFailed(
                failure.sentence, log_message=f"{failure.sentence} ({failure.details})"
            )
        await following.change()


def is_about_key(event: Mapping[str, Any]) -> bool:
    """A machine looked for the key in the moment between the pod and its Secret; it looks again."""
    return f'volume "{LINK_KEY_VOLUME}"' in str(event.get("message"))


def sample_said(pod: Mapping[str, Any]) -> list[tuple[int, str]]:
    """What the generation of the sample has come to."""
    for status in pod["status"].get("initContainerStatuses") or []:
        if status["name"] == SAMPLE_CONTAINER and "running" in (status.get("state") or {}):
            return [(38, "Generating the sample scan…")]
    return []


async def print_way(cluster: Cluster, pod: Mapping[str, Any]) -> None:
    """The link alone on standard output; what else there is to know beside it."""
    way = await way_to(cluster, pod)
    if way.forward:
        told("The session is ready, and its port on the machine cannot be reached from here. Run")
        told(f"    {way.forward}")
        told("in another terminal, and then open:")
    else:
        told("The session is ready. Open:")
    print(way.base + await fresh_link(cluster, pod), flush=True)
    told(f"(once, within {LINK_SECONDS} seconds; “savu-spawner url” prints a fresh link)")


async def tell_details(cluster: Cluster, pod: Mapping[str, Any]) -> None:
    """What a developer wants to see of a pod that failed, before it is removed."""
    try:
        for event in await cluster.events(pod):
            if event.get("type") == "Warning":
                told(f"  event {event.get('reason')}: {event.get('message')}")
        containers = pod["spec"].get("initContainers", []) + pod["spec"]["containers"]
        for container in containers:
            for line in await cluster.pods.last_lines(pod["metadata"]["name"], container["name"]):
                told(f"  {container['name']} | {line}")
    except (ApiException, aiohttp.ClientError, TimeoutError) as error:
        told(f"  (no more is known: {error})")


def _of(pod: Mapping[str, Any]) -> tuple[str, str]:
    annotations = pod["metadata"].get("annotations") or {}
    return annotations.get(USERNAME, ""), annotations.get(SERVERNAME, "")
