"""Volumes of a session's pod, each together with who sees it, and where.

========================  ===  ====  ===  ==========
volume                    web  gate  api  dataserver
========================  ===  ====  ===  ==========
gate-socket               ro   rw
api-socket                ro   ro    rw
dataserver-socket         ro              rw
web-run                   rw
api-home, api-tmp                    rw
dataserver-home, -tmp                     rw
accounts (passwd, group)             ro   ro
data                                 rw   ro
link-key (without a hub)       ro
========================  ===  ====  ===  ==========

Whoever only connects to a socket sees its directory read-only: the one end that listens is the
only one that can put a socket there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from savu_spawner.contract import SOCKET_ENDS, USER_PROGRAMS, Program
from savu_spawner.environment import Places
from savu_spawner.pod.accounts import GROUP_ANNOTATION, PASSWD_ANNOTATION
from savu_spawner.pod.settings import DataVolume, PodSettings

RUN_DIR = "/run/savu"
LINK_KEY_DIR = "/run/secrets/savu"
LINK_KEY_VOLUME = "link-key"
LINK_KEY = "key"
"""Key in the Secret, and file name."""
HOME = "/home/savu"
TEMPORARY = "/tmp"


@dataclass(frozen=True)
class MountedVolume:
    """A volume of the pod and its mounts, built together so that neither is forgotten."""

    volume: Mapping[str, Any]
    mounts: Mapping[Program, tuple[Mapping[str, Any], ...]]


def socket_path(program: Program) -> str:
    """Where ``program`` listens."""
    return f"{RUN_DIR}/{program}/{program}.sock"


def places(settings: PodSettings, health_port: int) -> Places:
    """Where the programs listen and write in a pod."""
    foreign = settings.foreign_programs
    return Places(
        sockets={
            program: f"127.0.0.1:{foreign[program]}"
            if program in foreign
            else f"unix:{socket_path(program)}"
            for program in SOCKET_ENDS
        },
        foreign=tuple(sorted(foreign)),
        web_listen=str(settings.web_port),
        web_health_listen=str(health_port),
        web_run_dir=f"{RUN_DIR}/web",
        state_dir=settings.state_dir or f"{HOME}/.local/state/savu",
        home=HOME,
        temporary=TEMPORARY,
        link_key_file=f"{LINK_KEY_DIR}/{LINK_KEY}" if settings.link_key_secret else "",
    )


def mounted_volumes(settings: PodSettings) -> list[MountedVolume]:
    """All volumes of a session's pod.

    Raises:
        ValueError: two data volumes have the same mount path.
    """
    volumes = [_socket(program) for program in SOCKET_ENDS]
    volumes.append(_writable("web-run", "web", f"{RUN_DIR}/web"))
    for program in USER_PROGRAMS:
        volumes.append(_writable(f"{program}-home", program, HOME))
        volumes.append(_writable(f"{program}-tmp", program, TEMPORARY))
    if settings.run_as == "user":
        volumes.append(_accounts())
    if settings.link_key_secret:
        volumes.append(_link_key(settings.link_key_secret))
    names = [volume.name for volume in settings.data_volumes]
    if len(set(names)) != len(names):
        raise ValueError("two data volumes have the same mount path")
    return volumes + [_data(volume) for volume in settings.data_volumes]


def _socket(program: Program) -> MountedVolume:
    name = f"{program}-socket"
    mounts = {}
    for end in sorted(SOCKET_ENDS[program]):
        mount: dict[str, Any] = {"name": name, "mountPath": f"{RUN_DIR}/{program}"}
        if end != program:
            mount["readOnly"] = True
        mounts[end] = (mount,)
    # In memory and tiny: nothing is stored here, and what api fills counts as its own memory.
    return MountedVolume(
        {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}, mounts
    )


def _writable(name: str, program: Program, path: str) -> MountedVolume:
    return MountedVolume(
        {"name": name, "emptyDir": {}}, {program: ({"name": name, "mountPath": path},)}
    )


def _accounts() -> MountedVolume:
    files = {"passwd": PASSWD_ANNOTATION, "group": GROUP_ANNOTATION}
    items = [
        {"path": path, "fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}
        for path, annotation in files.items()
    ]
    mounts = tuple(
        {"name": "accounts", "mountPath": f"/etc/{path}", "subPath": path, "readOnly": True}
        for path in files
    )
    return MountedVolume(
        {"name": "accounts", "downwardAPI": {"items": items}},
        dict.fromkeys(USER_PROGRAMS, mounts),
    )


def _link_key(secret: str) -> MountedVolume:
    mount = {"name": LINK_KEY_VOLUME, "mountPath": LINK_KEY_DIR, "readOnly": True}
    volume = {"name": LINK_KEY_VOLUME, "secret": {"secretName": secret}}
    return MountedVolume(volume, {"gate": (mount,)})


def _data(volume: DataVolume) -> MountedVolume:
    mount: dict[str, Any] = {"name": volume.name, "mountPath": volume.mount_path}
    if volume.sub_path:
        mount["subPath"] = volume.sub_path
    read_only = mount | {"readOnly": True}
    if volume.mount_propagation:
        # Kubernetes refuses recursiveReadOnly beside propagation: what the machine mounts below
        # the path later is read-only in dataserver by the file system's permissions alone.
        mount["mountPropagation"] = volume.mount_propagation
        read_only["mountPropagation"] = volume.mount_propagation
    else:
        read_only["recursiveReadOnly"] = "IfPossible"
    return MountedVolume(
        {"name": volume.name, **volume.source}, {"api": (mount,), "dataserver": (read_only,)}
    )
