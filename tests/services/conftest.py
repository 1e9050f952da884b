"""Fixtures of the services' tests: each service is the real program, asked over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.api import Api, savu_variables, serve
from tests.support.catalogue import write_catalogue


@pytest.fixture(scope="module")
def api_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Api, Path]]:
    """One API for a module's tests, and the only folder that it may touch."""
    top = tmp_path_factory.mktemp("data")
    catalogue = write_catalogue(tmp_path_factory.mktemp("engine"))
    with serve([top], changes=savu_variables(catalogue)) as api:
        yield api, top


@pytest.fixture
def api(api_service: tuple[Api, Path]) -> httpx.Client:
    """Client of the module's API."""
    return api_service[0].client


@pytest.fixture
def data(api_service: tuple[Api, Path], tmp_path: Path) -> Path:
    """A new folder in the API's data root."""
    folder = api_service[1] / tmp_path.name
    folder.mkdir()
    return folder
