"""What the images stand on: an ordinary base from a registry, or a Debian of our own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dev.images.engines import STATE, Engine, ImagesError

HERE = Path(__file__).resolve().parent
SUITE = "bookworm"
PACKAGES = ("ca-certificates", "python3")
UNUSED = (
    "usr/share/doc/*",
    "usr/share/info/*",
    "usr/share/locale/*",
    "usr/share/man/*",
    "var/cache/apt/*.bin",
    "var/cache/apt/archives/*.deb",
    "var/lib/apt/lists/*",
    "var/log/*",
)


def base_arguments(engine: Engine) -> dict[str, str]:
    """Values for the Dockerfiles' arguments that name bases; none where theirs hold.

    ``IMAGE_BASES`` chooses: ``debootstrap`` makes an own one, as Buildah does by default here, and
    ``pulled`` takes the Dockerfiles' own from a registry, as Docker and Podman do.

    Raises:
        ImagesError: it is neither.
    """
    default = "debootstrap" if engine.name == "buildah" else "pulled"
    choice = os.environ.get("IMAGE_BASES") or default
    if choice == "pulled":
        return {}
    if choice != "debootstrap":
        raise ImagesError(f"IMAGE_BASES is debootstrap or pulled, and not {choice}")
    recipe = repr((SUITE, PACKAGES, UNUSED, (HERE / "Dockerfile").read_text()))
    tag = hashlib.sha256(recipe.encode()).hexdigest()[:12]
    base, build = f"localhost/savu-base:{tag}", f"localhost/savu-build:{tag}"
    return {"BASE": base, "SAVU_BASE": base, "BUILD_BASE": build, "NODE_BASE": build}


def make_bases(engine: Engine) -> None:
    """Make the bases that :func:`base_arguments` names, where they are our own and not there.

    Raises:
        ImagesError: they cannot be made here.
    """
    bases = base_arguments(engine)
    if bases and not all(engine.identity(base) for base in bases.values()):
        _make(engine, bases["BASE"], bases["BUILD_BASE"])


def _make(engine: Engine, base: str, build: str) -> None:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        raise ImagesError(
            "Making a base needs root and debootstrap; or name an engine that can pull one:"
            " IMAGE_BASES=pulled"
        )
    print(f"base        Debian {SUITE}, by debootstrap", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=STATE, prefix="base-") as name:
        folder = Path(name)
        _debootstrap(folder / "root")
        context = folder / "context"
        context.mkdir()
        subprocess.run(
            [
                *(
                    "tar",
                    "--create",
                    "--file",
                    context / "base.tar",
                    "--directory",
                    folder / "root",
                ),
                # Nodes and mounts are the engine's to provide.
                *("--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*", "."),
            ],
            check=True,
        )
        log = STATE / "logs" / "base.log"
        engine.build(base, HERE / "Dockerfile", context, {}, log, stage="base")
        print("build base  that, with pip and Node.js", file=sys.stderr)
        engine.build(build, HERE / "Dockerfile", context, {}, log, stage="build")


def _debootstrap(root: Path) -> None:
    log = STATE / "logs" / "debootstrap.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    packages = STATE / "packages"
    packages.mkdir(exist_ok=True)
    with log.open("wb") as output:
        done = subprocess.run(
            [
                *("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
                *(f"--cache-dir={packages}", SUITE, root),
            ],
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode != 0:
        last = log.read_text(errors="replace").splitlines()[-5:]
        raise ImagesError("\n".join([f"debootstrap failed; all of it is in {log}:", *last]))
    for pattern in UNUSED:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o6000:
            path.chmod(path.stat().st_mode & 0o1777)
