"""What sessions on the hub's own machine need of it."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator

from savu_spawner.cli.checks.finding import Finding, need
from savu_spawner.contract import PACKAGES, PROGRAMS
from savu_spawner.local import LocalSavuSpawner
from savu_spawner.local_session import Account
from savu_spawner.session import SessionSpawner

SYSTEM_PROGRAMS = "/usr/local/sbin:/usr/sbin:/sbin"


def check_local(spawner: LocalSavuSpawner) -> Iterator[Finding]:
    """What sessions on this machine need of it."""
    for program in PROGRAMS:
        command = spawner.program_commands.get(program)
        if command:
            found, what = bool(shutil.which(command[0])), command[0]
        else:
            what = PACKAGES[program]
            found = importlib.util.find_spec(what) is not None
        yield need(found, f"program {program}: {what}", f"install {what} beside this package")
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:{SYSTEM_PROGRAMS}")
    yield need(bool(nginx), f"nginx: {nginx or 'not found'}", "apt install nginx-light")
    yield from check_savu(spawner, "c.LocalSavuSpawner.savu_python")
    if os.geteuid() != 0:
        yield need(
            spawner.allow_shared_identity,
            "identity: the hub is not root, sessions run as its own user",
            "run the hub as root, or set c.LocalSavuSpawner.allow_shared_identity to try it out",
        )
        return
    try:
        Account.parse(spawner.service_account)
    except ValueError as error:
        yield Finding(
            "FAIL",
            f"c.LocalSavuSpawner.service_account: {error}",
            "make one: useradd --system --no-create-home savu-web",
        )
    else:
        yield Finding("ok", f"web and gate run as {spawner.service_account}")


def check_savu(spawner: SessionSpawner, trait: str) -> Iterator[Finding]:
    """Whether Savu's interpreter is there, if its engine is offered."""
    if "savu" in spawner.engines:
        python = spawner.savu_python
        found = bool(python) and os.access(python, os.X_OK)
        yield need(found, f"engine savu: {python or 'no interpreter'}", f"set {trait}")
