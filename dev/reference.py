"""Writes ``configuration.md`` and ``command-line.md`` of the reference from their own help.

python dev/reference.py            write it
python dev/reference.py --check    fail if it is not what the help says
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from traitlets import HasTraits, TraitType
from traitlets.config import Configurable

from savu_spawner.authenticator import DirectoryAuthenticator
from savu_spawner.caretaker.application import Caretaker
from savu_spawner.cli.application import Command
from savu_spawner.cli.main import COMMANDS
from savu_spawner.directory import LdapDirectory
from savu_spawner.identity import AccountPolicy
from savu_spawner.local import LocalSavuSpawner
from savu_spawner.spawner import SavuSpawner

REFERENCE = Path(__file__).resolve().parent.parent / "docs" / "reference"
PAGE = REFERENCE / "configuration.md"
COMMAND_PAGE = REFERENCE / "command-line.md"

CLASSES: tuple[type[Configurable], ...] = (
    LdapDirectory,
    AccountPolicy,
    DirectoryAuthenticator,
    LocalSavuSpawner,
    SavuSpawner,
    Caretaker,
)

HEAD = """# Configuration

Every option that savu-spawner adds to `jupyterhub_config.py`, from the options' own help
(`python dev/reference.py` writes this page). JupyterHub's and KubeSpawner's own options keep their
meaning unless a page of this documentation says otherwise.
"""


def own_traits(cls: type[HasTraits]) -> dict[str, TraitType]:
    """Configurable traits that are defined in this package."""
    traits = {}
    for name, trait in sorted(cls.class_traits(config=True).items()):
        owner = next(base for base in cls.__mro__ if name in vars(base))
        if owner.__module__.startswith("savu_spawner"):
            traits[name] = trait
    return traits


def page() -> str:
    """The whole page, in Markdown."""
    parts = [HEAD]
    for cls in CLASSES:
        parts.append(f"## {cls.__name__}\n\n{inspect.getdoc(cls)}\n")
        for name, trait in own_traits(cls).items():
            parts.append(
                f"### c.{cls.__name__}.{name}\n\n{trait.info()}; default"
                f" `{trait.default_value_repr()}`\n\n{inspect.cleandoc(trait.help)}\n"
            )
    return "\n".join(parts)


COMMAND_HEAD = """# Command line

`savu-spawner` starts and stops sessions as pods without a hub, and looks at a hub's configuration
without running the hub; from the commands' own help (`python dev/reference.py` writes this page).
Options may stand before the command or after it. The cluster is the one that `KUBECONFIG` names,
or the one that the command runs in.
"""


def command_page() -> str:
    """The page about the commands, in Markdown."""
    parts = [COMMAND_HEAD]
    for name, (command, _) in COMMANDS.items():
        parts.append(f"## {name}\n\n{inspect.getdoc(command)}\n")
        # Without any, the attribute is still the trait.
        if isinstance(command.examples, str):
            examples = inspect.cleandoc(command.examples)
            parts.append(f"```\n{examples}\n```\n")
        options = [_flag(names, *flag) for names, flag in command.flags.items()]
        options += [_alias(command, names, place) for names, place in command.aliases.items()]
        own = [option for option in options if option]
        parts.append("| option | |\n|---|---|\n" + "\n".join(own) + "\n")
    return "\n".join(parts)


def _flag(names: str | tuple[str, ...], config: dict[str, Any], text: str) -> str:
    if "Application" in config:
        return ""  # every application has these
    return f"| {_spelled(names)} | {text} |"


def _alias(command: type[Command], names: str | tuple[str, ...], place: str) -> str:
    if place.startswith("Application."):
        return ""
    trait = command.class_traits()[place.partition(".")[2]]
    words = " ".join(inspect.cleandoc(trait.help).split())
    return f"| {_spelled(names)} *{_kind(trait)}* | {words} |"


def _kind(trait: TraitType) -> str:
    kinds = {"Int": "number", "Dict": "NAME=REF"}
    return kinds.get(type(trait).__name__, "text")


def _spelled(names: str | tuple[str, ...]) -> str:
    each = (names,) if isinstance(names, str) else names
    return ", ".join(f"`-{name}`" if len(name) == 1 else f"`--{name}`" for name in each)


PAGES: dict[Path, Callable[[], str]] = {PAGE: page, COMMAND_PAGE: command_page}


def main() -> int:
    wrong = [
        path for path, made in PAGES.items() if not path.exists() or path.read_text() != made()
    ]
    if "--check" in sys.argv:
        for path in wrong:
            print(f"{path} is not what the help says: run python dev/reference.py", file=sys.stderr)
        return 1 if wrong else 0
    for path in wrong:
        path.write_text(PAGES[path]())
    return 0


if __name__ == "__main__":
    sys.exit(main())
