"""Docker, Podman and Buildah, as far as images need them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from dev.images.archive import write_archive
from dev.images.settings import build_settings

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
STATE = CACHE / "savu-spawner" / "images"
"""Of the user and not of the checkout: another checkout finds what was built from equal sources."""


class ImagesError(Exception):
    """Images cannot be built or brought somewhere; the sentence says why, and who can mend it."""


class Engine(Protocol):
    """What builds images and keeps them."""

    name: str

    def build(
        self,
        reference: str,
        dockerfile: Path,
        context: Path,
        arguments: Mapping[str, str],
        log: Path,
        *,
        labels: Mapping[str, str] | None = None,
        stage: str = "",
    ) -> None:
        """Build an image, or one stage of it.

        Raises:
            ImagesError: with the last lines of the log.
        """

    def identity(self, reference: str) -> str:
        """An image's own digest; empty if there is no such image."""

    def configuration(self, reference: str) -> dict[str, Any]:
        """``User``, ``Labels``, ``Env``, ``Entrypoint``, ``Cmd`` of an image."""

    def files(self, reference: str) -> Any:
        """A context manager: the folder in which the image's files are, to be read only."""

    def save(self, references: Sequence[str], archive: Path) -> None:
        """Write images into one docker-archive."""

    def push(self, reference: str) -> None:
        """Send an image to the registry that its name says."""


class Buildah:
    """Buildah, as root, with a storage of its own: nothing else on the machine is touched."""

    name = "buildah"

    def __init__(self) -> None:
        STATE.mkdir(parents=True, exist_ok=True)
        self._command = ["buildah", "--root", str(STATE / "storage")]
        self._command += ["--runroot", str(STATE / "run"), "--storage-driver"]
        # Not on top of another overlay, such as a container's own file system.
        overlay = subprocess.run(
            [*self._command, "overlay", "images"], capture_output=True, check=False
        )
        self._command.append("overlay" if overlay.returncode == 0 else "vfs")

    def build(
        self,
        reference: str,
        dockerfile: Path,
        context: Path,
        arguments: Mapping[str, str],
        log: Path,
        *,
        labels: Mapping[str, str] | None = None,
        stage: str = "",
    ) -> None:
        with build_settings() as settings:
            command = [*self._command, "bud", "--isolation", "chroot", "--layers"]
            command += ["--volume", f"{settings}:/run/build:ro", "--tag", reference]
            command += ["--file", str(dockerfile)]
            command += [*_arguments("--build-arg", arguments), *_arguments("--label", labels or {})]
            command += ["--target", stage] if stage else []
            _logged([*command, str(context)], log)

    def identity(self, reference: str) -> str:
        found = subprocess.run(
            [*self._command, "inspect", "--type=image", "--format={{.FromImageID}}", reference],
            capture_output=True,
            text=True,
            check=False,
        )
        return found.stdout.strip() if found.returncode == 0 else ""

    def configuration(self, reference: str) -> dict[str, Any]:
        inspected = json.loads(self._run("inspect", "--type", "image", reference))
        configuration: dict[str, Any] = inspected["OCIv1"]["config"]
        return configuration

    @contextmanager
    def files(self, reference: str) -> Iterator[Path]:
        container = self._run("from", reference)
        try:
            yield Path(self._run("mount", container))
        finally:
            self._run("rm", container)

    def save(self, references: Sequence[str], archive: Path) -> None:
        with tempfile.TemporaryDirectory(dir=STATE) as name:
            folders = {reference: Path(name) / str(n) for n, reference in enumerate(references)}
            for reference, folder in folders.items():
                # Of Buildah's ways out this one neither compresses nor takes one image only.
                self._run("push", "--disable-compression", reference, f"dir:{folder}")
            write_archive(folders, archive)

    def push(self, reference: str) -> None:
        self._run("push", reference, f"docker://{reference}")

    def _run(self, *words: str) -> str:
        return _output([*self._command, *words])


class Docker:
    """Docker or Podman, with the storage of whoever calls it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def build(
        self,
        reference: str,
        dockerfile: Path,
        context: Path,
        arguments: Mapping[str, str],
        log: Path,
        *,
        labels: Mapping[str, str] | None = None,
        stage: str = "",
    ) -> None:
        command = [self.name, "build", "--tag", reference, "--file", str(dockerfile)]
        command += [*_arguments("--build-arg", arguments), *_arguments("--label", labels or {})]
        command += ["--target", stage] if stage else []
        _logged([*command, str(context)], log)

    def identity(self, reference: str) -> str:
        found = subprocess.run(
            [self.name, "image", "inspect", "--format", "{{.Id}}", reference],
            capture_output=True,
            text=True,
            check=False,
        )
        return found.stdout.strip() if found.returncode == 0 else ""

    def configuration(self, reference: str) -> dict[str, Any]:
        inspected = json.loads(_output([self.name, "image", "inspect", reference]))
        configuration: dict[str, Any] = inspected[0]["Config"]
        return configuration

    @contextmanager
    def files(self, reference: str) -> Iterator[Path]:
        container = _output([self.name, "create", reference])
        try:
            with tempfile.TemporaryDirectory() as folder:
                archive = Path(folder) / "files.tar"
                _output([self.name, "export", "--output", str(archive), container])
                files = Path(folder) / "files"
                files.mkdir()
                _output(["tar", "--extract", "--file", str(archive), "--directory", str(files)])
                yield files
        finally:
            _output([self.name, "rm", container])

    def save(self, references: Sequence[str], archive: Path) -> None:
        several = ["--multi-image-archive"] if self.name == "podman" else []
        _output([self.name, "save", *several, "--output", str(archive), *references])

    def push(self, reference: str) -> None:
        _output([self.name, "push", reference])


def find_engine() -> Engine:
    """The engine that ``IMAGE_ENGINE`` names, or the first that is there and answers.

    Raises:
        ImagesError: there is none.
    """
    wanted = os.environ.get("IMAGE_ENGINE", "")
    if wanted and wanted not in ("docker", "podman", "buildah"):
        raise ImagesError(f"IMAGE_ENGINE is docker, podman or buildah, and not {wanted}")
    for name in [wanted] if wanted else ["docker", "podman", "buildah"]:
        if shutil.which(name) is None:
            continue
        if name == "buildah":
            return Buildah()
        # The program alone is no engine: Docker's is a service.
        if subprocess.run([name, "info"], capture_output=True, check=False).returncode == 0:
            return Docker(name)
    if wanted:
        raise ImagesError(f"{wanted}, which IMAGE_ENGINE names, is not installed or does not run")
    raise ImagesError(
        "Neither Docker, Podman nor Buildah is here:\n"
        "  Debian, Ubuntu:  sudo apt-get install --no-install-recommends buildah debootstrap"
    )


def _arguments(option: str, values: Mapping[str, str]) -> list[str]:
    return [word for name, value in values.items() for word in (option, f"{name}={value}")]


def _logged(command: Sequence[str], log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
    if done.returncode != 0:
        last = log.read_text(errors="replace").splitlines()[-15:]
        raise ImagesError("\n".join([f"The build failed; all of it is in {log}:", *last]))


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImagesError(f"{' '.join(command)}:\n{done.stderr.strip()}")
    return done.stdout.strip()
