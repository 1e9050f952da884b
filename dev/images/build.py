"""Builds what is not there as its sources are now."""

from __future__ import annotations

import fcntl
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from dev.images.bases import base_arguments, make_bases
from dev.images.catalogue import CHECKOUT, DEFAULT_REPOSITORY, Image, version
from dev.images.engines import STATE, Engine, ImagesError

LABEL = "org.opencontainers.image"

AT_A_TIME = 2
"""Half of a build waits for packages."""


def build(engine: Engine, images: Sequence[Image], repository: str, state: dict[str, Any]) -> None:
    """Build the images that are not there as their sources are now.

    Args:
        state: what :func:`remembered` gave; what was built is noted there.

    Raises:
        ImagesError: one could not be built; the others are.
    """
    make_bases(engine)

    def one(image: Image) -> ImagesError | None:
        if is_current(engine, image, repository, state):
            print(f"{image.name:<11} unchanged", flush=True)
            return None
        started = time.monotonic()
        reference, arguments = image.reference(repository), _arguments(engine, image)
        digest = image.digest(**arguments)
        # Not as an argument: Buildah takes a label from its cache though the argument changed.
        labels = {f"{LABEL}.revision": image.revision()}
        dockerfile, context = CHECKOUT / image.dockerfile, CHECKOUT / image.context
        log = STATE / "logs" / f"{image.name}.log"
        try:
            engine.build(reference, dockerfile, context, arguments, log, labels=labels)
        except ImagesError as error:
            return error
        built = state.setdefault("built", {})
        built[_key(engine, reference)] = [digest, engine.identity(reference)]
        print(f"{image.name:<11} built in {time.monotonic() - started:.0f} s", flush=True)
        return None

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        errors = [error for error in pool.map(one, images) if error]
    if errors:
        raise ImagesError("\n\n".join(map(str, errors)))


def is_current(
    engine: Engine,
    image: Image,
    repository: str = DEFAULT_REPOSITORY,
    state: Mapping[str, Any] | None = None,
) -> bool:
    """Whether an image is there, made from the sources as they are now."""
    reference = image.reference(repository)
    built = (_read() if state is None else state).get("built", {}).get(_key(engine, reference))
    if not built or built[1] != engine.identity(reference):
        return False
    return bool(built[0] == image.digest(**_arguments(engine, image)))


@contextmanager
def remembered() -> Iterator[dict[str, Any]]:
    """What was built and loaded, kept for the next time; one program at a time."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = _read()
        try:
            yield state
        finally:
            partial = STATE / "state.partial"
            partial.write_text(json.dumps(state, indent=2))
            partial.replace(STATE / "state.json")


def _read() -> dict[str, Any]:
    file = STATE / "state.json"
    state: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return state


def _key(engine: Engine, reference: str) -> str:
    return f"{engine.name} {reference}"


def _arguments(engine: Engine, image: Image) -> dict[str, str]:
    """Those of the build's arguments that its Dockerfile knows. Not the revision: a commit that
    changes nothing of it makes no other image."""
    known = re.findall(r"^ARG ([A-Z_]+)", (CHECKOUT / image.dockerfile).read_text(), re.M)
    given = {**base_arguments(engine), "VERSION": version()}
    return {name: value for name, value in given.items() if name in known}
