"""``savu-spawner stop``."""

from __future__ import annotations

from typing import Any

from savu_spawner.cli.application import WHO_ALIASES, WITH_FILE, Command, told
from savu_spawner.cli.cluster import described


class Stop(Command):
    """Ends a session that `start` has started, and waits until nothing of it is left.

    Without --user or --uid the only one that there is. The exit status is 0 if it is gone, 4 if
    there was none, or several.
    """

    name = "savu-spawner stop"
    description = __doc__
    examples = """
        savu-spawner stop
        savu-spawner stop --uid $(id -u)
    """
    aliases: dict[Any, Any] = {**WITH_FILE, **WHO_ALIASES}  # noqa: RUF012

    async def run(self) -> int:
        cluster = self.cluster()
        pod = await cluster.session(self.user, self.uid, self.server)
        told(f"Ending the session of {described(pod)}…")
        await cluster.remove(pod)
        return told("It has ended; nothing of it is left.")
