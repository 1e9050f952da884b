"""What a site decides about the pods of sessions, as values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from savu_spawner.contract import WEB_PORT, Program
from savu_spawner.pod.labels import DEFAULT_HUB_ID

RunAs = Literal["user", "image"]


@dataclass(frozen=True)
class ContainerSettings:
    """One program's image, and how much of a machine it gets."""

    image: str
    resources: Mapping[str, Any] = field(default_factory=dict)
    """Kubernetes' ``requests`` and ``limits``."""
    pull_policy: str = ""


@dataclass(frozen=True)
class DataVolume:
    """Data of the facility, at the facility's own path."""

    mount_path: str
    source: Mapping[str, Any]
    """A Kubernetes volume without its name: ``{"hostPath": {"path": "/dls"}}``."""
    mount_propagation: str = ""
    """``HostToContainer`` where the machine mounts parts of the tree later (automounter)."""
    sub_path: str = ""

    @classmethod
    def parse(cls, described: Mapping[str, Any]) -> DataVolume:
        """From ``{"mountPath", "volume", "mountPropagation"?, "subPath"?}``.

        Raises:
            ValueError: a key is unknown or missing, or the path is not absolute.
        """
        unknown = described.keys() - {"mountPath", "volume", "mountPropagation", "subPath"}
        if unknown:
            raise ValueError(f"a data volume has no setting {', '.join(sorted(unknown))}")
        path = described.get("mountPath", "")
        if not isinstance(path, str) or not path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"mountPath of a data volume is not an absolute path: {path!r}")
        source = described.get("volume")
        if not isinstance(source, Mapping) or len(source) != 1:
            raise ValueError(
                f"volume of the data volume at {path} is not one Kubernetes volume source, such as"
                ' {"persistentVolumeClaim": {"claimName": "data"}}'
            )
        return cls(
            mount_path=path.rstrip("/") or "/",
            source=source,
            mount_propagation=described.get("mountPropagation", ""),
            sub_path=described.get("subPath", ""),
        )

    @property
    def name(self) -> str:
        """A name for the volume that Kubernetes takes: ``data-dls-tmp``."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.mount_path.lower()).strip("-")
        return f"data-{slug}"[:63].rstrip("-")

    def holds(self, path: str) -> bool:
        """Whether ``path`` is this volume's mount path or below it."""
        return path == self.mount_path or path.startswith(self.mount_path.rstrip("/") + "/")


@dataclass(frozen=True)
class PodSettings:
    """Everything about the pod that is the same for every user of a site."""

    containers: Mapping[Program, ContainerSettings]
    data_volumes: tuple[DataVolume, ...]
    service_uid: int
    """Of web and gate: nobody's."""
    service_gid: int
    run_as: RunAs = "user"
    """``user``: every process has the user's identity from its start. ``image``: api and
    dataserver start as root, and their images take the identity that PUID and PGID say."""
    supplemental_groups_policy: str = ""
    """``Strict`` where the machines support it; empty leaves it to Kubernetes (``Merge``)."""
    state_dir: str = ""
    """Where api keeps the list of jobs; empty: in the pod, lost with it."""
    web_port: int = WEB_PORT
    hub_id: str | None = DEFAULT_HUB_ID
    """Whose pod it is, in its labels; None: the command line's, which no hub touches."""
    foreign_programs: Mapping[Program, int] = field(default_factory=dict)
    """TCP port of each program whose image is not ours."""
    link_key_secret: str = ""
    """Secret with the key of links, for a session without a hub; empty where there is one."""
