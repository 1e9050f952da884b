"""``savu-spawner url``."""

from __future__ import annotations

from typing import Any

from traitlets import Bool

from savu_spawner.cli.application import WHO_ALIASES, WITH_FILE, Command
from savu_spawner.cli.reach import token
from savu_spawner.cli.start import print_way


class Url(Command):
    """Prints a fresh link to a session that `start` has started.

    A link lets one browser in, once, and is good for two minutes. With --token a token for scripts,
    which is good until the session ends and is sent as a header:

        curl -H "Authorization: Bearer $(savu-spawner url --token)" ADDRESS/api/session

    Without --user or --uid for the only session that there is. The exit status is 4 if there is
    none, or there are several.
    """

    name = "savu-spawner url"
    description = __doc__
    aliases: dict[Any, Any] = {**WITH_FILE, **WHO_ALIASES}  # noqa: RUF012
    flags: dict[Any, Any] = {  # noqa: RUF012
        "token": ({"Url": {"token": True}}, "Print a token for scripts instead of a link."),
    }

    token = Bool(False, help="Print a token for scripts.").tag(config=True)

    async def run(self) -> int:
        cluster = self.cluster()
        pod = await cluster.session(self.user, self.uid, self.server)
        if self.token:
            print(await token(cluster, pod))
        else:
            await print_way(cluster, pod)
        return 0
