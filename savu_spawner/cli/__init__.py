"""``savu-spawner``: sessions from a terminal, and a hub's configuration without its hub.

One module a command; ``application`` has what they share, ``configuration`` makes a spawner of a
hub's file, ``who`` decides whom a session runs as, ``description`` what it consists of, ``cluster``
and ``reach`` speak to Kubernetes, ``checks`` is what ``check`` looks at.
"""

from savu_spawner.cli.configuration import (
    Misconfigured,
    configured_spawner,
    read_configuration,
    spawner_without_hub,
)
from savu_spawner.cli.main import COMMANDS, SavuSpawnerApplication, main

__all__ = [
    "COMMANDS",
    "Misconfigured",
    "SavuSpawnerApplication",
    "configured_spawner",
    "main",
    "read_configuration",
    "spawner_without_hub",
]
