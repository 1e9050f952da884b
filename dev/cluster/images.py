"""Images from nothing but files, as archives that containerd, Docker and Podman load."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def write_image(
    archive: Path, name: str, files: Mapping[str, Path], command: Sequence[str], user: str = ""
) -> Path:
    """Write a docker-archive of an image FROM scratch with one layer.

    Args:
        archive: the tar file to write.
        name: with a tag, such as ``localhost/pause:1``.
        files: path in the image → file of this machine; each is made executable.
        command: the entry point.
        user: ``UID[:GID]``; root if empty.
    """
    layer = _tar({path.lstrip("/"): file.read_bytes() for path, file in files.items()}, 0o755)
    digest = hashlib.sha256(layer).hexdigest()
    settings = {
        "architecture": _architecture(),
        "os": "linux",
        "config": {"Entrypoint": list(command), "User": user},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    members = {
        "config.json": json.dumps(settings).encode(),
        "layer.tar": layer,
        "manifest.json": json.dumps(manifest).encode(),
    }
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(_tar(members, 0o644))
    return archive


def _tar(members: Mapping[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _architecture() -> str:
    """Go's name of this machine's."""
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
