"""Several images in one file, each layer once: they share most of what they are made of."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path


def write_archive(images: Mapping[str, Path], archive: Path) -> None:
    """A docker-archive, which every engine loads.

    Args:
        images: names with repository and tag, and the folder (Buildah's and Skopeo's ``dir:``) of
            each; layers are not compressed.
        archive: the tar file to write; complete or not there.
    """
    entries = []
    members: dict[str, Path] = {}
    for name, folder in images.items():
        manifest = json.loads((folder / "manifest.json").read_text())
        configuration = manifest["config"]["digest"].removeprefix("sha256:")
        layers = [layer["digest"].removeprefix("sha256:") for layer in manifest["layers"]]
        files = {f"{configuration}.json": folder / configuration}
        files |= {f"{layer}.tar": folder / layer for layer in layers}
        members |= files
        entries.append(
            {
                "Config": f"{configuration}.json",
                "RepoTags": [name],
                "Layers": [f"{layer}.tar" for layer in layers],
            }
        )
    partial = archive.with_name(f"{archive.name}.partial")
    with tarfile.open(partial, "w") as tar:
        content = json.dumps(entries).encode()
        member = tarfile.TarInfo("manifest.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
        for name, file in members.items():
            tar.add(file, name)
    partial.replace(archive)
