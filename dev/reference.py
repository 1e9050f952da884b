"""Writes ``docs/reference/configuration.md`` from the traits' own help.

python dev/reference.py            write it
python dev/reference.py --check    fail if it is not what the help says
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from traitlets import HasTraits, TraitType
from traitlets.config import Configurable

from savu_spawner.authenticator import DirectoryAuthenticator
from savu_spawner.caretaker.application import Caretaker
from savu_spawner.directory import LdapDirectory
from savu_spawner.identity import AccountPolicy
from savu_spawner.local import LocalSavuSpawner
from savu_spawner.spawner import SavuSpawner

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "configuration.md"

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


def main() -> int:
    if "--check" in sys.argv:
        if PAGE.read_text() == page():
            return 0
        print(f"{PAGE} is not what the help says: run python dev/reference.py", file=sys.stderr)
        return 1
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
