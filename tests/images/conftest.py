"""The images, as ``make images`` built them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from dev.images.build import is_current
from dev.images.catalogue import IMAGES
from dev.images.engines import Engine, ImagesError, find_engine
from tests.support.needs import missing, needs_root


@dataclass
class Built:
    """One built image, and its files."""

    name: str
    reference: str
    engine: Engine
    stack: ExitStack

    @cached_property
    def configuration(self) -> dict[str, Any]:
        return self.engine.configuration(self.reference)

    @cached_property
    def files(self) -> Path:
        """Where its files are, to be read only."""
        found: Path = self.stack.enter_context(self.engine.files(self.reference))
        return found

    @property
    def environment(self) -> dict[str, str]:
        return dict(variable.split("=", 1) for variable in self.configuration["Env"])

    @property
    def argv(self) -> list[str]:
        return [*self.configuration["Entrypoint"], *(self.configuration.get("Cmd") or ())]


@pytest.fixture(scope="session")
def images() -> Iterator[dict[str, Built]]:
    """All of them, by name."""
    needs_root()
    try:
        engine = find_engine()
    except ImagesError as error:
        missing(str(error))
    references = {image.name: image.reference() for image in IMAGES}
    old = [image.name for image in IMAGES if not is_current(engine, image)]
    if old:
        missing(f"needs the images {', '.join(old)}, built from what is here now: make images")
    with ExitStack() as stack:
        yield {
            name: Built(name, reference, engine, stack) for name, reference in references.items()
        }


@pytest.fixture(params=[image.name for image in IMAGES])
def image(request: pytest.FixtureRequest, images: dict[str, Built]) -> Built:
    """Each of them."""
    return images[request.param]
