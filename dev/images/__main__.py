"""``make images``: builds what changed, and brings it to the cluster or to a registry.

python3 -m dev.images                  build, and load or push
python3 -m dev.images build            build only
python3 -m dev.images archive FILE     build, and write all of them into one docker-archive
python3 -m dev.images list             their names
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dev.images.build import build, remembered
from dev.images.catalogue import DEFAULT_REPOSITORY, IMAGES, Image
from dev.images.engines import STATE, Engine, ImagesError, find_engine
from dev.images.targets import find_target


def main() -> int:
    arguments = _parser().parse_args()
    repository = os.environ.get("IMAGE_REPOSITORY") or DEFAULT_REPOSITORY
    images = [image for image in IMAGES if not arguments.only or image.name in arguments.only]
    if arguments.command == "list":
        print("\n".join(image.reference(repository) for image in images))
        return 0
    try:
        with remembered() as state:
            engine = find_engine()
            build(engine, images, repository, state)
            if arguments.command == "archive":
                engine.save([image.reference(repository) for image in images], arguments.file)
            elif arguments.command is None and repository != DEFAULT_REPOSITORY:
                push(engine, images, repository, state)
            elif arguments.command is None:
                load(engine, images, state)
    except ImagesError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def push(engine: Engine, images: Sequence[Image], repository: str, state: dict[str, Any]) -> None:
    """Send to the registry what it was not yet sent."""
    pushed = state.setdefault("pushed", {})
    for image in images:
        reference = image.reference(repository)
        identity = engine.identity(reference)
        if pushed.get(reference) != identity:
            engine.push(reference)
            pushed[reference] = identity
            print(f"{image.name:<11} pushed")


def load(engine: Engine, images: Sequence[Image], state: dict[str, Any]) -> None:
    """Load what the cluster does not have yet, in one archive."""
    target = find_target()
    if target is None:
        print("No cluster to load them into: `make cluster` starts one, then again `make images`")
        return
    loaded = state.setdefault("loaded", {}).setdefault(target.identity, {})
    references = {image.reference(): engine.identity(image.reference()) for image in images}
    missing = [name for name, identity in references.items() if loaded.get(name) != identity]
    if not missing:
        print(f"{target.name} has them all")
        return
    archive = STATE / "load.tar"
    try:
        engine.save(missing, archive)
        target.load(archive)
    finally:
        archive.unlink(missing_ok=True)
    loaded |= {name: references[name] for name in missing}
    print(f"{target.name} got {len(missing)} of {len(references)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m dev.images", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--only", action="append", choices=[image.name for image in IMAGES], metavar="NAME"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("build")
    commands.add_parser("list")
    commands.add_parser("archive").add_argument("file", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main())
