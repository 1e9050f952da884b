"""The API's environment: complete and sensible, or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from savu_api.settings import VARIABLES, ConfigurationError, Group, from_environment

from savu_spawner.contract import ENVIRONMENT
from tests.support.api import api_environment


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return api_environment([tmp_path], tmp_path)


def test_the_variables_are_those_of_the_contract() -> None:
    assert set(VARIABLES) == set(ENVIRONMENT["api"])


def test_a_session_is_described_by_its_environment(environment: dict[str, str]) -> None:
    settings = from_environment(
        environment
        | {
            "ENGINES": "savu, builtin",
            "SESSION_GROUPS": "Visit%2C%20first%3D1=5,c=6",
            "DATA_ROOTS": "/a:/b/",
        }
    )
    assert settings.engines == ("savu", "builtin")
    assert settings.groups == (Group("Visit, first=1", 5), Group("c", 6))
    assert settings.data_roots == (Path("/a"), Path("/b"))
    assert settings.savu_python is None


@pytest.mark.parametrize("name", VARIABLES)
def test_a_missing_variable_is_named(environment: dict[str, str], name: str) -> None:
    del environment[name]
    with pytest.raises(ConfigurationError, match=f"not set in the environment: {name}$"):
        from_environment(environment)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_LISTEN", ""),
        ("API_LISTEN", "api.sock"),
        ("API_LISTEN", "unix:api.sock"),
        ("API_LISTEN", "unix:/" + "a" * 200),
        ("API_LISTEN", "127.0.0.1:99999"),
        ("API_STATE_DIR", ""),
        ("API_STATE_DIR", "state"),
        ("DATA_ROOTS", ""),
        ("DATA_ROOTS", "data"),
        ("VISIT_PATH_TEMPLATE", "/dls/{beamline}/{visit}"),
        ("VISIT_PATH_TEMPLATE", "/dls/{year}"),
        ("VISIT_PATH_TEMPLATE", "/dls/{visit"),
        ("VISIT_PATH_TEMPLATE", "{visit}"),
        ("SESSION_GROUPS", "ada"),
        ("SESSION_GROUPS", "ada=-1"),
        ("SESSION_USER", ""),
        ("ENGINES", ""),
        ("ENGINES", "builtin,magic"),
        ("SAVU_PYTHON", "python3"),
    ],
)
def test_an_absurd_variable_is_named(environment: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        from_environment(environment | {name: value})
