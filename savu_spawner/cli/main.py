"""The application whose sub-commands the others are."""

from __future__ import annotations

import sys
from typing import Any

from traitlets.config import Application

from savu_spawner._version import __version__
from savu_spawner.cli.application import USAGE, Command, Misused, command_first, told
from savu_spawner.cli.check import Check
from savu_spawner.cli.logs import Logs
from savu_spawner.cli.manifest import Manifest
from savu_spawner.cli.start import Start
from savu_spawner.cli.status import Status
from savu_spawner.cli.stop import Stop
from savu_spawner.cli.url import Url

COMMANDS: dict[str, tuple[type[Command], str]] = {
    "start": (Start, "Start a session as a pod, and print a link to it."),
    "stop": (Stop, "End a session; nothing of it is left."),
    "status": (Status, "The sessions that were started here."),
    "logs": (Logs, "What a session's containers write."),
    "url": (Url, "A fresh link to a session, or a token for scripts."),
    "manifest": (Manifest, "What start would create, as YAML for kubectl."),
    "check": (Check, "Whether sessions could be started: cluster, directory, a user, data."),
}


class SavuSpawnerApplication(Application):
    """Starts and stops sessions of Savu on a cluster without a hub, and checks a hub's set-up."""

    name = "savu-spawner"
    version = __version__
    description = __doc__
    subcommands: dict[str, Any] = COMMANDS

    def parse_command_line(self, argv: list[str] | None = None) -> None:
        given = list(sys.argv[1:] if argv is None else argv)
        try:
            super().parse_command_line(command_first(given, list(COMMANDS)))
        except Misused as error:
            sys.exit(told(str(error), USAGE))

    def start(self) -> None:
        """Run the subcommand; without one say what there is, and fail."""
        if self.subapp is None:
            if self.extra_args:
                told(f"There is no command {self.extra_args[0]}.")
            self.print_help()
            sys.exit(USAGE)
        self.subapp.start()


def main() -> None:
    """Run as a program."""
    SavuSpawnerApplication.launch_instance()
