"""``savu-spawner manifest``."""

from __future__ import annotations

from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]
from jupyterhub.utils import maybe_future
from traitlets import Bool

from savu_spawner.cli.application import WHO_ALIASES, WITH_FILE, Misused
from savu_spawner.cli.cluster import Object
from savu_spawner.cli.description import SessionCommand
from savu_spawner.cli.who import chosen_identity, configured_directory, configured_policy
from savu_spawner.cluster import serialized
from savu_spawner.contract import HUB_VARIABLES


class Manifest(SessionCommand):
    """What `start` would create, as YAML for `kubectl apply -f -`; nothing is started.

    A Secret with a new key, the pod, and its service; `savu-spawner url`, `status` and `stop` know
    a session that was applied like one that was started. With --as-hub the pod alone, as the hub
    would send it: what JupyterHub gives to the gate when it starts a session (its token among it)
    is left out, so that its gate lets nobody in.
    """

    name = "savu-spawner manifest"
    description = __doc__
    examples = """
        savu-spawner manifest --uid $(id -u) | kubectl apply -f -
        savu-spawner manifest --user yco10151 --as-hub | kubectl apply --dry-run=server -f -
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
        "as-hub": ({"Manifest": {"as_hub": True}}, "The pod as the hub would send it."),
    }

    as_hub = Bool(False, help="The pod as the hub would send it.").tag(config=True)

    async def run(self) -> int:
        spawner_class = self.load_pods()
        if self.as_hub:
            if not self.user:
                raise Misused("Whose pod? The hub's are of users of the directory: --user NAME.")
            spawner = self.spawner(spawner_class, self.user, self.server)
            spawner.directory = configured_directory(self.hub_config)
            spawner.policy = configured_policy(self.hub_config)
            try:
                await spawner.load_user_options()
            finally:
                await spawner.directory.close()
            pod = await spawner.get_pod_manifest()
            if spawner.modify_pod_hook:
                pod = await maybe_future(spawner.modify_pod_hook(spawner, pod))
            print(as_yaml(without_hub_variables(serialized(pod))), end="")
            return 0
        session = await self.describe(await chosen_identity(self))
        print(as_yaml(session.secret(), session.pod(), session.service()), end="")
        return 0


def as_yaml(*things: Object) -> str:
    """One document each."""
    text: str = yaml.safe_dump_all(things, sort_keys=False)
    return text


def without_hub_variables(pod: Object) -> Object:
    """``pod`` without what only a running hub can know."""
    for container in pod["spec"]["containers"]:
        container["env"] = [
            variable
            for variable in container.get("env", [])
            if not variable["name"].startswith(HUB_VARIABLES)
        ]
    return pod
