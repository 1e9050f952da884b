"""``make images``: builds what changed, and brings it to the cluster or to a registry.

python3 -m dev.images                  build, and load or push
python3 -m dev.images build            build only
python3 -m dev.images archive FILE     build, and write all of them into one docker-archive
python3 -m dev.images list             their names
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dev.images.bases import base_arguments
from dev.images.catalogue import CHECKOUT, DEFAULT_REPOSITORY, IMAGES, Image, version
from dev.images.engines import STATE, Engine, ImagesError, find_engine
from dev.images.targets import find_target

AT_A_TIME = 2
"""Half of a build waits for packages."""


def main() -> int:
    arguments = _parser().parse_args()
    repository = os.environ.get("IMAGE_REPOSITORY") or DEFAULT_REPOSITORY
    images = [image for image in IMAGES if not arguments.only or image.name in arguments.only]
    if arguments.command == "list":
        print("\n".join(image.reference(repository) for image in images))
        return 0
    try:
        with _state() as state:
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


def build(engine: Engine, images: Sequence[Image], repository: str, state: dict[str, Any]) -> None:
    """Build the images that are not there as their sources are now.

    Raises:
        ImagesError: one could not be built; the others are.
    """
    bases = base_arguments(engine)
    built = state.setdefault("built", {})

    def one(image: Image) -> ImagesError | None:
        dockerfile = (CHECKOUT / image.dockerfile).read_text()
        known = set(re.findall(r"^ARG ([A-Z_]+)", dockerfile, re.M))
        arguments = {name: value for name, value in bases.items() if name in known}
        arguments |= {"VERSION": version(), "REVISION": image.revision()}
        reference, digest = image.reference(repository), image.digest(**arguments)
        key = f"{engine.name} {reference}"
        identity = engine.identity(reference)
        if identity and built.get(key) == [digest, identity]:
            print(f"{image.name:<11} unchanged")
            return None
        started = time.monotonic()
        log = STATE / "logs" / f"{image.name}.log"
        try:
            engine.build(
                reference,
                CHECKOUT / image.dockerfile,
                CHECKOUT / image.context,
                arguments,
                log,
            )
        except ImagesError as error:
            return error
        built[key] = [digest, engine.identity(reference)]
        print(f"{image.name:<11} built in {time.monotonic() - started:.0f} s", flush=True)
        return None

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        errors = [error for error in pool.map(one, images) if error]
    if errors:
        raise ImagesError("\n\n".join(map(str, errors)))


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


@contextmanager
def _state() -> Iterator[dict[str, Any]]:
    """What was built and loaded, kept for the next time; one program at a time."""
    STATE.mkdir(parents=True, exist_ok=True)
    file = STATE / "state.json"
    with (STATE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        try:
            yield state
        finally:
            partial = file.with_suffix(".partial")
            partial.write_text(json.dumps(state, indent=2))
            partial.replace(file)


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
