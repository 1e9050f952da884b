"""One real hub for all tests here, on each supported JupyterHub."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.bed import Bed
from tests.support.people import HUBS, running_bed


@pytest.fixture(scope="session", params=list(HUBS))
def bed(request: pytest.FixtureRequest) -> Iterator[Bed]:
    """The demo's servers, shared: a test leaves no session running that it does not own."""
    with running_bed(request.param) as bed:
        yield bed
