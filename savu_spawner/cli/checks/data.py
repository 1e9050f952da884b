"""Whether the data is there, and what a user may do with it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from savu_spawner.cli.checks.finding import Finding
from savu_spawner.identity import Identity


def check_data_roots(
    roots: Iterable[str], identity: Identity | None, *, on_this_machine: bool
) -> Iterator[Finding]:
    """Whether the folders are there, and what the user may do in them."""
    roots = list(roots)
    if not roots:
        yield Finding("FAIL", "data: no folder is configured", "set data_roots")
    for root in roots:
        if not Path(root).is_dir():
            if on_this_machine:
                yield Finding("FAIL", f"data: {root} is not a folder", "look at data_roots")
            else:
                yield Finding("note", f"data: {root} is not on this machine: not looked at")
        elif identity is None:
            yield Finding("ok", f"data: {root} is there")
        else:
            yield _access(root, identity)


def _access(root: str, identity: Identity) -> Finding:
    """What the kernel lets this user do in a folder, access control lists and all."""
    become: dict[str, Any] = {}
    if os.geteuid() == 0:
        become = {
            "user": identity.uid,
            "group": identity.group.gid,
            "extra_groups": list(identity.gids),
        }
    elif os.geteuid() != identity.uid:
        return Finding(
            "note", f"data: {root} is there; as root this could see what the user may do"
        )
    can = [
        word
        for word, test in (("read", '-r "$1" -a -x "$1"'), ("write", '-w "$1"'))
        if subprocess.run(
            ["/bin/sh", "-c", f"test {test}", "check", root], cwd="/", **become
        ).returncode
        == 0
    ]
    if "read" not in can:
        return Finding(
            "FAIL",
            f"data: {identity.name} may not read {root}",
            "look at the owner, groups and mode of it and of the folders above",
        )
    return Finding("ok", f"data: {identity.name} may {' and '.join(can)} {root} itself")
