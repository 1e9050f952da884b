"""Where images go: a cluster on this machine that takes them as a file."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.images.catalogue import CHECKOUT
from dev.images.engines import ImagesError


@dataclass(frozen=True)
class Target:
    """A cluster, and the command that loads an archive into it."""

    name: str
    command: Sequence[str]
    """The archive's path is put for ``{}``."""
    identity: str
    """Another one for a cluster made anew, which has no images."""

    def load(self, archive: Path) -> None:
        """Load a docker-archive.

        Raises:
            ImagesError: the cluster's own words.
        """
        if shutil.which(self.command[0]) is None:
            raise ImagesError(f"{self.name}: {self.command[0]} is not installed")
        words = [word.replace("{}", str(archive)) for word in self.command]
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=CHECKOUT)
        if done.returncode != 0:
            raise ImagesError(f"{' '.join(words)}:\n{done.stdout}{done.stderr}".strip())


def find_target() -> Target | None:
    """The cluster that kubectl would speak to, or our development cluster if it is there; None if
    there is neither.

    Raises:
        ImagesError: it takes images from a registry only, as far as is known.
    """
    own = CHECKOUT / ".cluster" / "kubeconfig"
    named = [Path(name) for name in os.environ.get("KUBECONFIG", "").split(":") if name]
    files = named or [own, Path("~/.kube/config").expanduser()]
    kubeconfig = next((file.resolve() for file in files if file.is_file()), None)
    if kubeconfig is None:
        if named:
            raise ImagesError(f"KUBECONFIG names {named[0]}, which is not there")
        return None
    identity = hashlib.sha256(kubeconfig.read_bytes()).hexdigest()[:16]
    if (kubeconfig.parent / "cluster.json").exists():
        return _development(kubeconfig.parent, identity)
    found = re.search(r"^current-context: *[\"']?([^\"'\s]+)", kubeconfig.read_text(), re.M)
    return _foreign(found[1] if found else "", identity)


def _development(folder: Path, identity: str) -> Target:
    # A node that is added, or made anew, has no images.
    nodes = "-".join(f"{node.name}.{node.stat().st_ino}" for node in sorted(folder.glob("node*")))
    command = [sys.executable, "-m", "dev.cluster", "--folder", str(folder), "load", "{}"]
    return Target("the development cluster", command, f"{identity}-{nodes}")


def _foreign(context: str, identity: str) -> Target:
    if context.startswith("kind-"):
        name = context.removeprefix("kind-")
        command = ["kind", "load", "image-archive", "{}", "--name", name]
    elif context.startswith("k3d-"):
        command = ["k3d", "image", "import", "{}", "--cluster", context.removeprefix("k3d-")]
    elif context == os.environ.get("MINIKUBE_PROFILE", "minikube"):
        command = ["minikube", "--profile", context, "image", "load", "{}"]
    else:
        raise ImagesError(
            f"The cluster of the context {context or '(none)'} gets its images from a registry:"
            " make images IMAGE_REPOSITORY=registry.facility.example/savu"
        )
    return Target(context, command, identity)
